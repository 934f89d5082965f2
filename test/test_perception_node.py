"""The perception node on a live graph: everything it is asked for, and everything that can be wrong with its input."""
from concurrent.futures import ThreadPoolExecutor
import hashlib
import shutil
import threading
import time
import weakref

import cv2
from lifecycle_msgs.srv import ChangeState
import numpy as np
import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool, Trigger
import torch

from perception_client import CAMERA, LATCHED, PIXELS, TYPES, Client
from ros_graph import wait_until
from tiny_model import write_models
from semdepth_ros.bridge import POINT, stamp_ns
from semdepth_ros.bridge.diagnostics import ERROR
from semdepth_ros.bridge.outputs import TOPICS
from semdepth_ros.frame import Frame
from semdepth_ros.geometry.camera_info import camera_from_info
from semdepth_ros.nodes import frames_at_work
from semdepth_ros.nodes.perception import PerceptionNode
from semdepth_ros.perception import Perceptor

MODEL_INFO, DIAGNOSTICS = 'semdepth_ros/msg/ModelInfo', 'diagnostic_msgs/msg/DiagnosticArray'


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp('models'))


def start(graph, name, **parameters):
    """Return a spinning node with these parameters."""
    parameters = {'device': 'cpu', 'precision': 'float32', 'diagnostics_period_s': 0.2, **parameters}
    return graph.add(PerceptionNode(name, context=graph.context,
                                    parameter_overrides=[Parameter(k, value=v) for k, v in parameters.items()]))


@pytest.fixture(scope='module')
def node(graph, models):
    node = start(graph, 'perception', model=str(models[0]), weights_dir=str(models[0].parent))
    wait_until(lambda: node.state == 'active', 20.0, 'active')
    return node


@pytest.fixture(scope='module')
def shared_client(graph, node):
    client = Client(graph, 'perception')
    client.listen('depth/image')
    wait_until(lambda: client.answers(client.send(), 'depth/image'))
    client.unlisten()
    return client


@pytest.fixture
def client(shared_client):
    yield shared_client
    shared_client.unlisten()


def no_room(*arguments):
    raise torch.cuda.OutOfMemoryError('no room')


def array(message, dtype=np.uint8):
    return np.frombuffer(message.data, dtype).reshape(message.height, message.width, -1).squeeze()


@pytest.fixture(scope='module')
def truth(models):
    perceptor = Perceptor.from_file(models[0], device='cpu', precision='float32')
    return perceptor.perceive(Frame(PIXELS, 'rgb', CAMERA))


def test_every_output_comes_with_the_header_of_its_image_and_what_the_perceptor_says(client, truth):
    client.listen(*TOPICS)
    header = client.send()
    heard = dict(zip(TOPICS, client.answers(header, *TOPICS)))
    assert all(m.header == header for m in heard.values())
    np.testing.assert_array_equal(array(heard['depth/image'], np.float32), truth.depth)
    np.testing.assert_array_equal(array(heard['depth/sigma'], np.float32), truth.sigma)
    np.testing.assert_array_equal(array(heard['semantic/image']), truth.labels)
    np.testing.assert_array_equal(array(heard['semantic/confidence']), truth.confidence)
    assert camera_from_info(heard['depth/camera_info'], 96, 64) == CAMERA
    points = array(heard['points'], POINT)
    np.testing.assert_allclose(points['x'], (np.arange(96) - CAMERA.cx) / CAMERA.fx * points['z'], atol=1e-4)
    assert [heard[t].encoding for t in TOPICS if t.endswith(('image', 'confidence', 'sigma'))] == [
        '32FC1', 'mono8', 'mono8', '32FC1', 'rgb8']


def test_what_is_sent_for_a_frame_is_held_against_the_segment_again_only_when_it_is_more(client, node, monkeypatch):
    checked = []
    monkeypatch.setattr(frames_at_work, 'check_segment', lambda logger, outputs: checked.append(outputs))
    monkeypatch.setattr(node.work.frames, '_bytes_checked', 0)
    client.listen('semantic/image')
    for _ in range(2):
        client.answers(client.send(), 'semantic/image')
    client.listen('points')
    for _ in range(2):
        client.answers(client.send(), 'points')
    assert checked[0] == {'semantic/image': 96 * 64} and checked[-1]['points'] == 20 * 96 * 64 and len(checked) == 2


def test_without_a_subscriber_there_is_no_subscription_and_no_work(client, node):
    camera = node.work.cameras['']
    wait_until(lambda: not client.images.get_subscription_count(), what='no subscription')
    before = camera.statistics.total('received')
    client.send()
    client.listen('semantic/image')
    client.answers(client.send(), 'semantic/image')
    assert camera.statistics.total('received') == before + 1


def test_a_best_effort_publisher_is_heard_as_well(client, graph, node):
    other = Client(graph, 'perception', reliable=False)
    other._now = client._now + 10**9
    client.listen('depth/image')
    other.listen('depth/image')
    wait_until(lambda: node.work.cameras[''].input.reliability == 'best_effort', what='best effort')
    other.answers(other.send(), 'depth/image')
    client._now = other._now
    for publisher in (other.images, other.infos):
        other.node.destroy_publisher(publisher)
    wait_until(lambda: node.work.cameras[''].input.reliability == 'reliable', what='reliable again')
    other.unlisten()


@pytest.mark.parametrize('wrong, words', [
    ({'encoding': 'colourful'}, ["'colourful'", 'rgb8']),
    ({'encoding': '32FC1', 'step': 384}, ["'32FC1'", 'camera image']),
    ({'width': 0, 'height': 0}, ['0x0', '1x1']),
    ({'step': 7}, ['7 bytes', '288']),
    ({'height': 65}, ['18432 bytes', '18720']),
])
def test_an_image_that_cannot_be_read_is_told_with_both_values_and_the_next_one_is_perceived(client, wrong, words):
    client.listen('depth/image')
    client.send(**wrong)
    client.warned(*words)
    client.answers(client.send(), 'depth/image')


def test_an_image_of_another_size_is_perceived_and_told(client):
    client.listen('depth/image')
    client.answers(client.send(), 'depth/image')
    small = client.answers(client.send(CAMERA.scaled(48, 32), PIXELS[::2, ::2]), 'depth/image')[0]
    assert (small.width, small.height) == (48, 32)
    client.warned('96x64', '48x32')
    client.answers(client.send(), 'depth/image')


@pytest.mark.parametrize('camera, words', [
    (CAMERA.scaled(640, 480), ['640x480', '96x64']),
    (lambda info: info.k.__setitem__(0, 0.0), ['0 x 80', 'positive']),
    (lambda info: setattr(info, 'd', [float('nan')] * 5), ['nan', 'finite', 'images go on']),
    (lambda info: setattr(info, 'd', [1e30] * 5), ['1e+30', 'a lens', 'images go on']),
])
def test_a_camera_info_that_contradicts_the_image_leaves_images_but_no_cloud(client, camera, words):
    client.listen('depth/image', 'points')
    if callable(camera):
        from semdepth_ros.bridge import make_camera_info, make_image
        header = client.header()
        info = make_camera_info(TYPES, header, CAMERA)
        camera(info)
        client.infos.publish(info)
        client.images.publish(make_image(TYPES, header, PIXELS, 'rgb8'))
    else:
        header = client.send(camera)
    client.answers(header, 'depth/image')
    client.warned(*words)
    assert not [m for m in client.heard['points'] if m.header == header]
    client.answers(client.send(), 'depth/image', 'points')


def test_time_that_goes_backwards_starts_anew(client, node):
    client.listen('depth/image')
    client.answers(client.send(), 'depth/image')
    before = node.work.cameras[''].statistics.total('time jumps')
    client.back_in_time()
    client.answers(client.send(), 'depth/image')
    client.warned('time went backwards', '0.600 s')
    assert node.work.cameras[''].statistics.total('time jumps') == before + 1


def test_a_subscriber_that_asks_for_what_is_not_offered_is_told_of(client):
    kind = TYPES.message_class(TOPICS['depth/sigma'])
    asking = client.node.create_subscription(kind, 'depth/sigma', print, LATCHED)
    client.warned('depth/sigma', 'durability')
    client.node.destroy_subscription(asking)


def set_parameter(node, name, value):
    return node.set_parameters([Parameter(name, value=value)])[0]


def test_parameters_that_may_change_any_time_do(client, node):
    client.listen('semantic/image', 'depth/image', 'points', 'semantic/camera_info')
    for name, value in (('stride', 2), ('depth_encoding', '16UC1'), ('max_range_m', 5)):
        assert set_parameter(node, name, value).successful
    depth, labels, points, info = client.answers(client.send(), 'depth/image', 'semantic/image', 'points',
                                                 'semantic/camera_info')
    assert (depth.width, labels.width, points.width, info.width) == (96, 48, 48, 48) and depth.encoding == '16UC1'
    assert array(depth, np.uint16).max() <= 5000
    assert not set_parameter(node, 'stride', 99).successful
    for name, value in (('stride', 1), ('depth_encoding', '32FC1'), ('max_range_m', 80.0)):
        set_parameter(node, name, value)
    assert client.answers(client.send(), 'semantic/image')[0].width == 96


def test_clouds_have_a_rate_of_their_own_and_pictures_are_sent_for_thin_lines(client, node):
    topics = ('depth/image', 'depth/image/compressedDepth', 'semantic_color/image/compressed')
    client.listen(*topics, 'points')
    assert set_parameter(node, 'cloud_rate_hz', 5.0).successful  # of ten images a second
    sent = [client.answers(client.send(), *topics)[0].header for _ in range(8)]
    clouds = wait_until(lambda: [m.header for m in tuple(client.heard['points'])][3:] and client.heard['points'])
    assert [m.header for m in clouds] in (sent[::2], sent[1::2])
    assert client.heard['depth/image/compressedDepth'][0].format == '32FC1; compressedDepth png'
    assert cv2.imdecode(np.frombuffer(client.heard['semantic_color/image/compressed'][0].data, np.uint8), 1).shape == (64, 96, 3)
    set_parameter(node, 'cloud_rate_hz', 0.0)


def test_a_fixed_scale_makes_depth_metric_and_multiplies_it(client, node, truth):
    client.listen('depth/image')
    client.listen('perception/model_info', name=MODEL_INFO, qos=LATCHED)
    client.warned('not metric')
    set_parameter(node, 'max_range_m', 1000.0)
    set_parameter(node, 'scale', 2.0)
    set_parameter(node, 'scale_source', 'fixed')
    header = client.send()
    depth = array(client.answers(header, 'depth/image')[0], np.float32)
    near = truth.depth < 80
    np.testing.assert_allclose(depth[near], 2 * truth.depth[near], rtol=1e-5)
    info = client.answers(header, 'perception/model_info')[0]
    assert (info.metric, info.scale, info.scale_source, info.version) == (True, 2.0, 'fixed', 0)
    assert list(info.class_colors[:3]) == [128, 64, 128] and len(info.class_colors) == 3 * len(info.class_names)
    client.warned('depth is metric, scale 2')
    header = client.send(CAMERA.scaled(640, 480))
    assert not client.answers(header, 'perception/model_info')[0].metric
    client.warned('not metric', 'no camera_info says its focal length')
    client.warned('metric no more', 'no camera_info')
    for name, value in (('scale_source', 'none'), ('max_range_m', 80.0)):
        set_parameter(node, name, value)


def test_diagnostics_tell_rates_latencies_versions_and_the_last_error(client):
    client.listen('/diagnostics', name=DIAGNOSTICS)
    client.listen('depth/image')
    client.answers(client.send(), 'depth/image')

    ends = ('perceived', 'dropped', 'rejected', 'failed', 'not wanted')

    def statuses():
        found = {s.name: {v.key: v.value for v in s.values} for m in client.heard['/diagnostics'] for s in m.status}
        camera = found.get('perception: camera')
        at_rest = camera and int(camera['received']) == sum(int(camera[n]) for n in ends)
        return found if at_rest and float(camera['rate out [Hz]']) > 0 else None
    found = wait_until(statuses, what='diagnostics')
    camera, model = found['perception: camera'], found['perception: model']
    counted = sum(int(camera[n]) for n in ('perceived', 'dropped', 'rejected', 'failed', 'not wanted'))
    assert int(camera['received']) == counted and camera['topic'] == '/image' and camera['reliability'] == 'reliable'
    assert {'node p50 [ms]', 'node p95 [ms]', 'perceiving p50 [ms]', 'gaps'} <= set(camera)
    assert camera['metric'] == 'False' and camera['why not metric'] in ('nobody says the scale', 'no camera_info')
    assert float(camera['scale']) >= 1 and float(camera['scale sigma [%]']) == 0
    assert (model['model'], model['version'], model['device'], model['state']) == ('tiny', '0', 'cpu', 'active')
    assert float(model['device memory [MB]']) > 0 and 'last error' in model


def test_frames_that_all_fail_are_an_error_until_one_is_perceived(client, node, monkeypatch):
    client.listen('/diagnostics', name=DIAGNOSTICS)
    client.listen('depth/image')
    client.answers(client.send(), 'depth/image')
    statistics = node.work.cameras[''].statistics

    def status():
        found = [s for m in tuple(client.heard['/diagnostics']) for s in m.status if s.name == 'perception: camera']
        return (found[-1].level, found[-1].message) if found else None
    with monkeypatch.context() as patched:
        patched.setattr(node.work.perceptor, 'perceive_together', no_room)
        for _ in range(10):
            failed = statistics.total('failed')
            client.send()
            wait_until(lambda: statistics.total('failed') > failed, what='the frame to fail')
        wait_until(lambda: status() == (bytes([ERROR]), 'the last 10 frames have all failed'), what=f'{status()}')
    client.answers(client.send(), 'depth/image')
    wait_until(lambda: status()[0] != bytes([ERROR]))


def test_the_node_can_be_switched_off_and_on(client):
    client.listen('depth/image')
    client.listen('/diagnostics', name=DIAGNOSTICS)
    assert client.call('enable', SetBool, data=False).success
    wait_until(lambda: not client.images.get_subscription_count(), what='switched off')
    client.warned('disabled: no images are subscribed to')
    wait_until(lambda: 'disabled' in [s.message for m in tuple(client.heard['/diagnostics']) for s in m.status
                                      if s.name == 'perception: camera'], what='diagnostics that say so')
    assert client.call('enable', SetBool, data=True).success
    wait_until(lambda: client.images.get_subscription_count(), what='switched on')
    client.answers(client.send(), 'depth/image')


def announce(client, file, card_of, /, action=1, **changes):
    """Announce a file as a learner would."""
    from semdepth_ros.model_file import read_model
    card = read_model(card_of)[1]
    update = TYPES.make('semdepth_ros/msg/WeightsUpdate', action=action, factory_hash=card.factory,
                        version=card.version,
                        parent=0, sha256=hashlib.sha256(file.read_bytes()).hexdigest(), file=file.name, reason='test')
    for field, value in changes.items():
        setattr(update, field, value)
    client.updates.publish(update)


def version_of(client):
    header = client.send()
    client.answers(header, 'depth/image')
    return wait_until(lambda: client.heard['perception/model_info'])[-1].version


def test_weights_change_between_frames_only_to_what_was_announced_and_fits(client, models):
    client.updates = client.node.create_publisher(TYPES.message_class('semdepth_ros/msg/WeightsUpdate'), 'weights',
                                                  LATCHED)
    client.listen('perception/model_info', name=MODEL_INFO, qos=LATCHED)
    client.listen('depth/image')
    assert version_of(client) == 0
    rubbish = models[0].parent / 'rubbish.safetensors'
    rubbish.write_bytes(b'rubbish' * 100)
    for file, changes, words in (
            (rubbish, {}, ['rubbish.safetensors', 'not a safetensors file']),
            (models[1], {'sha256': 'f' * 64}, ['ffffffffffff', 'sha256']),
            (models[1], {'file': '../' + models[1].name}, ['without folders']),
            (models[1], {'factory_hash': 'e' * 64}, ['eeeeeeeeeeee', 'factory']),
            (models[1], {'version': 0}, ['not newer than version 0']),
            (models[1], {'version': 7}, ['model card has version 1, expected 7']),
            (models[1], {'action': 9}, ['action is 9']),
            (models[1], {'file': 'gone.safetensors'}, ['gone.safetensors', 'cannot be read'])):
        announce(client, file, models[1], **changes)
        client.warned('weights version', 'refused', *words)
    assert version_of(client) == 0
    announce(client, models[2], models[2])
    wait_until(lambda: version_of(client) == 2, 20.0, 'version 2')
    infos = client.heard['perception/model_info']
    first = next(m for m in infos if m.version == 2)
    before = [m for m in client.heard['depth/image'] if stamp_ns(m.header) < stamp_ns(first.header)]
    after = [m for m in client.heard['depth/image'] if stamp_ns(m.header) >= stamp_ns(first.header)]
    assert len({bytes(m.data) for m in before}) == 1 == len({bytes(m.data) for m in after})
    assert before[0].data != after[0].data
    assert (first.file, first.parent, first.name) == ('v2.safetensors', 1, 'tiny')
    assert first.sha256 == hashlib.sha256(models[2].read_bytes()).hexdigest()


def test_rolling_back_serves_the_version_before_and_refuses_what_was_left(client, node, models, monkeypatch):
    client.listen('perception/model_info', name=MODEL_INFO, qos=LATCHED)
    client.listen('depth/image')
    assert version_of(client) == 2
    asked, go_on = threading.Event(), threading.Event()

    def slow(*arguments):
        asked.set()
        assert go_on.wait(20.0)
        no_room()
    with monkeypatch.context() as patched, ThreadPoolExecutor() as pool:
        patched.setattr(node.work.perceptor.engine, 'twin', slow, raising=False)
        rolling_back = pool.submit(client.call, 'rollback', Trigger)
        assert asked.wait(20.0) and client.call('enable', SetBool, data=True).success  # the executor goes on
        go_on.set()
        response = rolling_back.result()
    assert not response.success and response.message == 'OutOfMemoryError: no room'
    assert version_of(client) == 2
    response = client.call('rollback', Trigger)
    assert response.success and '0' in response.message
    assert version_of(client) == 0
    aside = models[2].with_name(f'{models[2].name}.withdrawn')         # where no learner that begins anew looks
    assert aside.exists() and not models[2].exists()
    shutil.copyfile(aside, models[2])
    announce(client, models[2], models[2])
    client.warned('rolled back from')
    again = client.call('rollback', Trigger)
    assert not again.success and 'no earlier weights' in again.message
    assert version_of(client) == 0


def transition(client, label):
    request = ChangeState.Request()
    request.transition.label = label
    return client.call('change_state', ChangeState, transition=request.transition).success


def test_what_was_rolled_back_from_is_refused_after_a_cleanup_too(client, node):
    assert all(transition(client, label) for label in ('deactivate', 'cleanup', 'configure'))
    start_s = time.monotonic()
    assert transition(client, 'activate')

    def last_trouble():  # the log itself says it once in five seconds only
        text, ago_s = node.log.last()
        return text if ago_s < time.monotonic() - start_s else ''
    assert 'rolled back from' in wait_until(last_trouble, 20.0, 'the latched update to be refused')
    assert node.work.perceptor.version == 0
    client.node.destroy_publisher(client.updates)


def test_a_manager_may_take_it_through_all_its_states_and_a_bad_model_is_a_failure(client, node, models, tmp_path,
                                                                                   monkeypatch):
    client.listen('depth/image')
    assert not set_parameter(node, 'model', 'other').successful
    assert transition(client, 'deactivate') and node.state == 'inactive'
    wait_until(lambda: not client.images.get_subscription_count(), what='inactive')
    model, left = weakref.ref(node.work.perceptor), []
    with monkeypatch.context() as patched:  # the device's memory is given back where there is such a device
        patched.setattr(torch.cuda, 'is_available', lambda: left.append(model()) or False)
        assert transition(client, 'cleanup') and node.state == 'unconfigured'
    assert left == [None], 'the model was still there when its memory was to be given back'
    bad = tmp_path / 'bad.safetensors'
    shutil.copy(models[0], bad)
    bad.write_bytes(bad.read_bytes()[:-100])
    for model, words in ((tmp_path / 'none.safetensors', 'none.safetensors'), (bad, 'truncated')):
        assert set_parameter(node, 'model', str(model)).successful
        assert not transition(client, 'configure') and node.state == 'unconfigured'
        assert '\n' not in client.warned('cannot be configured', words)
    assert set_parameter(node, 'model', str(models[0])).successful
    assert transition(client, 'configure') and transition(client, 'activate') and node.state == 'active'
    wait_until(lambda: client.images.get_subscription_count() and client.infos.get_subscription_count())
    client.answers(client.send(), 'depth/image')


@pytest.mark.parametrize('policy, value, words', [
    ('reliability', 'rubbish', '`rubbish`'), ('reliability', 3, "'3'"), ('depth', -1, 'depth (from 1)')])
def test_an_impossible_quality_of_an_output_is_a_failure_in_one_line_that_leaves_no_topic(graph, models, policy, value,
                                                                                          words):
    override = {f'qos_overrides./semantic/image.publisher.{policy}': value}
    node = PerceptionNode('impossible', context=graph.context, parameter_overrides=[
        Parameter(name, value=v) for name, v in {'model': str(models[0]), 'autostart': False, **override}.items()])
    graph.nodes.append(node)
    before = {publisher.topic for publisher in node.publishers}
    for _ in range(2):
        assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
        assert {publisher.topic for publisher in node.publishers} == before
    assert node.failure.startswith('semantic/image cannot be published: ') and '\n' not in node.failure
    assert words in node.failure
    assert 'qos_overrides./semantic/image.publisher takes reliability (reliable, best_effort)' in node.failure


def test_threads_are_given_back_to_torch(graph, models):
    own = graph.call(torch.get_num_threads)  # every thread has a number of its own
    node = start(graph, 'threads', model=str(models[0]), threads=own + 1)
    wait_until(lambda: node.state == 'active', 20.0, 'active')
    client = Client(graph, 'threads')
    assert graph.call(torch.get_num_threads) == own + 1
    assert transition(client, 'deactivate') and transition(client, 'cleanup')
    assert set_parameter(node, 'threads', 0).successful and transition(client, 'configure')
    assert graph.call(torch.get_num_threads) == own


@pytest.fixture(scope='module')
def two_cameras(graph, models):
    node = start(graph, 'two_cameras', model=str(models[0]), cameras=['front', 'left'], image_transport='compressed')
    wait_until(lambda: node.state == 'active', 20.0, 'active')
    return node


def jpeg(client, data):
    header = client.header()
    client.images.publish(TYPES.make('sensor_msgs/msg/CompressedImage', header=header, format='jpeg',
                                     data=np.frombuffer(data, np.uint8)))
    return header


def test_several_cameras_send_jpeg_and_a_damaged_one_stops_neither(graph, two_cameras):
    clients = [Client(graph, 'two_cameras', f'{name}/') for name in ('front', 'left')]
    kind = TYPES.message_class('sensor_msgs/msg/CompressedImage')
    data = cv2.imencode('.jpg', PIXELS)[1].tobytes()
    for client in clients:
        client.images = client.node.create_publisher(kind, f'{client.prefix}image/compressed', 5)
        client.listen('depth/image', 'points')
    for client in clients:
        header = jpeg(client, data)
        client.answers(header, 'depth/image')
    for client in clients:  # each is told of its own first image
        client.listen(f'{client.prefix}model_info', name=MODEL_INFO, qos=LATCHED)
        info = wait_until(lambda: client.heard[f'{client.prefix}model_info'], what='model_info')[-1]
        assert info.header in [m.header for m in client.heard['depth/image']] and info.input_width > 0
    clients[0].warned('no camera_info on /front/camera_info')
    jpeg(clients[0], data[:len(data) // 2])
    clients[0].warned('/front/image/compressed', 'cut off')
    assert not any(c.heard['points'] for c in clients)
    for client in clients:
        from semdepth_ros.bridge import make_camera_info
        client.infos.publish(make_camera_info(TYPES, client.header(), CAMERA))
        wait_until(lambda: client.answers(jpeg(client, data), 'depth/image', 'points'))
        client.unlisten()


def test_label_names_are_latched_and_tf_gives_the_camera_s_height(overlays, graph, models):
    node = start(graph, 'named', model=str(models[0]), cameras=['rear'], scale_source='camera_height',
                 base_frame='base',
                 min_confidence=0.25)
    wait_until(lambda: node.state == 'active', 20.0, 'active')
    client = Client(graph, 'named', 'rear/')
    client.listen('depth/image')
    client.listen('rear/semantic/label_info', name='vision_msgs/msg/LabelInfo', qos=LATCHED)
    client.answers(client.send(), 'depth/image')
    info = wait_until(lambda: client.heard['rear/semantic/label_info'])[0]
    names = {c.class_id: c.class_name for c in info.class_map}
    assert names[0] == 'road' and len(names) == 19
    client.warned('no transform from base', 'camera_optical')
    make = TYPES.make
    parts = [make('geometry_msgs/msg/TransformStamped', header=client.header(), child_frame_id=child)
             for child in ('mast', 'camera_optical')]
    for part, (parent, z) in zip(parts, (('base', 1.25), ('mast', 0.5))):
        part.header.frame_id, part.transform.translation.z = parent, z
    tf = TYPES.message_class('tf2_msgs/msg/TFMessage')
    for topic, qos, part in (('/tf_static', LATCHED, parts[0]), ('/tf', 10, parts[1])):
        publisher = client.node.create_publisher(tf, topic, qos)
        wait_until(publisher.get_subscription_count, what=f'a subscription to {topic}')
        publisher.publish(tf(transforms=[part]))

    def height():
        client.answers(client.send(), 'depth/image')
        mount = getattr(node.work.cameras['rear'].scale._source, 'mount', None)
        return mount and mount.height_m
    assert wait_until(height, what='a height') == 1.75
    client.unlisten()

"""The parts of the perception node: parameters, subscriptions that follow, worker, warnings, camera_info by image."""
import logging
import threading
import time

import numpy as np
import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from bridge_messages import Fields, camera_info, header
from ros_graph import Graph, wait_until
from semdepth_ros.bridge.diagnostics import OK, WARN, Statistics
from semdepth_ros.bridge.info_matcher import InfoMatcher
from semdepth_ros.bridge.messages import make_header
from semdepth_ros.bridge.middleware import PROFILE_VARIABLES
from semdepth_ros.bridge.perception_parameters import PERCEPTION
from semdepth_ros.bridge.rclpy_types import RclpyTypes
from semdepth_ros.nodes import mount_listener
from semdepth_ros.nodes.camera_input import CameraInput
from semdepth_ros.nodes.camera_scale import CameraScale
from semdepth_ros.nodes.declared_parameters import DeclaredParameters
from semdepth_ros.nodes.following_subscription import FollowingSubscription
from semdepth_ros.nodes.perceiving import CameraChannel
from semdepth_ros.nodes.perception_diagnostics import PerceptionDiagnostics
from semdepth_ros.nodes.shared_memory_check import check_segment
from semdepth_ros.nodes.throttled_log import ForwardToRos, ThrottledLog
from semdepth_ros.nodes.worker import NewestFirstWorker
from semdepth_ros.share import shared_file

TYPES = RclpyTypes()
IMAGE = TYPES.message_class('sensor_msgs/msg/Image')


@pytest.fixture(scope='module')
def graph():
    graph = Graph()
    yield graph
    graph.close()


class Listener:
    """Remembers what a logger is told."""

    def __init__(self):
        self.lines = []

    def __getattr__(self, level):
        return lambda text: self.lines.append((level, text))


def parameters(graph, configured=False, **overrides):
    node = Node(f'parameters_{time.monotonic_ns()}', context=graph.context,
                parameter_overrides=[RosParameter(k, value=v) for k, v in overrides.items()])
    graph.nodes.append(node)
    return node, DeclaredParameters(node, PERCEPTION, lambda: configured)


def test_every_parameter_is_declared_with_its_default_description_and_range(graph):
    node, values = parameters(graph)
    for p in PERCEPTION:
        descriptor = node.describe_parameter(p.name)
        assert values[p.name] == p.default and descriptor.description == p.description
    stride, alpha = (node.describe_parameter(name) for name in ('stride', 'overlay_alpha'))
    assert (stride.integer_range[0].from_value, stride.integer_range[0].to_value) == (1, 16)
    assert alpha.floating_point_range[0].to_value == 1.0
    assert node.describe_parameter('autostart').read_only


def test_a_wrong_value_given_at_start_is_refused_in_one_line(graph):
    for name, value in (('stride', 0), ('depth_encoding', '8UC1'), ('model', 3), ('max_range_m', 'far')):
        with pytest.raises(ValueError, match=name):
            parameters(graph, **{name: value})


def test_a_change_is_checked_before_it_is_made_and_whole_numbers_will_do(graph):
    node, values = parameters(graph, max_range_m=60)
    assert values['max_range_m'] == 60.0
    assert not node.set_parameters([RosParameter('depth_encoding', value='8UC1')])[0].successful
    assert values['depth_encoding'] == '32FC1'
    assert node.set_parameters([RosParameter('cloud_max_range_m', value=30)])[0].successful
    assert values['cloud_max_range_m'] == 30.0


def test_what_is_read_when_configuring_cannot_change_after_it(graph):
    node, values = parameters(graph, configured=True)
    result = node.set_parameters([RosParameter('model', value='other')])[0]
    assert not result.successful and 'clean it up' in result.reason
    assert node.set_parameters([RosParameter('model', value='default')])[0].successful
    assert node.set_parameters([RosParameter('stride', value=2)])[0].successful and values['stride'] == 2


def test_a_large_cloud_is_warned_of_with_the_profile_in_use(monkeypatch):
    for variable in PROFILE_VARIABLES:
        monkeypatch.setenv(variable, str(shared_file('config', 'fastdds_large_messages.xml')))
    listener, pixels = Listener(), 2048 * 1024
    for outputs in ({'depth/image': 4 * pixels}, {'depth/image': 4 * pixels, 'points': 20 * pixels // 4}):
        check_segment(listener, outputs)
    assert listener.lines == []
    check_segment(listener, {'depth/image': 4 * pixels, 'points': 20 * pixels})
    (level, text), = listener.lines
    assert level == 'warning' and 'points alone 42 MB' in text


def publisher(node, topic, reliable, latched=False):
    reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
    return node.create_publisher(IMAGE, topic, QoSProfile(depth=5, reliability=reliability, durability=durability))


@pytest.mark.parametrize('clock', [1, 0])
def test_a_subscription_follows_publishers_as_they_come_and_go_without_losing_or_doubling(graph, clock):
    sender, receiver = (graph.node(f'{name}_{clock}') for name in ('sender', 'receiver'))
    seen, stop, topic = [], threading.Event(), f'followed_{clock}'
    subscription = FollowingSubscription(receiver, IMAGE, topic, lambda m: seen.append(m.width))
    receiver.create_timer(0.05, subscription.follow)
    assert subscription.qos.reliability == 'best_effort'
    first = publisher(sender, topic, True)
    wait_until(lambda: subscription.qos.reliability == 'reliable', what='reliable with one reliable publisher')

    def send():
        number = 0
        while not stop.wait(0.03):
            number += 1
            head = make_header(TYPES, clock * number, '')
            first.publish(IMAGE(header=head, width=number, data=bytes([number % 256])))
    thread = threading.Thread(target=send)
    thread.start()
    wait_until(lambda: len(seen) > 5)
    second = publisher(sender, topic, False)
    wait_until(lambda: subscription.qos.reliability == 'best_effort', what='best effort once one publisher is')
    wait_until(lambda: subscription._coming is None)
    sender.destroy_publisher(second)
    wait_until(lambda: subscription.qos.reliability == 'reliable', what='reliable again')
    wait_until(lambda: subscription._coming is None)
    count = len(seen)
    wait_until(lambda: len(seen) > count + 5)
    stop.set()
    thread.join()
    assert list(np.diff(seen)) == [1] * (len(seen) - 1)
    graph.call(subscription.close)


class TwoQualities:
    """A node whose topic is offered best effort, then reliable; messages come by hand, through what was subscribed."""

    offered, subscribed = ReliabilityPolicy.BEST_EFFORT, ()

    def resolve_topic_name(self, topic):
        return topic

    def has_parameter(self, name):
        return True

    def get_parameter(self, name):
        values = {'depth': 5, 'reliability': 'follow', 'durability': 'volatile'}
        return RosParameter(name, value=values[name.split('.')[-1]])

    def get_publishers_info_by_topic(self, topic):
        return [Fields(qos_profile=QoSProfile(depth=5, reliability=self.offered))]

    def create_subscription(self, kind, topic, receive, profile, event_callbacks):
        self.subscribed += (receive,)
        return receive

    def destroy_subscription(self, receive):
        self.subscribed = tuple(r if r is not receive else lambda message: None for r in self.subscribed)


def numbered(number, clock=1):
    return Fields(header=header(clock * number), data=bytes([number]))


@pytest.mark.parametrize('clock', [1, 0])
@pytest.mark.parametrize('old_lags, new_lags', [(0, 0), (0, 3), (0, 8), (2, 0), (1, 1)])
def test_whichever_subscription_lags_when_changing_over_nothing_is_lost_or_seen_twice(clock, old_lags, new_lags):
    node, seen = TwoQualities(), []
    subscription = FollowingSubscription(node, None, 'topic', lambda m: seen.append(m.data[0]))
    node.subscribed[0](numbered(0, clock))
    node.offered = ReliabilityPolicy.RELIABLE
    subscription.follow()
    assert len(node.subscribed) == 2
    for step in range(1, 40):
        for lag, receive in zip((old_lags, new_lags), node.subscribed):
            if step - lag >= 1:
                receive(numbered(step - lag, clock))
        if step % 4 == 0:
            subscription.follow()
    assert seen == list(range(len(seen))) and len(seen) > 30 and subscription.qos.reliability == 'reliable'


def test_a_subscription_that_falls_silent_is_changed_from_after_a_while_and_what_waited_is_delivered():
    node, seen = TwoQualities(), []
    subscription = FollowingSubscription(node, None, 'topic', lambda m: seen.append(m.data[0]))
    node.offered = ReliabilityPolicy.RELIABLE
    for step in range(9):
        subscription.follow()
        node.subscribed[1](numbered(step))
    assert seen == list(range(9))


def test_overrides_come_before_following(graph):
    names = {'reliability': 'reliable', 'depth': 2}
    node = Node('overridden', context=graph.context, parameter_overrides=[
        RosParameter(f'qos_overrides./fixed.subscription.{name}', value=value) for name, value in names.items()])
    graph.add(node)
    trouble = []
    subscription = FollowingSubscription(node, IMAGE, 'fixed', print, incompatible=trouble.append)
    publisher(node, 'fixed', False)
    wait_until(lambda: trouble, what='the event that tells of incompatible quality')
    graph.call(subscription.follow)
    assert (subscription.qos.reliability, subscription.qos.depth, trouble[0]) == ('reliable', 2, 'RELIABILITY')
    graph.call(subscription.close)


def test_durability_can_be_overridden_and_what_is_not_is_still_followed(graph):
    node = Node('latching', context=graph.context, parameter_overrides=[
        RosParameter('qos_overrides./still.subscription.durability', value='transient_local')])
    graph.add(node)
    publisher(node, 'still', True, latched=True).publish(black())
    seen = []
    subscription = FollowingSubscription(node, IMAGE, 'still', seen.append)
    node.create_timer(0.05, subscription.follow)
    wait_until(lambda: seen, what='the image sent before')
    assert (subscription.qos.reliability, subscription.qos.durability) == ('reliable', 'transient_local')
    graph.call(subscription.close)


def test_an_impossible_override_is_refused(graph):
    node = Node('impossible', context=graph.context, parameter_overrides=[
        RosParameter('qos_overrides./odd.subscription.reliability', value='mostly')])
    graph.nodes.append(node)
    with pytest.raises(ValueError, match="'mostly'.*best_effort"):
        FollowingSubscription(node, IMAGE, 'odd', print)


def test_the_worker_takes_the_newest_of_each_source_in_turn():
    gate, started, done = threading.Event(), threading.Event(), []

    def work(source, item):
        started.set()
        gate.wait(5)
        done.append((source, item))
    worker = NewestFirstWorker(work, print)
    worker.put('front', 0)
    assert started.wait(5)
    replaced = [worker.put(s, i) for s, i in (('front', 1), ('left', 1), ('front', 2), ('left', 2), ('front', 3))]
    gate.set()
    wait_until(lambda: len(done) == 3)
    assert replaced == [False, False, True, True, True]
    assert done == [('front', 0), ('front', 3), ('left', 2)]
    worker.stop()


def test_clearing_the_worker_drops_what_waits_and_waits_for_what_runs():
    started, done = threading.Event(), []

    def work(source, item):
        started.set()
        time.sleep(0.1)
        done.append(item)
    worker = NewestFirstWorker(work, print)
    worker.put('a', 1)
    assert started.wait(5)
    worker.put('a', 2)
    assert worker.clear() == ['a'] and done == [1]
    worker.stop()


def test_a_worker_that_fails_says_so():
    failures = []
    worker = NewestFirstWorker(lambda source, item: 1 / 0, failures.append)
    worker.put('a', 1)
    wait_until(lambda: failures)
    assert isinstance(failures[0], ZeroDivisionError)
    assert worker.clear() == []


def test_repeated_trouble_is_said_once_a_period_and_counted():
    listener = Listener()
    log = ThrottledLog(listener, period_s=0.05)
    assert log.last() == ('', None)
    for i in range(4):
        log.warn(f'size {i}')
    log.warn('other')
    time.sleep(0.06)
    log.warn('size 9')
    assert [t for _, t in listener.lines] == ['size 0', 'other', 'size 9 (3 more like it)']
    assert log.last()[0] == 'size 9' and log.last()[1] < 5


def test_cameras_whose_names_differ_in_a_digit_do_not_silence_each_other():
    listener = Listener()
    log = ThrottledLog(listener)
    lines = ['/cam{}/image: image step is {} bytes', '/robot/{}/image: size changed from {}x5 to 7x9',
             "no transform from base to 'camera_{}' after {:.3f} s"]
    for line in lines:
        for camera in (1, 2):
            for number in (3, 40, 500):
                log.warn(line.format(camera, number))
    assert [text for _, text in listener.lines] == [line.format(c, 3) for line in lines for c in (1, 2)]


def test_messages_of_python_s_logging_reach_the_ros_logger_with_their_severity():
    listener, source = Listener(), logging.getLogger('semdepth_ros.test_of_forwarding')
    forward = ForwardToRos(listener)
    source.warning('on the %s', 'CPU')
    source.info('fine')
    forward.close()
    source.error('not any more')
    assert listener.lines == [('warning', 'on the CPU'), ('info', 'fine')]


def info_at(stamp, width=640, focal=500):
    return camera_info(width=width, k=(focal, 0, width / 2, 0, focal, 240, 0, 0, 1), header=header(stamp))


def test_an_image_gets_the_camera_info_of_its_own_stamp_else_the_newest_of_its_size():
    matcher = InfoMatcher()
    assert matcher.camera(640, 480, 5) is None
    for stamp, width, focal in ((5, 640, 500), (6, 640, 600), (7, 320, 700)):
        matcher.add(info_at(stamp, width, focal))
    assert [matcher.camera(640, 480, stamp).fx for stamp in (5, 6, 99)] == [500, 600, 600]
    assert matcher.camera(320, 480, 99).fx == 700
    with pytest.raises(ValueError, match='640x480.*320x480'):
        matcher.camera(320, 480, 6)
    with pytest.raises(ValueError, match='320x480.*111x480'):
        matcher.camera(111, 480, 99)


def test_only_the_newest_camera_info_outlives_a_jump_of_time():
    matcher = InfoMatcher()
    for stamp in range(100):
        matcher.add(info_at(stamp, focal=stamp + 1))
    assert len(matcher) == 30
    matcher.clear()
    assert len(matcher) == 1 and matcher.camera(640, 480, 50).fx == 100


def black():
    data = np.zeros(8, np.uint8)
    return TYPES.make('sensor_msgs/msg/Image', width=4, height=2, encoding='mono8', step=4, data=data)


def test_a_camera_info_that_was_sent_once_and_latched_is_heard_by_whoever_opens_later(graph):
    node, arrivals = graph.node('late', namespace='late'), []
    camera_input = CameraInput(node, TYPES, '', False, 'auto', Statistics(), ThrottledLog(Listener()), arrivals.append)
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    infos = node.create_publisher(TYPES.message_class('sensor_msgs/msg/CameraInfo'), 'camera_info', latched)
    infos.publish(TYPES.make('sensor_msgs/msg/CameraInfo', width=4, height=2,
                             k=np.array([5., 0, 2, 0, 5, 1, 0, 0, 1])))
    camera_input.open()
    images = publisher(node, 'image', True)
    timer = node.create_timer(0.05, camera_input.follow)
    wait_until(images.get_subscription_count)

    def camera():
        images.publish(black())
        return wait_until(lambda: arrivals and camera_input.frame(arrivals.pop().message)).camera
    assert wait_until(camera, what='the camera_info sent before').fx == 5
    node.destroy_timer(timer)
    graph.call(camera_input.close)


@pytest.mark.parametrize('topic, kind, rectified', [
    ('image_raw', 'auto', False), ('image_rect_color', 'auto', True), ('image_rect', 'raw', False),
    ('view', 'rectified', True)])
def test_rectified_images_are_known_by_their_topic_or_by_parameter_and_use_p(graph, topic, kind, rectified):
    name = f'input_{topic}_{kind}'
    node, arrivals = graph.node(name, namespace=name, cli_args=['--ros-args', '-r', f'image:={topic}']), []
    camera_input = CameraInput(node, TYPES, '', False, kind, Statistics(), ThrottledLog(Listener()), arrivals.append)
    camera_input.open()
    images = node.create_publisher(IMAGE, topic, 5)
    infos = node.create_publisher(TYPES.message_class('sensor_msgs/msg/CameraInfo'), 'camera_info', 5)
    wait_until(lambda: images.get_subscription_count() and infos.get_subscription_count())
    info = TYPES.make('sensor_msgs/msg/CameraInfo', width=4, height=2, distortion_model='plumb_bob', d=np.full(5, 0.1),
                      k=np.array([5., 0, 2, 0, 5, 1, 0, 0, 1]), p=np.array([4., 0, 2, 0, 0, 4, 1, 0, 0, 0, 1, 0]))
    infos.publish(info)
    images.publish(black())
    arrival = wait_until(lambda: arrivals, what='the image, which waits for its camera_info')[0]
    camera = camera_input.frame(arrival.message).camera
    assert (camera.fx, camera.is_distorted) == ((4, False) if rectified else (5, True))
    graph.call(camera_input.close)


def test_gaps_never_become_fewer_whoever_knows_of_them(graph):
    node, statistics = graph.node('gaps', namespace='gaps'), Statistics()
    camera_input = CameraInput(node, TYPES, '', False, 'auto', statistics, ThrottledLog(Listener()), print)
    counts = []
    for stamp in (0, 1, 2, 3, 4, 5, 26, 27):
        camera_input._watch.see(stamp * 100_000_000)
    for lost in (0, 1, 30):
        camera_input._on_lost(lost)
        counts.append(camera_input.gaps)
    assert counts == [20, 20, 31]


def diagnosed(diagnostics, camera_input, statistics):
    """Return level and message of the status of a camera with this input."""
    channel = CameraChannel('', camera_input, None, None, statistics)
    status = diagnostics._camera(channel, time.monotonic())
    return ord(status.level), status.message


def test_gaps_are_told_of_once_and_anew_for_every_configuration(graph):
    node = graph.node('told', namespace='told')
    diagnostics = PerceptionDiagnostics(node, TYPES, ThrottledLog(Listener()))
    for lost in (20, 5):
        statistics = Statistics()
        camera_input = CameraInput(node, TYPES, '', False, 'auto', statistics, ThrottledLog(Listener()), print)
        camera_input._on_lost(lost)
        assert diagnosed(diagnostics, camera_input, statistics) == (WARN, f'{lost} images did not come')
        assert diagnosed(diagnostics, camera_input, statistics)[0] == OK


def test_a_camera_that_sends_nothing_is_warned_of_with_its_topic_and_publishers(graph):
    node, statistics = graph.node('silent', namespace='silent'), Statistics()
    diagnostics = PerceptionDiagnostics(node, TYPES, ThrottledLog(Listener()))
    camera_input = CameraInput(node, TYPES, '', False, 'auto', statistics, ThrottledLog(Listener()), print)
    assert diagnosed(diagnostics, camera_input, statistics)[0] == OK
    images = publisher(node, 'image', True)
    graph.call(camera_input.open)
    wait_until(lambda: diagnosed(diagnostics, camera_input, statistics)[0] == WARN, what='a warning')
    message = diagnosed(diagnostics, camera_input, statistics)[1]
    assert message.startswith('no image on /silent/image for ') and message.endswith('(publishers: 1)')
    images.publish(black())
    wait_until(lambda: diagnosed(diagnostics, camera_input, statistics)[0] == OK, what='no warning')
    now = statistics.last_s('received')
    for second in (1, 2):
        statistics.count('received', now + second)
    assert camera_input.silence_s(now + 6.9) == 0 and camera_input.silence_s(now + 7.1) == pytest.approx(5.1)
    graph.call(camera_input.close)
    assert diagnosed(diagnostics, camera_input, statistics)[0] == OK


def test_a_publisher_that_cannot_be_heard_is_told_of_while_it_is_there(graph):
    node = Node('choosy', namespace='choosy', context=graph.context, parameter_overrides=[
        RosParameter('qos_overrides./choosy/image.subscription.reliability', value='reliable')])
    graph.add(node)
    sender, statistics, listener = graph.node('sender', namespace='choosy'), Statistics(), Listener()
    diagnostics = PerceptionDiagnostics(node, TYPES, ThrottledLog(listener))
    camera_input = CameraInput(node, TYPES, '', False, 'auto', statistics, ThrottledLog(listener), print)
    images = publisher(sender, 'image', False)
    graph.call(camera_input.open)
    words = 'a publisher of /choosy/image offers another reliability than qos_overrides ask for'
    wait_until(lambda: diagnosed(diagnostics, camera_input, statistics) == (WARN, words), what=words)
    wait_until(lambda: any(words in text for _, text in listener.lines), what='a line in the log')
    graph.call(lambda: sender.destroy_publisher(images))
    wait_until(lambda: diagnosed(diagnostics, camera_input, statistics)[1] != words, what='no warning')
    graph.call(camera_input.close)


@pytest.fixture
def transforms(overlays, graph, monkeypatch):
    """Return a MountListener that is in a hurry, and a function that sends transforms as /tf or /tf_static."""
    monkeypatch.setattr(mount_listener, '_WANTED_S', 1.0)
    monkeypatch.setattr(mount_listener, '_AGAIN_S', 1.0)
    monkeypatch.setattr(mount_listener, '_LOOK_S', 0.3)
    node, types = graph.node(f'mounts_{time.monotonic_ns()}'), RclpyTypes()
    listener, publishers = mount_listener.MountListener(node, types), {}
    node.create_timer(0.05, listener.update)

    def send(topic, parent, child, z, rotation=(-0.5, 0.5, -0.5, 0.5)):
        if topic not in publishers:
            qos = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL) if topic == '/tf_static' else 10
            publishers[topic] = node.create_publisher(types.message_class('tf2_msgs/msg/TFMessage'), topic, qos)
        transform = types.make('geometry_msgs/msg/Transform')
        transform.translation.z = z
        for axis, value in zip('xyzw', rotation):
            setattr(transform.rotation, axis, value)
        part = types.make('geometry_msgs/msg/TransformStamped', header=make_header(types, 0, parent),
                          child_frame_id=child, transform=transform)
        publishers[topic].publish(types.message_class('tf2_msgs/msg/TFMessage')(transforms=[part]))
    yield node, listener, send
    graph.call(listener.close)
    for publisher in publishers.values():
        node.destroy_publisher(publisher)


def test_transforms_are_listened_to_only_while_somebody_asks_for_a_mount(transforms):
    node, listener, _ = transforms
    for _ in range(2):
        assert listener.mount('base', 'camera') is None
        wait_until(lambda: node.count_subscribers('/tf') and node.count_subscribers('/tf_static'), what='subscriptions')
        wait_until(lambda: not (node.count_subscribers('/tf') or node.count_subscribers('/tf_static')), what='none')


def test_a_static_mount_leaves_tf_alone_and_is_looked_up_again_when_it_is_sent_anew(transforms):
    node, listener, send = transforms
    send('/tf_static', 'base', 'static_camera', 1.2)

    def height():
        mount = listener.mount('base', 'static_camera')
        return mount and mount.height_m
    assert wait_until(height) == 1.2
    wait_until(lambda: height() and not node.count_subscribers('/tf'), what='/tf left alone')
    send('/tf_static', 'base', 'static_camera', 1.5)
    wait_until(lambda: height() == 1.5, what='the new height')


def test_a_mount_that_moves_is_looked_up_again_and_again(transforms):
    _, listener, send = transforms

    def height(sent):
        send('/tf', 'base', 'moving_camera', sent)
        mount = listener.mount('base', 'moving_camera')
        return mount is not None and mount.height_m == sent
    for sent in (1.2, 1.4, 0.9):
        wait_until(lambda: height(sent), what=f'a height of {sent}')


def test_what_tf_says_of_a_mount_is_told_when_found_and_when_it_has_changed(transforms, graph):
    """What was learned of the network stays: the source is told where the camera is now."""
    _, listener, send = transforms
    said, perceptor = Listener(), Fields(card=Fields(classes=()), version=0)
    _, values = parameters(graph, scale_source='camera_height', base_frame='base')
    scale = CameraScale(values, listener, None, ThrottledLog(said))

    def source():
        return scale.source('told_camera', perceptor)
    assert source().scale.value == 1 and 'no transform from base' in said.lines[-1][1]
    send('/tf_static', 'base', 'told_camera', 1.2)
    wait_until(lambda: hasattr(source(), 'mount'), what='a mount')
    assert said.lines[-1] == ('info', "found: 'told_camera' is 1.20 m above base and looks down by 0.0 degrees")
    first, lines = source(), len(said.lines)
    send('/tf_static', 'base', 'told_camera', 1.5)
    wait_until(lambda: source().mount.height_m == 1.5, what='the new height')
    assert source() is first and [text for _, text in said.lines[lines:]] == [
        "found: 'told_camera' is 1.50 m above base and looks down by 0.0 degrees"]
    send('/tf_static', 'base', 'told_camera', 1.5, (0.0, 0.0, 0.0, 1.0))
    wait_until(lambda: source().mount.tilt is None, what='no tilt')
    assert said.lines[-1][0] == 'warning' and 'as an optical frame' in said.lines[-1][1]


def test_a_height_that_is_given_comes_before_that_of_tf_and_takes_its_tilt(transforms, graph):
    _, listener, send = transforms
    _, values = parameters(graph, scale_source='camera_height', base_frame='base', camera_height_m=0.8)
    scale = CameraScale(values, listener, None, ThrottledLog(Listener()))

    def source():
        return scale.source('given_camera', Fields(card=Fields(classes=()), version=0))
    assert source().mount.height_m == 0.8 and source().mount.tilt is None
    send('/tf_static', 'base', 'given_camera', 1.2)
    wait_until(lambda: source().mount.tilt, what='a tilt')
    assert source().mount.height_m == 0.8


def test_the_first_image_waits_for_a_camera_info_that_somebody_publishes_but_not_for_ever(graph):
    node, arrivals = graph.node('patient', namespace='patient'), []
    camera_input = CameraInput(node, TYPES, '', False, 'auto', Statistics(), ThrottledLog(Listener()), arrivals.append)
    camera_input.open()
    images = node.create_publisher(IMAGE, 'image', 5)
    node.create_publisher(TYPES.message_class('sensor_msgs/msg/CameraInfo'), 'camera_info', 5)
    wait_until(images.get_subscription_count)
    start = time.monotonic()
    images.publish(black())
    timer = node.create_timer(0.05, camera_input.follow)
    wait_until(lambda: arrivals)
    assert time.monotonic() - start > 0.3
    node.destroy_timer(timer)
    graph.call(camera_input.close)

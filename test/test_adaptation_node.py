"""The learner on a live graph beside perception: frames in, a status a second, weights that perception takes."""
import numpy as np
import pytest
from adaptation_world import CAMERA, PERIOD_NS, pose, view
from node_parts import TYPES
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros_graph import Graph, wait_until
from std_srvs.srv import Trigger
from tiny_model import write_models

from semdepth_ros.adaptation import read_journal
from semdepth_ros.bridge.adaptation_parameters import adapter_settings
from semdepth_ros.bridge.camera_info import make_camera_info
from semdepth_ros.bridge.images import make_image
from semdepth_ros.bridge.messages import make_header
from semdepth_ros.bridge.model_info import sha256_of
from semdepth_ros.geometry.transform_tree import pose_of_text
from semdepth_ros.nodes.adaptation import AdaptationNode
from semdepth_ros.nodes.perception import PerceptionNode

START_NS = 1_000_000_000
# a trial on one block after a few steps, whose criteria hardly anything fails: what is tested is what comes of it
EASY = ['step.learning_rate=0.001', 'step.warmup=0', 'step.average=0.5', 'step.anchors_from=none', 'step.anchors=0',
        'step.most_change=1.0', 'trial.period=8', 'trial.block=3', 'trial.blocks=1', 'trial.steps=2', 'trial.level=1.0',
        'trial.least_gain=0.0', 'trial.most_log_change=1000.0', 'trial.most_scale_change=1000.0', 'trial.least_accepted=0.0',
        'trial.least_spread=0.0', 'reset.settle=1', 'reset.least_similarity=0.0', 'gates.least_tracks=10',
        'gates.least_parallax_px=0.1', 'gates.least_sharpness=0.1', 'gates.most_deviations=1000.0',
        "gates.off=[odometry, auto_mask, parallax]"]


class Drive:
    """Sends the corridor's images, calibration and odometry."""

    def __init__(self, graph):
        self.node, self.number = graph.node('drive'), 0
        self._publish()

    def _publish(self):
        self.image, self.lens, self.odometry = (self.node.create_publisher(TYPES.message_class(kind), topic, 10) for kind, topic in (
            ('sensor_msgs/msg/Image', 'image'), ('sensor_msgs/msg/CameraInfo', 'camera_info'),
            ('nav_msgs/msg/Odometry', 'odometry')))

    def heard(self, times):
        return self.image.get_subscription_count() >= times and self.odometry.get_subscription_count() >= 1

    def send(self, number=None):
        number = self.number if number is None else number
        self.number = number + 1
        stamp = START_NS + number * PERIOD_NS
        message = TYPES.message_class('nav_msgs/msg/Odometry')(header=make_header(TYPES, stamp, 'odom'), child_frame_id='base')
        x, y, z = pose(number)[:3, 3]
        message.pose.pose.position.x, message.pose.pose.position.y, message.pose.pose.position.z = x, y, z
        self.odometry.publish(message)
        header = make_header(TYPES, stamp, 'lens')
        self.lens.publish(make_camera_info(TYPES, header, CAMERA))
        self.image.publish(make_image(TYPES, header, view(number * 0.45 % 40.0)[0], 'rgb8'))


@pytest.fixture
def graph():
    graph = Graph()
    yield graph
    graph.close()


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp('model'), 2)


def start(graph, kind, **parameters):
    node = graph.add(kind(context=graph.context, parameter_overrides=[
        Parameter(name, value=value) for name, value in parameters.items()]))
    wait_until(lambda: node.state == 'active', 120.0, 'active')
    return node


def learner(graph, model, folder, **more):
    settings = {'mode': 'on', 'settings': EASY, 'weights_dir': str(folder), 'model': str(model), 'device': 'cpu',
                'camera_in_base': '0 0 0 0 0 0 1', 'busy_share': 1.0, 'idle_priority': False}
    return start(graph, AdaptationNode, **settings | more)


def call(graph, node, service):
    client = node.create_client(Trigger, f'adaptation/{service}')
    assert client.wait_for_service(60.0)
    future = client.call_async(Trigger.Request())
    wait_until(future.done, 120.0, service)
    return future.result()


def statuses(drive):
    seen = []
    drive.node.create_subscription(TYPES.message_class('semdepth_ros/msg/AdaptationStatus'), 'adaptation/status', seen.append, 10)
    return seen


def drive_until(drive, node, done, most=120):
    """Send frame after frame, each once the learner has taken the one before, until something has come about."""
    for _ in range(most):
        if done():
            return
        before = node.work.adapter.number
        drive.send()
        wait_until(lambda: node.work.adapter.number > before, 120.0, 'a frame to be taken')
    assert done(), f'not within {most} frames: {node.work.adapter.last_verdict!r}, {node.work.adapter.gates.rejections}'


def test_what_is_promoted_is_served_and_rolled_back_again(graph, model, tmp_path):
    served = []
    drive = Drive(graph)
    drive.node.create_subscription(
        TYPES.message_class('semdepth_ros/msg/ModelInfo'), 'perception/model_info', lambda m: served.append(m.version),
        QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    depth = []
    drive.node.create_subscription(TYPES.message_class('sensor_msgs/msg/Image'), 'depth/image', depth.append, 10)
    perception = start(graph, PerceptionNode, model=str(model[0]), device='cpu', weights_dir=str(tmp_path))
    node, seen = learner(graph, model[0], tmp_path), statuses(drive)
    wait_until(lambda: drive.heard(2), 20.0, 'subscribers')
    drive_until(drive, node, lambda: node.work.adapter.counts['promotions'])
    version = node.work.adapter.served.number
    wait_until(lambda: perception.work.perceptor.version == version, 20.0, 'the promoted weights to be served')
    drive.send()
    wait_until(lambda: version in served, 20.0, 'the version to be told')
    assert (tmp_path / f'v{version:06d}.safetensors').exists()

    answer = call(graph, drive.node, 'rollback')
    assert answer.success and 'served again' in answer.message
    earlier = node.work.adapter.served.number
    wait_until(lambda: perception.work.perceptor.version == earlier, 20.0, 'the earlier weights to be served')
    wait_until(lambda: seen and seen[-1].rollbacks == 1, 20.0, 'the status to tell of it')
    assert seen[-1].promotions >= 1 and seen[-1].served_version == earlier and 'rolled back' in seen[-1].last_verdict
    assert len(seen[-1].gate_names) == len(seen[-1].gate_open) == len(seen[-1].gate_values) > 5
    events = [line['event'] for line in read_journal(tmp_path / 'journal.jsonl')]
    assert events.count('promotion') >= 1 and 'rollback' in events and depth


def test_a_shadow_serves_nothing_and_does_what_it_is_asked(graph, model, tmp_path):
    drive = Drive(graph)
    node, seen = learner(graph, model[0], tmp_path, mode='shadow'), statuses(drive)
    updates = []
    drive.node.create_subscription(TYPES.message_class('semdepth_ros/msg/WeightsUpdate'), 'weights', updates.append, 10)
    wait_until(lambda: drive.heard(1), 20.0, 'subscribers')
    refused = call(graph, drive.node, 'promote')
    assert not refused.success and 'expected 1' in refused.message
    drive_until(drive, node, lambda: node.work.adapter.counts['would_promote'] and node.work.adapter.counts['steps'] > 2)
    assert node.work.adapter.served.number == 0 and not updates and not list(tmp_path.glob('v*.safetensors'))
    assert call(graph, drive.node, 'save').success and (tmp_path / 'candidate.safetensors').exists()
    assert not call(graph, drive.node, 'rollback').success
    assert call(graph, drive.node, 'pause').success
    steps = node.work.adapter.counts['steps']
    drive_until(drive, node, lambda: node.work.status.state == 'paused', 5)
    assert node.work.adapter.counts['steps'] == steps
    assert call(graph, drive.node, 'resume').success and call(graph, drive.node, 'reset').success
    drive.send(0)                                                      # a bag that begins anew
    wait_until(lambda: seen and seen[-1].frames_seen >= drive.number, 20.0, 'a status')
    assert seen[-1].state in range(7) and seen[-1].served_version == 0


def test_other_factory_weights_in_perception_are_not_believed(graph, model, tmp_path):
    drive, lines = Drive(graph), []
    node = learner(graph, model[0], tmp_path)
    node.work._log.warn = lines.append
    info = TYPES.message_class('semdepth_ros/msg/ModelInfo')(version=3, factory_hash='0' * 64)
    publisher = drive.node.create_publisher(type(info), 'perception/model_info',
                                            QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    publisher.publish(info)
    wait_until(lambda: lines, 20.0, 'a warning')
    assert 'factory 000000000000' in lines[0] and node.work.adapter.served.number == 0


def test_what_perception_refuses_is_not_believed_to_be_served(graph, model, tmp_path):
    drive = Drive(graph)
    perception = start(graph, PerceptionNode, model=str(model[0]), device='cpu', weights_dir=str(tmp_path / 'elsewhere'))
    node = learner(graph, model[0], tmp_path / 'weights', announcement_patience_s=1.0)
    wait_until(lambda: drive.heard(1), 20.0, 'subscribers')
    drive_until(drive, node, lambda: node.work.adapter.counts['promotions'])
    wait_until(lambda: node.work.adapter.served.number == 0, 20.0, 'the learner to go on from what is served')
    assert perception.work.perceptor.version == 0
    journal = tmp_path / 'weights' / 'journal.jsonl'                   # written in the moment after
    wait_until(lambda: 'believed' in [line['event'] for line in read_journal(journal)], 20.0, 'the journal to tell')


def test_a_perception_that_begins_anew_is_given_the_time_to_take_what_was_announced(graph, model, tmp_path):
    drive = Drive(graph)
    options = {'model': str(model[0]), 'device': 'cpu', 'weights_dir': str(tmp_path)}
    perception = start(graph, PerceptionNode, **options)
    node = learner(graph, model[0], tmp_path)
    wait_until(lambda: drive.heard(1), 20.0, 'subscribers')
    drive_until(drive, node, lambda: node.work.adapter.counts['promotions'])
    version = node.work.adapter.served.number
    wait_until(lambda: perception.work.perceptor.version == version, 20.0, 'the promoted weights to be served')
    node.work.weights._announced_at_s -= 3600.0                                # long ago
    graph.remove(perception)
    again = start(graph, PerceptionNode, **options)
    wait_until(lambda: again.work.perceptor.version == version, 20.0, 'the newest weights to be served again')
    call(graph, drive.node, 'resume')                                  # whatever was heard until now has been thought over
    assert node.work.adapter.served.number == version
    assert 'believed' not in [line['event'] for line in read_journal(tmp_path / 'journal.jsonl')]


def test_a_learner_killed_after_it_put_weights_aside_has_perception_go_back(graph, tmp_path):
    files = write_models(tmp_path, 3)
    drive = Drive(graph)
    perception = start(graph, PerceptionNode, model=str(files[0]), device='cpu', weights_dir=str(tmp_path))
    perception.work.perceptor.load_weights(files[2])                   # what it served when the learner was killed
    perception.work.weights._versions[2] = perception.work.weights._served(
        perception.work.perceptor.card, files[2].name, sha256_of(files[2]))
    drive.node.create_subscription(TYPES.message_class('sensor_msgs/msg/Image'), 'depth/image', lambda m: None, 10)
    wait_until(lambda: drive.image.get_subscription_count(), 20.0, 'perception')
    drive.send()
    node = learner(graph, files[0], tmp_path / 'of the learner', weights_dir=str(tmp_path), announcement_patience_s=1.0)
    wait_until(lambda: drive.heard(2), 20.0, 'subscribers')
    drive_until(drive, node, lambda: perception.work.perceptor.version == 0)
    assert node.work.adapter.served.number == 0


def test_a_model_that_cannot_be_adapted_leaves_the_node_unconfigured_with_a_reason(graph, tmp_path):
    node = graph.add(AdaptationNode(context=graph.context, parameter_overrides=[
        Parameter('model', value=str(tmp_path / 'none.safetensors'))]))
    wait_until(lambda: node.failure, 20.0, 'a failure')
    assert 'none.safetensors' in node.failure and node.state == 'unconfigured'


def test_the_mode_may_be_given_on_the_command_line_without_quotes(model, tmp_path):
    graph = Graph('--ros-args', '-p', 'mode:=on', '-p', f'model:={model[0]}', '-p', f'weights_dir:={tmp_path}')
    try:
        node = graph.add(AdaptationNode(context=graph.context))
        wait_until(lambda: node.state == 'active', 30.0, node.failure)
        assert node.work.adapter.mode == 'on'
    finally:
        graph.close()


@pytest.mark.parametrize('texts, words', [(['gates.least_travel=1'], 'least_travel'), (['nothing'], 'KEY=VALUE'),
                                          (['step.profile=half'], 'half')])
def test_settings_that_cannot_be_are_named(texts, words):
    with pytest.raises(ValueError, match=words):
        adapter_settings('on', texts)


def test_a_mount_is_seven_numbers():
    np.testing.assert_allclose(pose_of_text('1 2 3 0 0 0 1')[:3, 3], (1, 2, 3))
    assert pose_of_text(' ') is None
    with pytest.raises(ValueError, match='seven numbers'):
        pose_of_text('1 2 3')

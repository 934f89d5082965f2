"""Where a camera is mounted: listened for on TF, told to the scale source, and told to people."""
from dataclasses import replace
import time
from types import SimpleNamespace

import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter
from rclpy.qos import DurabilityPolicy, QoSProfile

from bridge_messages import Fields
from node_parts import TYPES, Listener
from ros_graph import wait_until
from semdepth_ros.bridge.messages import make_header
from semdepth_ros.bridge.perception_parameters import PERCEPTION
from semdepth_ros.bridge.rclpy_types import RclpyTypes
from semdepth_ros.frame_perception import Scale
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.nodes.camera_scale import SILENT_S, STATUS, STATUS_TOPIC, CameraScale, LearnedScale
from semdepth_ros.nodes.declared_parameters import DeclaredParameters
from semdepth_ros.nodes.mount_listener import MountListener, Patience
from semdepth_ros.nodes.throttled_log import ThrottledLog
from semdepth_ros.scale.camera_store import StoredScale, cameras_folder, store_scale


def parameters(graph, **overrides):
    node = Node(f'parameters_{time.monotonic_ns()}', context=graph.context,
                parameter_overrides=[RosParameter(k, value=v) for k, v in overrides.items()])
    graph.nodes.append(node)
    return DeclaredParameters(node, PERCEPTION, lambda: False)


@pytest.fixture
def transforms(overlays, graph):
    """Return a MountListener that is in a hurry, and a function that sends transforms as /tf or /tf_static."""
    node, types = graph.node(f'mounts_{time.monotonic_ns()}'), RclpyTypes()
    listener, publishers = MountListener(node, types, Patience(wanted_s=1.0, again_s=1.0, look_s=0.3)), {}
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
    values = parameters(graph, scale_source='camera_height', base_frame='base')
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
    values = parameters(graph, scale_source='camera_height', base_frame='base', camera_height_m=0.8)
    scale = CameraScale(values, listener, None, ThrottledLog(Listener()))

    def source():
        return scale.source('given_camera', Fields(card=Fields(classes=()), version=0))
    assert source().mount.height_m == 0.8 and source().mount.tilt is None
    send('/tf_static', 'base', 'given_camera', 1.2)
    wait_until(lambda: source().mount.tilt, what='a tilt')
    assert source().mount.height_m == 0.8


def test_a_stored_scale_is_taken_where_it_fits_and_else_says_why_not(graph, tmp_path, monkeypatch):
    monkeypatch.setenv('ROS_HOME', str(tmp_path))
    camera, said = Camera(64, 48, 50.0, 50.0, 31.5, 23.5), Listener()
    store_scale(StoredScale('lens', camera, 'f' * 64, 1.3, 0.1, 'tape measure'), cameras_folder())
    served = SimpleNamespace(card=SimpleNamespace(factory='f' * 64), version=0)
    scale = CameraScale(parameters(graph, scale_source='stored'), None, None, ThrottledLog(said))
    assert 'no camera_info' in scale.source('lens', served).doubt
    taken = scale.source('lens', served, camera)
    assert taken.scale == Scale(1.3, pytest.approx(0.13), True) and scale.source('lens', served, camera) is taken
    assert not scale.source('lens', served, replace(camera, fx=60.0)).scale.metric and 'fx was 50, is 60' in scale.doubt
    assert 'no scale is stored' in scale.source('other', served, camera).doubt
    served.card.factory = 'e' * 64
    assert 'factory weights' in scale.source('lens', served, camera).doubt
    assert [level for level, _ in said.lines] == ['info', 'warning', 'warning', 'warning']
    served.card.factory = 'f' * 64
    store_scale(StoredScale('lens', camera, 'f' * 64, 1.2, 0.2, 'one point'), cameras_folder())
    vague = scale.source('lens', served, camera)
    assert vague.scale == Scale(1.2, pytest.approx(0.24), False) and 'known to 20 %, expected 15 %' in scale.doubt
    store_scale(StoredScale('lens', camera, 'f' * 64, 1.1, 0.1, 'more points'), cameras_folder())
    assert scale.source('lens', served, camera) is vague                        # read once, until somebody says so
    scale.read_anew()
    assert scale.source('lens', served, camera).scale.value == 1.1
    served.version = 4                                                          # promoted since
    assert scale.source('lens', served, camera).scale == Scale(1.1, pytest.approx(1.1 * (0.1 ** 2 + 0.05 ** 2) ** 0.5), True)
    assert 'with version 0 of the weights; 4 is served' in said.lines[-1][1]


def test_the_learner_s_scale_is_metric_while_it_speaks_of_what_is_served_and_says_why_not(graph):
    node = graph.node('serves')
    learner = LearnedScale(node, TYPES)
    graph.call(lambda: learner.update(True))
    publisher = graph.node('learns').create_publisher(TYPES.message_class(STATUS), STATUS_TOPIC, 5)
    scale, served = CameraScale(parameters(graph, scale_source='adaptation'), None, learner, None), SimpleNamespace(version=3)
    assert scale.source('lens', served).scale == Scale() and 'has not said' in scale.doubt
    wait_until(publisher.get_subscription_count, what='a subscriber')

    def heard(**fields):
        before = learner._status
        publisher.publish(TYPES.make(STATUS, served_version=3, **fields))
        wait_until(lambda: learner._status is not before, what='a status')
        return scale.source('lens', served).scale
    assert heard(scale=1.5, scale_sigma=0.1, metric=True) == Scale(1.5, pytest.approx(0.15), True) and scale.doubt == ''
    assert scale.source('lens', SimpleNamespace(version=4)).scale.metric is False and 'version 3, served is 4' in scale.doubt
    assert not heard(scale=1.5, scale_sigma=0.1, scale_doubt='odometry says 200 %').metric and scale.doubt == 'odometry says 200 %'
    assert heard(scale=float('nan'), scale_sigma=float('nan')) == Scale()
    other = make_header(TYPES, 10**9, 'left')
    assert not heard(scale=1.5, scale_sigma=0.1, metric=True, header=other).metric
    assert scale.doubt == "the learner looks through 'left', this is 'lens'"
    heard(scale=1.5, scale_sigma=0.1, metric=True)
    learner._heard_s -= 2 * SILENT_S
    assert not scale.source('lens', served).scale.metric and 'has been silent for more than 15 s' in scale.doubt
    graph.call(lambda: learner.update(False))

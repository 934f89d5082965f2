"""What comes from one camera of a graph: waiting for a camera_info, topics of other types, odd intrinsics and words."""
import time

import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile

from node_parts import IMAGE, TYPES, Listener, black, publisher
from ros_graph import Graph, wait_until
from semdepth_ros.bridge.diagnostics import Statistics
from semdepth_ros.bridge.messages import make_header
from semdepth_ros.nodes import camera_input
from semdepth_ros.nodes.camera_input import CameraInput
from semdepth_ros.nodes.throttled_log import ThrottledLog

COMPRESSED, INFO = (TYPES.message_class(f'sensor_msgs/msg/{name}') for name in ('CompressedImage', 'CameraInfo'))


class Lines(list):
    """A logger that remembers what it is told."""

    def warning(self, text):
        self.append(text)


class Rig:
    """A camera input in a namespace of its own, and what came of it."""

    def __init__(self, graph, name, compressed=False, image_bits=0):
        self.graph, self.node = graph, graph.node(name, namespace=name)
        self.arrivals, self.lines, self.statistics = [], Lines(), Statistics()
        self.input = CameraInput(self.node, TYPES, '', compressed, 'auto', self.statistics,
                                 ThrottledLog(self.lines, 0.0), self.arrivals.append, image_bits)
        self.input.open()
        self.timer = self.node.create_timer(0.05, self.input.follow)

    def close(self):
        self.node.destroy_timer(self.timer)
        self.graph.call(self.input.close)


def picture(stamp_ns, words=np.zeros((2, 4), np.uint8), encoding='mono8'):
    data = np.ascontiguousarray(words).view(np.uint8)
    return TYPES.make('sensor_msgs/msg/Image', header=make_header(TYPES, stamp_ns, 'lens'), width=4, height=2,
                      encoding=encoding, step=data.shape[1], data=data.reshape(-1))


def calibration(stamp_ns, focal=5.0):
    return TYPES.make('sensor_msgs/msg/CameraInfo', header=make_header(TYPES, stamp_ns, 'lens'), width=4, height=2,
                      k=np.array([focal, 0, 1.5, 0, focal, 0.5, 0, 0, 1]))


@pytest.mark.parametrize('announced', [True, False])
def test_not_one_image_is_dropped_while_a_camera_info_is_waited_for_in_vain(graph, announced):
    rig = Rig(graph, f'in_vain_{announced}')
    images = rig.node.create_publisher(IMAGE, 'image', 5)
    infos = rig.node.create_publisher(INFO, 'camera_info', 5) if announced else None
    wait_until(lambda: images.get_subscription_count() and (not infos or infos.get_subscription_count()))
    for number in range(20):
        images.publish(picture(1_000_000_000 + 50_000_000 * number))
        time.sleep(0.05)
    wait_until(lambda: len(rig.arrivals) == 20, what=f'20 images, not {len(rig.arrivals)}')
    assert rig.statistics.total('dropped') == 0
    waited = [later.at_s - earlier.at_s for earlier, later in zip(rig.arrivals, rig.arrivals[1:])]
    assert min(waited) > 0  # in the order in which they came
    rig.close()


def test_the_first_image_waits_for_the_camera_info_that_follows_it(graph):
    rig = Rig(graph, 'follows')
    images, infos = rig.node.create_publisher(IMAGE, 'image', 5), rig.node.create_publisher(INFO, 'camera_info', 5)
    wait_until(lambda: images.get_subscription_count() and infos.get_subscription_count())
    images.publish(picture(1_000_000_000))
    time.sleep(0.1)
    assert not rig.arrivals
    infos.publish(calibration(1_000_000_000))
    arrival = wait_until(lambda: rig.arrivals)[0]
    assert rig.input.frame(arrival.message).camera.fx == 5
    rig.close()


def test_a_topic_of_another_type_is_named_in_the_log_with_what_helps(graph):
    others = Graph()  # one process of Fast DDS has one type for a topic
    node = others.node('drivers')
    try:
        raw = Rig(graph, 'raw')
        node.create_publisher(COMPRESSED, '/raw/image', 5)
        line = wait_until(lambda: next((t for t in raw.lines if 'CompressedImage' in t), ''))
        assert line.startswith('/raw/image is published as sensor_msgs/msg/CompressedImage, but sensor_msgs/msg/Image')
        assert 'image_transport: compressed' in line
        time.sleep(0.3)
        assert raw.lines.count(line) == 1
        raw.close()
        jpeg = Rig(graph, 'jpeg', compressed=True)
        node.create_publisher(IMAGE, '/jpeg/image/compressed', 5)
        node.create_publisher(IMAGE, '/jpeg/camera_info', 5)
        wait_until(lambda: any('image_transport: raw' in t for t in jpeg.lines))
        wait_until(lambda: any('/jpeg/camera_info is published as sensor_msgs/msg/Image' in t for t in jpeg.lines))
        jpeg.close()
    finally:
        others.close()


def test_intrinsics_that_cannot_be_leave_images_without_a_camera_and_are_told_once(graph):
    rig = Rig(graph, 'normalised')
    infos, images = rig.node.create_publisher(INFO, 'camera_info', 5), rig.node.create_publisher(IMAGE, 'image', 5)
    wait_until(lambda: infos.get_subscription_count() and images.get_subscription_count())
    infos.publish(calibration(1, focal=0.1))
    images.publish(picture(1))
    wait_until(lambda: rig.arrivals, what='the image, which waits for a camera_info')
    frames = [rig.input.frame(picture(stamp)) for stamp in (1, 2, 3)]
    assert [frame.camera for frame in frames] == [None] * 3
    line, = rig.lines
    assert line.startswith('/normalised/camera_info: camera_info: focal length is 0.1 px for images of 4x2')
    assert line.endswith('images go on, without metric geometry and cloud')
    rig.close()


@pytest.mark.parametrize('bits, brightest', [(0, 65472), (12, 1023 << 4)])
def test_words_are_scaled_by_the_bits_they_use_or_by_the_parameter(graph, bits, brightest):
    rig = Rig(graph, f'words_{bits}', image_bits=bits)
    words = np.array([[0, 1, 2, 1023]] * 2, np.uint16)
    assert rig.input.frame(picture(1, words, 'mono16')).image.max() == brightest
    if bits:
        assert rig.input.frame(picture(2, words, '16UC1')).image.max() == brightest
    else:
        with pytest.raises(ValueError, match='16UC1.*which depth images have.*image_bits'):
            rig.input.frame(picture(2, words, '16UC1'))
    rig.close()


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
    node, statistics, arrivals = graph.node('gaps', namespace='gaps'), Statistics(), []
    camera_input = CameraInput(node, TYPES, '', False, 'auto', statistics, ThrottledLog(Listener()), arrivals.append)
    graph.call(camera_input.open)
    images, counts = publisher(node, 'image', True), []
    wait_until(images.get_subscription_count)
    graph.call(camera_input.follow)
    for number, stamp in enumerate((0, 1, 2, 3, 4, 5, 26, 27)):
        images.publish(black(header=make_header(TYPES, stamp * 100_000_000, '')))
        wait_until(lambda: len(arrivals) > number)
    for lost in (0, 1, 30):
        statistics.count('lost', times=lost)
        counts.append(camera_input.gaps)
    assert counts == [20, 20, 31]
    graph.call(camera_input.close)


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


def test_images_that_a_best_effort_driver_loses_are_told_of_once_with_what_helps(graph):
    rig = Rig(graph, 'lossy')
    images = publisher(rig.node, 'image', False)
    wait_until(lambda: rig.input.reliability == 'best_effort', what='best effort')
    large = np.zeros((2, 4 * 40_000), np.uint8)
    for number in [*range(8), *range(8, 40, 4)]:
        message = picture(1_000_000_000 + 50_000_000 * number, large)
        before = len(rig.arrivals)
        images.publish(message)
        wait_until(lambda: len(rig.arrivals) > before, what='the image')
    wait_until(lambda: any('did not come' in line for line in rig.lines), what=f'a warning, not {rig.lines}')
    rig.graph.call(rig.input.follow)
    told = [line for line in rig.lines if 'did not come' in line]
    assert len(told) == 1 and told[0].startswith('/lossy/image: ') and 'images of 0.3 MB did not come' in told[0]
    assert 'FASTDDS_DEFAULT_PROFILES_FILE' in told[0] and told[0].endswith('config/fastdds_large_messages.xml')
    rig.close()


def test_a_best_effort_driver_of_which_nothing_comes_is_told_of(graph, monkeypatch):
    monkeypatch.setattr(camera_input, '_FIRST_S', 0.2)
    rig = Rig(graph, 'mute')
    publisher(rig.node, 'image', False)
    wait_until(lambda: any('not one image has come' in line for line in rig.lines), what=f'a warning, not {rig.lines}')
    rig.close()

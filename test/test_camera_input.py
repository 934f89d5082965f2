"""What comes from one camera of a graph: waiting for a camera_info, topics of other types, odd intrinsics and words."""
import time

import numpy as np
import pytest

from ros_graph import Graph, wait_until
from semdepth_ros.bridge.diagnostics import Statistics
from semdepth_ros.bridge.messages import make_header
from semdepth_ros.bridge.rclpy_types import RclpyTypes
from semdepth_ros.nodes.camera_input import CameraInput
from semdepth_ros.nodes.throttled_log import ThrottledLog

TYPES = RclpyTypes()
IMAGE, COMPRESSED, INFO = (TYPES.message_class(f'sensor_msgs/msg/{name}')
                           for name in ('Image', 'CompressedImage', 'CameraInfo'))


class Lines(list):
    """A logger that remembers what it is told."""

    def warning(self, text):
        self.append(text)


@pytest.fixture(scope='module')
def graph():
    graph = Graph()
    yield graph
    graph.close()


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
    rig.input._on_info(calibration(1, focal=0.1))
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

"""Messages of a ROS installation are filled in one copy and converted like any other."""
import sys
from array import array
from types import SimpleNamespace

import numpy as np
import pytest

from semdepth_ros.bags.qos import LATCHED
from semdepth_ros.bags.rosbags_types import rosbags_types
from semdepth_ros.bridge import (CloudMaker, frame_from_message, make_camera_info, make_header, make_image,
                                 make_label_info, stamp_ns)
from semdepth_ros.bridge.diagnostics import OK, make_diagnostics, make_status
from semdepth_ros.bridge.rclpy_types import RclpyTypes, cv_bridge_view, qos_profile
from semdepth_ros.classes import CITYSCAPES
from semdepth_ros.frame_perception import Perception, Scale
from semdepth_ros.geometry import Camera
from semdepth_ros.geometry.camera_info import camera_from_info
from semdepth_ros.image_messages import view_message

TYPES = RclpyTypes()
CAMERA = Camera(6, 4, 5, 5, 2.5, 1.5, 'plumb_bob', (.1, .2, 0, 0, 0))
RGB = np.arange(72, dtype=np.uint8).reshape(4, 6, 3)


def test_an_image_goes_there_and_back():
    message = make_image(TYPES, make_header(TYPES, 3_000_000_007, 'camera'), RGB, 'rgb8')
    frame = frame_from_message(message)
    np.testing.assert_array_equal(frame.image, RGB)
    assert (frame.stamp_ns, frame.frame_id, stamp_ns(message.header)) == (3_000_000_007, 'camera', 3_000_000_007)
    assert np.shares_memory(frame.image, np.frombuffer(message.data, np.uint8))


def everything(types):
    header = make_header(types, 7, 'camera')
    depth = np.ones((4, 6), np.float32)
    seen = Perception(depth, depth, RGB[..., 0], RGB[..., 1], Scale(), 0, CAMERA.rectified(), 7, 'camera')
    return [make_image(types, header, RGB, 'rgb8'), make_camera_info(types, header, CAMERA),
            CloudMaker().make(types, header, seen, RGB[::2, ::2], 2)]


def test_messages_travel_as_those_of_the_rosbags_library_do():
    from rclpy.serialization import serialize_message
    library = rosbags_types()
    for ours, theirs in zip(everything(TYPES), everything(library)):
        arrived = library.deserialize(serialize_message(ours), theirs.__msgtype__)  # rclpy leaves padding as it was
        assert bytes(library.serialize(arrived)) == bytes(library.serialize(theirs)), type(ours)


def test_camera_info_of_rclpy_is_read():
    assert camera_from_info(make_camera_info(TYPES, make_header(TYPES, 0, ''), CAMERA), 6, 4) == CAMERA


def test_a_diagnostic_array_can_be_sent():
    from rclpy.serialization import serialize_message
    status = make_status(TYPES, 'perception', 'cpu', OK, 'fine', {'rate': 10.0})
    assert serialize_message(make_diagnostics(TYPES, make_header(TYPES, 0, ''), [status]))


def test_arrays_are_filled_in_place_whatever_their_type():
    message = TYPES.make('sensor_msgs/msg/CameraInfo', d=np.array([1.5, 2.5]))
    assert message.d == array('d', [1.5, 2.5])


def test_what_is_not_installed_is_not_there():
    assert TYPES.has('sensor_msgs/msg/Image')
    assert not TYPES.has('sensor_msgs/msg/Imagination') and not TYPES.has('no_such_msgs/msg/Image')


def test_latched_quality_in_rclpy_s_words():
    profile = qos_profile(LATCHED)
    assert (profile.depth, profile.durability.name, profile.reliability.name) == (1, 'TRANSIENT_LOCAL', 'RELIABLE')


def test_label_info_names_every_class(overlays):
    message = make_label_info(TYPES, make_header(TYPES, 5, 'camera'), CITYSCAPES, 0.25)
    assert {c.class_id: c.class_name for c in message.class_map} == {c.train_id: c.name for c in CITYSCAPES}
    assert message.threshold == 0.25


def test_a_cv_bridge_of_another_numpy_raises_what_can_be_caught(monkeypatch):
    def imgmsg_to_cv2(bridge, message, encoding):
        return np.zeros(2).no_such_attribute
    bridge = type('CvBridge', (), {'imgmsg_to_cv2': imgmsg_to_cv2})
    monkeypatch.setitem(sys.modules, 'cv_bridge', SimpleNamespace(CvBridge=bridge, CvBridgeError=TypeError))
    with pytest.raises(ValueError, match="'bgr16'.*no_such_attribute"):
        cv_bridge_view()(SimpleNamespace(encoding='bgr16'))


def test_a_cv_bridge_that_lacks_a_part_is_tried_once_and_opencv_converts_the_rest(monkeypatch, caplog):
    tried = []

    def imgmsg_to_cv2(bridge, message, encoding):
        tried.append(message)
        from cv_bridge.boost import cv_bridge_boost
        return cv_bridge_boost
    bridge = type('CvBridge', (), {'imgmsg_to_cv2': imgmsg_to_cv2})
    monkeypatch.setitem(sys.modules, 'cv_bridge', SimpleNamespace(CvBridge=bridge, CvBridgeError=TypeError))
    view = cv_bridge_view()
    for encoding in ('bayer_rggb8', 'bayer_rggb8', 'bayer_bggr8'):
        grey = TYPES.make('sensor_msgs/msg/Image', height=4, width=6, encoding=encoding, step=6,
                          data=np.full(24, 130, np.uint8))
        assert (view_message(grey, fallback=view)[0] == 130).all()
    assert len(tried) == 1
    assert [r.getMessage() for r in caplog.records] == [
        "cv_bridge is not whole (No module named 'cv_bridge.boost'; 'cv_bridge' is not a package): images are converted by "
        'OpenCV instead']
    with pytest.raises(ValueError, match="'colourful'"):
        view_message(SimpleNamespace(encoding='colourful', height=1, width=1, step=1, is_bigendian=0, data=b'0'),
                     fallback=view)


@pytest.mark.skipif(cv_bridge_view() is None, reason='cv_bridge comes with a ROS installation, not from PyPI')
@pytest.mark.parametrize('encoding', ['rgb16', 'yuv422', 'yuv422_yuy2', 'bgr16'])
def test_cv_bridge_and_opencv_see_the_same_pixels(encoding):
    channels, dtype = {'rgb16': (3, 'u2'), 'bgr16': (3, 'u2')}.get(encoding, (2, 'u1'))
    pixels = np.random.default_rng(0).integers(0, 255, (4, 6, channels)).astype(dtype)
    message = TYPES.make('sensor_msgs/msg/Image', height=4, width=6, encoding=encoding,
                         step=6 * channels * pixels.itemsize,
                         data=pixels.reshape(-1).view(np.uint8))
    from semdepth_ros.bridge import to_rgb
    theirs, ours = (to_rgb(*view_message(message, fallback=fallback)) for fallback in (cv_bridge_view(), None))
    assert np.abs(theirs.astype(int) - ours).max() <= 1

"""Clouds are organised, lie where depth_image_proc would put them, and carry the colours and labels of their pixels."""
import numpy as np
import pytest

from bridge_messages import header
from semdepth_ros.bags.rosbags_types import rosbags_types
from semdepth_ros.bridge import POINT, CloudMaker, ColourSampler, make_camera_info
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Perception, Scale
from semdepth_ros.geometry import Camera

CAMERA = Camera(7, 5, 6.1, 5.9, 3.3, 1.7)
RANDOM = np.random.default_rng(1)
RGB = RANDOM.integers(0, 256, (5, 7, 3), dtype=np.uint8)


def perception(depth=None, camera=CAMERA):
    shape = (5, 7) if camera is None else (camera.height, camera.width)
    depth = RANDOM.uniform(0.1, 80, shape).astype(np.float32) if depth is None else depth
    labels, confidence = (RANDOM.integers(0, 256, shape, dtype=np.uint8) for _ in range(2))
    return Perception(depth, depth * np.float32(0.1), labels, confidence, Scale(), 0, camera, 5, 'camera')


def points_of(message):
    assert (message.point_step, message.row_step) == (POINT.itemsize, POINT.itemsize * message.width)
    return np.frombuffer(message.data, POINT).reshape(message.height, message.width)


@pytest.mark.parametrize('stride', [1, 2, 3])
def test_points_lie_where_depth_image_proc_puts_those_of_the_published_depth_and_camera_info(stride):
    seen = perception()
    message = CloudMaker().make(rosbags_types(), header(), seen, RGB[::stride, ::stride], stride)
    k = make_camera_info(rosbags_types(), header(), seen.camera).k.reshape(3, 3)
    v, u = np.mgrid[0:5:stride, 0:7:stride]
    z = seen.depth[v, u].astype(np.float64)
    truth = np.stack([(u - k[0, 2]) * z / k[0, 0], (v - k[1, 2]) * z / k[1, 1], z], axis=-1)
    points = points_of(message)
    assert points.shape == z.shape
    np.testing.assert_allclose(np.stack([points[a] for a in 'xyz'], axis=-1), truth, atol=1e-4)
    np.testing.assert_array_equal(points['label'], seen.labels[v, u])
    np.testing.assert_array_equal(points['confidence'], seen.confidence[v, u])


def test_colours_are_packed_as_pcl_packs_them():
    message = CloudMaker().make(rosbags_types(), header(), perception(), RGB)
    raw = np.frombuffer(message.data, np.uint8).reshape(5, 7, POINT.itemsize)
    np.testing.assert_array_equal(raw[..., 12:15], RGB[..., ::-1])  # little-endian 0x00RRGGBB
    field = {f.name: (f.offset, f.datatype, f.count) for f in message.fields}
    assert field['rgb'] == (12, 7, 1) and field['label'] == (16, 2, 1) and field['confidence'] == (17, 2, 1)


def test_pixels_without_a_finite_depth_keep_their_place_as_nan():
    depth = np.full((5, 7), 3, np.float32)
    depth[0, :5] = np.nan, np.inf, -np.inf, 0, 50
    message = CloudMaker().make(rosbags_types(), header(), perception(depth), None, max_range_m=40.0)
    missing = np.zeros((5, 7), bool)
    missing[0, :5] = True
    for axis in 'xyz':
        np.testing.assert_array_equal(np.isnan(points_of(message)[axis]), missing)
    assert not message.is_dense


def test_a_second_cloud_from_another_camera_owes_nothing_to_the_first():
    maker, types = CloudMaker(), rosbags_types()
    maker.make(types, header(), perception(), RGB)
    other = perception(camera=Camera(4, 3, 9, 9, 1, 1))
    again = points_of(maker.make(types, header(), other, None))
    alone = points_of(CloudMaker().make(types, header(), other, None))
    assert again.tobytes() == alone.tobytes()


def test_without_a_camera_there_is_no_cloud():
    with pytest.raises(ValueError, match='camera_info'):
        CloudMaker().make(rosbags_types(), header(), perception(camera=None), None)


def test_colours_of_an_output_of_the_same_size_are_the_input_s_own():
    frame = Frame(RGB[..., ::-1], 'bgr', CAMERA)
    np.testing.assert_array_equal(ColourSampler().sample(frame, CAMERA, 7, 5, 2), RGB[::2, ::2])


def test_colours_of_an_output_of_another_size_are_looked_up_where_its_pixels_lie():
    frame = Frame(RGB, 'rgb', CAMERA)
    window = CAMERA.cropped(2, 1, 4, 3)
    np.testing.assert_array_equal(ColourSampler().sample(frame, window, 4, 3), RGB[1:4, 2:6])
    beyond = CAMERA.cropped(-1, 0, 7, 5)
    np.testing.assert_array_equal(ColourSampler().sample(frame, beyond, 7, 5)[:, 0], 0)
    assert ColourSampler().sample(Frame(RGB, 'rgb'), None, 4, 3) is None


def test_colours_of_a_distorted_camera_are_those_of_the_rectified_pixel():
    bent = Camera(64, 48, 40, 40, 31, 23, 'plumb_bob', (-0.3, 0.1, 0, 0, 0))
    u = np.broadcast_to(np.arange(64, dtype=np.uint8) * 4, (48, 64))
    sampled = ColourSampler().sample(Frame(u, 'mono8', bent), bent.rectified(), 64, 48)
    expected = bent.project(bent.rectified().rays().reshape(-1, 3))[:, 0].reshape(48, 64)
    inside = (expected > 0) & (expected < 63)
    assert np.abs(sampled[..., 0] / 4 - expected)[inside].max() <= 0.51

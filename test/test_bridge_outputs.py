"""One perceived frame becomes the messages that are wanted, all of one size and one header."""
from dataclasses import replace
import struct

import cv2
import numpy as np
import pytest

from bridge_messages import header
from semdepth_ros.bags.rosbags_types import rosbags_types
from semdepth_ros.bridge import POINT
from semdepth_ros.bridge.outputs import ALL_TOPICS, TOPICS, OutputMaker, OutputSettings, output_bytes
from semdepth_ros.classes import CITYSCAPES, palette
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Perception, Scale
from semdepth_ros.geometry import Camera
from semdepth_ros.geometry.camera_info import camera_from_info

CAMERA = Camera(9, 6, 7, 7, 4, 2.5)
RANDOM = np.random.default_rng(0)
RGB = RANDOM.integers(0, 256, (6, 9, 3), dtype=np.uint8)
SEEN = Perception(RANDOM.uniform(1, 80, (6, 9)).astype(np.float32), np.ones((6, 9), np.float32),
                  RANDOM.integers(0, 19, (6, 9), dtype=np.uint8), RANDOM.integers(0, 256, (6, 9), dtype=np.uint8),
                  Scale(),
                  0, CAMERA, 5, 'camera')


def outputs(perception=SEEN, frame=Frame(RGB, 'rgb', CAMERA), wanted=TOPICS, mine=None, **settings):
    maker = OutputMaker(rosbags_types(), CITYSCAPES)
    return dict(maker.make(wanted, mine or header(), frame, perception, OutputSettings(**settings)))


def pixels(message, dtype=np.uint8):
    return np.frombuffer(message.data, dtype).reshape(message.height, message.width, -1).squeeze()


def test_every_topic_has_its_type_and_the_header_itself():
    mine = header()
    made = outputs(mine=mine, wanted=ALL_TOPICS)
    assert {topic: m.__msgtype__ for topic, m in made.items()} == ALL_TOPICS
    assert all(m.header is mine for m in made.values())


def test_only_what_is_wanted_is_made():
    assert list(outputs(wanted={'semantic/image'})) == ['semantic/image']
    assert outputs(wanted=()) == {}


def test_stride_thins_mask_confidence_and_cloud_alike_and_leaves_depth_whole():
    made = outputs(stride=2)
    sizes = {topic: (m.height, m.width) for topic, m in made.items()}
    small = {'semantic/image', 'semantic/confidence', 'points'}
    assert all(size == ((3, 5) if topic in small else (6, 9)) for topic, size in sizes.items())
    np.testing.assert_array_equal(pixels(made['semantic/image']), SEEN.labels[::2, ::2])
    np.testing.assert_array_equal(pixels(made['semantic/confidence']), SEEN.confidence[::2, ::2])


@pytest.mark.parametrize('settings', [{}, {'stride': 2}, {'stride': 4, 'depth_encoding': '16UC1'}])
def test_the_bytes_of_a_frame_are_known_before_it_is_made(settings):
    sizes = output_bytes(TOPICS, 9, 6, OutputSettings(**settings))
    made = {topic: len(bytes(getattr(m, 'data', b''))) for topic, m in outputs(**settings).items()}
    assert sizes == made
    assert output_bytes({'points'}, 9, 6, OutputSettings()) == {'points': 9 * 6 * 20}


def test_labels_that_are_not_sure_enough_are_unlabelled_everywhere():
    made = outputs(min_confidence=0.5)
    expected = np.where(SEEN.confidence < 127.5, 255, SEEN.labels)
    np.testing.assert_array_equal(pixels(made['semantic/image']), expected)
    np.testing.assert_array_equal(pixels(made['points'], POINT)['label'], expected)


@pytest.mark.parametrize('alpha', [0.0, 0.25, 1.0])
def test_the_overlay_mixes_image_and_class_colours(alpha):
    made = pixels(outputs(overlay_alpha=alpha)['semantic_color/image'])
    mixed = alpha * palette()[SEEN.labels].astype(float) + (1 - alpha) * RGB
    assert np.abs(made - mixed).max() <= 0.5 + 1e-6


def test_without_a_camera_there_are_images_but_no_cloud_and_no_camera_info():
    blind = outputs(replace(SEEN, camera=None), Frame(RGB, 'rgb'), ALL_TOPICS)
    assert set(ALL_TOPICS) - set(blind) == {'points', *(t for t in ALL_TOPICS if t.endswith('camera_info'))}
    bent = Camera(9, 6, 7, 7, 4, 2.5, 'plumb_bob', (.1, 0, 0, 0))
    assert set(TOPICS) - set(outputs(replace(SEEN, camera=bent), Frame(RGB, 'rgb', bent))) == {'points'}


def test_millimetres_on_request():
    depth = outputs(depth_encoding='16UC1')['depth/image']
    assert depth.encoding == '16UC1'
    np.testing.assert_allclose(pixels(depth, np.uint16) / 1000, np.where(SEEN.depth < 65.5355, SEEN.depth, 0),
                               atol=5.1e-4)


@pytest.mark.parametrize('stride', [1, 2, 4])
def test_beside_every_image_is_a_camera_info_of_its_own_size(stride):
    made = outputs(wanted=ALL_TOPICS, stride=stride)
    for folder in ('depth', 'semantic', 'semantic_color'):
        image, info = made[f'{folder}/image'], made[f'{folder}/camera_info']
        assert (info.height, info.width) == (image.height, image.width)
    camera = camera_from_info(made['semantic/camera_info'], -(-9 // stride), -(-6 // stride))
    points = pixels(made['points'], POINT).reshape(camera.height, camera.width)
    x = (np.arange(camera.width) - camera.cx) / camera.fx * points['z']
    np.testing.assert_allclose(points['x'], x, rtol=1e-5, atol=1e-5)


def decoded(message):
    """Return depth [m], NaN where there is none, as compressed_depth_image_transport decodes it."""
    data = np.frombuffer(message.data, np.uint8)
    kind, a, b = struct.unpack('<iff', data[:12].tobytes())
    words = cv2.imdecode(data[12:], cv2.IMREAD_UNCHANGED).astype(float)
    assert kind == 0 and words.dtype != np.uint8
    encoding, codec = message.format.split('; ')
    assert codec == 'compressedDepth png'
    metres = words / 1000 if encoding == '16UC1' else a / (np.where(words > 0, words, np.nan) - b)
    return np.where(words > 0, metres, np.nan)


@pytest.mark.parametrize('encoding', ['32FC1', '16UC1'])
def test_compressed_depth_is_decoded_to_depth(encoding):
    depth = np.geomspace(0.2, 900, 54).astype(np.float32).reshape(6, 9)
    depth[0, :3] = np.nan, np.inf, 0
    made = outputs(replace(SEEN, depth=depth), wanted=['depth/image/compressedDepth'], depth_encoding=encoding)
    found = decoded(made['depth/image/compressedDepth'])
    lost = ~np.isfinite(depth) | (depth == 0) | ((depth > 65.535) & (encoding == '16UC1'))
    np.testing.assert_array_equal(np.isnan(found), lost)
    step = 0.001 if encoding == '16UC1' else depth ** 2 / 10100
    assert (np.abs(found - depth) <= 0.6 * step + 1e-4 * depth)[~lost].all()


def test_the_compressed_overlay_is_the_overlay():
    flat = Frame(np.full((6, 9, 3), 90, np.uint8), 'rgb', CAMERA)
    made = outputs(replace(SEEN, labels=np.full((6, 9), 8, np.uint8)), flat,
                   ['semantic_color/image', 'semantic_color/image/compressed'])
    jpeg = made['semantic_color/image/compressed']
    picture = cv2.imdecode(np.frombuffer(jpeg.data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert jpeg.format == 'rgb8; jpeg compressed bgr8'
    assert np.abs(picture.astype(int) - pixels(made['semantic_color/image'])).max() <= 4

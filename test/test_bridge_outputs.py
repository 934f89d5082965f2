"""One perceived frame becomes the messages that are wanted, all of one size and one header."""
import numpy as np
import pytest

from bridge_messages import header
from semdepth_ros.bags.rosbags_types import rosbags_types
from semdepth_ros.bridge.outputs import TOPICS, OutputMaker, OutputSettings, output_bytes
from semdepth_ros.classes import CITYSCAPES, palette
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Perception, Scale
from semdepth_ros.geometry import Camera

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
    made = outputs(mine=mine)
    assert {topic: m.__msgtype__ for topic, m in made.items()} == TOPICS
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
    from semdepth_ros.bridge import POINT
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
    from dataclasses import replace
    blind = outputs(replace(SEEN, camera=None), Frame(RGB, 'rgb'))
    assert set(TOPICS) - set(blind) == {'points', 'depth/camera_info'}
    bent = Camera(9, 6, 7, 7, 4, 2.5, 'plumb_bob', (.1, 0, 0, 0))
    assert set(TOPICS) - set(outputs(replace(SEEN, camera=bent), Frame(RGB, 'rgb', bent))) == {'points'}


def test_millimetres_on_request():
    depth = outputs(depth_encoding='16UC1')['depth/image']
    assert depth.encoding == '16UC1'
    np.testing.assert_allclose(pixels(depth, np.uint16) / 1000, np.where(SEEN.depth < 65.5355, SEEN.depth, 0),
                               atol=5.1e-4)

"""Which camera_info belongs to an image."""
import pytest

from bridge_messages import camera_info, header
from semdepth_ros.bridge.info_matcher import InfoMatcher


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

"""Which camera_info belongs to an image, and whether its numbers can be a camera's."""
from types import SimpleNamespace as Fields

import pytest

from bridge_messages import camera_info
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.camera_infos import CameraInfos, calibration_of, camera_of
from semdepth_ros.geometry.plausibility import expect_plausible, field_of_view


def info(focal=500, width=640, **more):
    return camera_info(width=width, k=(focal, 0, width / 2, 0, focal, 240, 0, 0, 1), **more)


def infos(*stamped):
    found = CameraInfos()
    for stamp, message in stamped:
        found.add(stamp, message)
    return found


@pytest.mark.parametrize('stamp, focal', [(9, 500), (10, 500), (15, 500), (20, 600), (29, 600), (30, 700), (99, 700)])
def test_a_zoom_changes_the_camera_when_its_camera_info_does(stamp, focal):
    assert infos((10, info(500)), (20, info(600)), (30, info(700))).camera(640, 480, stamp).fx == focal


def test_an_empty_camera_info_is_passed_over_even_at_the_images_own_stamp():
    empty = camera_info(width=0, height=0, k=(0,) * 9)
    without_k = info(0)
    without_k.k, without_k.p = (0,) * 9, (0,) * 12
    for nothing in (empty, without_k):
        found = infos((10, nothing), (20, info(600)))
        assert [found.camera(640, 480, stamp).fx for stamp in (5, 10, 15, 20)] == [600] * 4
        with pytest.raises(ValueError):
            infos((10, nothing)).camera(640, 480, 10)


def test_one_of_another_size_is_passed_over_unless_it_has_the_images_stamp():
    found = infos((10, info(500)), (20, info(600, width=320)))
    assert found.camera(640, 480, 25).fx == 500 and found.camera(320, 480, 5).fx == 600
    with pytest.raises(ValueError, match='320x480.*640x480'):
        found.camera(640, 480, 20)


def test_a_thousand_equal_camera_infos_are_one_calibration():
    found = infos(*((stamp, info(500)) for stamp in range(1000)), (1000, info(600)))
    assert len(found) == 1001 and [c.k[0] for c in found.calibrations] == [500, 600]
    assert found.camera(640, 480, 999).fx == 500 and found.camera(640, 480, 2000).fx == 600
    found.clear()
    assert len(found) == 1 and [c.k[0] for c in found.calibrations] == [600]


def test_without_camera_infos_there_is_no_camera():
    assert CameraInfos().camera(640, 480, 1) is None


REAL = {'KITTI': Camera(1242, 375, 721.5, 721.5, 609.6, 172.9), 'Cityscapes': Camera(2048, 1024, 2262, 2265, 1097, 513),
        'DDAD': Camera(1936, 1216, 2181, 2181, 928, 616), 'Udacity': Camera(640, 360, 578, 576, 332.7, 194.2),
        'wide phone': Camera(4032, 3024, 1600, 1600, 2010, 1500), 'telephoto': Camera(640, 480, 3500, 3500, 330, 250),
        'GoPro': Camera(2704, 2028, 850, 850, 1350, 1010, 'equidistant', (0.05, 0.01, 0, 0)),
        'fisheye of 190 degrees': Camera(640, 640, 193, 193, 320, 320, 'equidistant', (0.01, 0, 0, 0)),
        'top cut off': Camera(640, 192, 500, 500, 320, 20), 'squashed': Camera(640, 192, 640, 341, 320, 96),
        'shifted lens': Camera(640, 480, 500, 500, 200, 240)}


@pytest.mark.parametrize('name', REAL)
def test_real_cameras_are_plausible(name):
    expect_plausible(REAL[name])


@pytest.mark.parametrize('camera, words', [
    (Camera(320, 96, 0.58, 1.92, 0.5, 0.5), r'0.58 px for images of 320x96.*179.* expected 5 to 170.*185.6'),
    (Camera(640, 480, 20000, 20000, 320, 240), r'20000 px.*1.8 degrees'),
    (Camera(640, 480, 20, 20, 320, 240), r'172.8 degrees'),
    (Camera(640, 192, 187, 187, 159, 47), r'\(159, 47\), far from the middle.*fits images of 320x96.*by 2\)'),
    (Camera(320, 96, 374, 374, 319, 95), r'\(319, 95\).*fits images of 640x192.*by 0.5\)'),
    (Camera(1920, 1080, 500, 500, 640, 360), r'fits images of 1280x720: .*by 1.5\)'),
    (Camera(640, 480, 500, 500, 700, 240), r'\(700, 240\), outside of images of 640x480$'),
    (Camera(640, 480, 500, 500, 320, -9), r'\(320, -9\), outside'),
    (Camera(640, 640, 100, 100, 320, 320, 'equidistant', (0.1, 0, 0, 0)), r'366.7 degrees, expected 5 to 230')])
def test_intrinsics_that_no_camera_of_this_size_has_are_refused_with_what_they_fit(camera, words):
    with pytest.raises(ValueError, match=words):
        expect_plausible(camera)


def test_skew_is_refused_unless_it_is_a_rounding_error():
    camera = Camera(640, 480, 500, 500, 320, 240)
    expect_plausible(camera, skew=0.4)
    with pytest.raises(ValueError, match='skew is 30 px beside a focal length of 500 px'):
        expect_plausible(camera, skew=30)


def test_a_field_of_view_is_the_angle_between_the_left_and_the_right_edge():
    assert field_of_view(Camera.from_field_of_view(640, 480, 90.0)) == pytest.approx(90)
    fisheye = Camera(640, 640, 193, 193, 319.5, 319.5, 'equidistant', (1e-9, 0, 0, 0))
    assert field_of_view(fisheye) == pytest.approx(190, abs=0.1)


def test_a_message_is_judged_by_its_whole_image_and_not_by_the_window_that_is_sent():
    roi = Fields(x_offset=440, y_offset=0, width=200, height=240, do_rectify=False)
    camera = camera_of(calibration_of(info(roi=roi, binning_x=2, binning_y=2)), 100, 120)
    assert camera.cx == (320 - 440) / 2  # the principal point lies outside of the window, as it may
    with pytest.raises(ValueError, match='camera_info: principal point'):
        camera_of(calibration_of(camera_info(k=(500, 0, 900, 0, 500, 240, 0, 0, 1))), 640, 480)
    with pytest.raises(ValueError, match='camera_info: skew is 50'):
        camera_of(calibration_of(camera_info(k=(500, 50, 320, 0, 500, 240, 0, 0, 1))), 640, 480)
    rectified = camera_info(k=(500, 0, 900, 0, 500, 240, 0, 0, 1), p=(500, 0, 320, 0, 0, 500, 240, 0, 0, 0, 1, 0))
    assert camera_of(calibration_of(rectified), 640, 480, True).cx == 320

"""CameraInfo becomes a camera as image_geometry reads it, and a camera the CameraInfo that depth_image_proc needs."""
from types import SimpleNamespace as Fields

import numpy as np
import pytest

from bridge_messages import camera_info, header
from semdepth_ros.bags.rosbags_types import rosbags_types
from semdepth_ros.bridge import make_camera_info
from semdepth_ros.geometry import Camera
from semdepth_ros.geometry.camera_info import camera_from_info

BARREL = (-0.3, 0.1, 0.001, -0.002, 0.0)


def test_k_and_d_describe_a_raw_image_and_p_a_rectified_one():
    info = camera_info(d=BARREL, p=(450, 0, 300, -50, 0, 460, 230, 0, 0, 0, 1, 0))
    assert camera_from_info(info, 640, 480) == Camera(640, 480, 500, 510, 320, 240, 'plumb_bob', BARREL)
    assert camera_from_info(info, 640, 480, rectified=True) == Camera(640, 480, 450, 460, 300, 230)


def test_region_of_interest_and_binning_lead_from_the_calibration_to_the_image_sent():
    roi = Fields(x_offset=100, y_offset=40, width=400, height=300, do_rectify=False)
    camera = camera_from_info(camera_info(roi=roi, binning_x=2, binning_y=4), 200, 75)
    assert camera == Camera(200, 75, 250, 127.5, 110, 50)  # image_geometry: offset first, then divide


@pytest.mark.parametrize('size', [(320, 240), (641, 480)])
def test_an_image_of_another_size_is_refused_with_both_sizes(size):
    with pytest.raises(ValueError, match=f'640x480.*{size[0]}x{size[1]}'):
        camera_from_info(camera_info(), *size)


def test_binned_size_is_what_the_image_must_have():
    with pytest.raises(ValueError, match='320x240.*640x480.*binning 2x2'):
        camera_from_info(camera_info(binning_x=2, binning_y=2), 640, 480)


@pytest.mark.parametrize('k', [
    np.zeros(9), (np.nan, 0, 320, 0, 500, 240, 0, 0, 1), (500, 0, 320, 0, -500, 240, 0, 0, 1)])
def test_a_focal_length_that_is_not_positive_is_refused_with_its_value(k):
    with pytest.raises(ValueError, match=f'{k[0]:g} x {k[4]:g}'):
        camera_from_info(camera_info(k=tuple(k)), 640, 480)


@pytest.mark.parametrize('model, d, expected', [
    ('plumb_bob', (0, 0, 0, 0, 0), ('none', 0)), ('', (), ('none', 0)), ('unheard_of', (0, 0), ('none', 0)),
    ('fisheye', (.1, .2, .3, .4), ('equidistant', 4)), ('rational_polynomial', (.1,) * 8, ('rational_polynomial', 8)),
    ('plumb_bob', (.1,) * 8, ('rational_polynomial', 8)), ('rational_polynomial', (.1,) * 5, ('plumb_bob', 5))])
def test_distortion_models_are_recognised(model, d, expected):
    camera = camera_from_info(camera_info(d=d, model=model), 640, 480)
    assert (camera.distortion_model, len(camera.distortion)) == expected


def test_an_unknown_distortion_model_is_refused_by_name():
    with pytest.raises(ValueError, match='unheard_of.*plumb_bob'):
        camera_from_info(camera_info(d=(1, 2), model='unheard_of'), 640, 480)


@pytest.mark.parametrize('d, model, words', [
    ((np.nan,) * 5, 'plumb_bob', 'nan.*finite'), ((np.inf, 0, 0, 0), 'fisheye', 'inf.*finite'),
    ((1e30,) * 5, 'plumb_bob', r'plumb_bob.*1e\+30.*a lens'), ((1e300,) * 4, 'equidistant', r'1e\+300.*a lens'),
    ((10,) * 8, 'rational_polynomial', 'rational_polynomial.*10.0.*a lens')])
def test_a_distortion_that_no_lens_has_is_refused_with_its_values(d, model, words):
    info = camera_info(d=d, model=model)
    with pytest.raises(ValueError, match=words):
        camera_from_info(info, 640, 480)
    assert not camera_from_info(info, 640, 480, rectified=True).is_distorted


@pytest.mark.parametrize('d, model', [
    ((0.5, 0, 0, 0), 'plumb_bob'), ((-0.45, 0.25, 0.01, -0.01, -0.1), 'plumb_bob'), ((2, 1, 0, 0), 'equidistant'),
    ((8.1, 5.3, 0, 0, 0.3, 8.4, 8.0, 1.6), 'rational_polynomial')])
def test_odd_lenses_are_lenses(d, model):
    assert camera_from_info(camera_info(d=d, model=model), 640, 480).distortion == d


@pytest.mark.parametrize('camera', [
    Camera(640, 480, 500, 510, 320, 240), Camera(640, 480, 500, 510, 320, 240, 'plumb_bob', BARREL),
    Camera(640, 480, 500, 510, 320, 240, 'equidistant', (.1, .2, .3, .4))])
def test_a_camera_survives_the_way_through_a_message(camera):
    message = make_camera_info(rosbags_types(), header(), camera)
    assert camera_from_info(message, 640, 480) == camera
    assert camera_from_info(message, 640, 480, rectified=True) == camera.rectified()
    assert (message.binning_x, message.roi.width, message.r[0]) == (0, 0, 1)


@pytest.mark.parametrize('change', [lambda c: c.scaled(320, 160), lambda c: c.strided(3)])
def test_camera_info_of_a_smaller_image_projects_the_same_point_to_the_matching_pixel(change):
    full, point = Camera(640, 480, 500, 510, 320.25, 239.5), np.array([0.4, -0.3, 2.0, 1.0])
    u, v = full.project(point[None, :3])[0]
    message = make_camera_info(rosbags_types(), header(), change(full))
    seen = message.p.reshape(3, 4) @ point
    small_u, small_v = seen[:2] / seen[2]
    if message.width == 320:  # resizing keeps areas: edges stay edges
        np.testing.assert_allclose([(small_u + 0.5) * 2, (small_v + 0.5) * 3], [u + 0.5, v + 0.5])
    else:  # striding keeps pixel centres
        np.testing.assert_allclose([small_u * 3, small_v * 3], [u, v])

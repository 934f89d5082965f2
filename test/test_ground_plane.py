"""The road's plane, against planes written down by hand."""
import numpy as np
import pytest

from semdepth_ros.data import open_data
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.ground_plane import GroundPlaneRule, fit_ground_plane

CAMERA = Camera.from_field_of_view(320, 96, 82)


def tilted(pitch_deg=0.0, roll_deg=0.0):
    """Return the down direction seen by a camera that looks down by pitch and is turned about its axis by roll."""
    pitch, roll = np.radians([pitch_deg, roll_deg])
    return np.array([np.sin(roll) * np.cos(pitch), np.cos(roll) * np.cos(pitch), np.sin(pitch)])


def plane_depth(height, normal, camera=CAMERA):
    """Return the depth of the plane and which pixels see it."""
    slope = camera.rays().astype(np.float64) @ normal
    with np.errstate(divide='ignore'):
        depth = np.where(slope > 0, height / slope, np.inf)
    return depth, (slope > 0) & (depth < 60 * height)


@pytest.mark.parametrize('height', [0.4, 1.65, 3.0])
@pytest.mark.parametrize('pitch, roll', [(0, 0), (6, 0), (-3, 2), (12, -5)])
def test_an_exact_plane_is_recovered_exactly(height, pitch, roll):
    normal = tilted(pitch, roll)
    plane = fit_ground_plane(*plane_depth(height, normal), CAMERA)
    assert plane.height_m == pytest.approx(height, rel=1e-6)
    np.testing.assert_allclose(plane.normal, normal, atol=1e-6)
    assert np.degrees([plane.pitch, plane.roll]) == pytest.approx([pitch, roll], abs=1e-4)
    assert plane.inliers == 1


def test_multiplicative_noise_and_outliers_move_the_height_by_less_than_two_percent():
    rng = np.random.default_rng(1)
    depth, ground = plane_depth(1.65, tilted(4))
    depth = depth * np.exp(0.04 * rng.standard_normal(depth.shape))
    outlier = rng.random(depth.shape) < 0.3
    depth[outlier] *= rng.uniform(0.3, 0.9, outlier.sum())
    plane = fit_ground_plane(depth, ground, CAMERA)
    assert plane.height_m == pytest.approx(1.65, rel=0.02)
    assert np.degrees(plane.pitch) == pytest.approx(4, abs=0.4)
    assert 0.5 < plane.inliers < 0.8


def test_a_kerb_beside_the_road_does_not_bend_its_plane():
    depth, ground = plane_depth(1.65, tilted(3))
    raised, _ = plane_depth(1.50, tilted(3))
    kerb = np.zeros_like(ground)
    kerb[:, :90] = True
    plane = fit_ground_plane(np.where(kerb, raised, depth), ground, CAMERA)
    assert plane.height_m == pytest.approx(1.65, rel=0.03)


def test_height_scales_with_the_depth_it_was_fitted_to():
    depth, ground = plane_depth(1.65, tilted(5))
    assert fit_ground_plane(0.37 * depth, ground, CAMERA).height_m == pytest.approx(0.37 * 1.65, rel=1e-6)


def test_same_input_gives_the_same_plane():
    depth, ground = plane_depth(1.65, tilted(5))
    noisy = depth * np.exp(0.05 * np.random.default_rng(3).standard_normal(depth.shape))
    assert fit_ground_plane(noisy, ground, CAMERA).height_m == fit_ground_plane(noisy, ground, CAMERA).height_m


def test_too_little_ground_gives_none():
    depth, ground = plane_depth(1.65, tilted(5))
    ground[:, 3:] = False
    assert fit_ground_plane(depth, ground, CAMERA) is None


def test_a_wall_gives_none():
    assert fit_ground_plane(np.full((96, 320), 8.0), np.ones((96, 320), bool), CAMERA) is None


def test_rubbish_depth_gives_none():
    depth = np.random.default_rng(4).uniform(1, 50, (96, 320))
    assert fit_ground_plane(depth, np.ones((96, 320), bool), CAMERA) is None


def test_invalid_depth_is_left_out():
    depth, ground = plane_depth(1.65, tilted(5))
    depth[::3], depth[1::5], depth[:, ::7] = np.nan, np.inf, -1.0
    assert fit_ground_plane(depth, ground, CAMERA).height_m == pytest.approx(1.65, rel=1e-6)


def test_a_distorted_camera_sees_the_same_plane():
    camera = Camera(320, 240, 200, 200, 160, 118, 'plumb_bob', (-0.2, 0.03, 0.0, 0.0))
    plane = fit_ground_plane(*plane_depth(1.2, tilted(8), camera), camera)
    assert plane.height_m == pytest.approx(1.2, rel=1e-5)


def test_the_known_height_is_found_in_lidar_scans_of_a_real_street(shared_data):
    sequence, = open_data(shared_data / 'kitti_raw_0926_slow_traffic')
    for i in range(0, len(sequence), 11):
        sample = sequence[i]
        rule = GroundPlaneRule(min_area=0.001)  # a scan fills few pixels
        plane = fit_ground_plane(sample.depth, sample.noisy_labels == 0, sample.camera, rule)
        assert plane.height_m == pytest.approx(1.65, rel=0.05)
        assert abs(np.degrees(plane.pitch)) < 2 and plane.inliers > 0.8

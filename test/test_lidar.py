"""Scans of a scanner as depth of a camera: projection, what is hidden, and clouds as they are sent."""
from types import SimpleNamespace as Fields

import numpy as np
import pytest

from semdepth_ros.bags.rosbags_types import rosbags_types
from semdepth_ros.bridge.lidar import points_of
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.lidar import lidar_depth, without_hidden

CAMERA = Camera(64, 48, 40.0, 40.0, 31.5, 23.5)
# a scanner's axes (x ahead, y left, z up), half a metre above the lens
ABOVE = np.array([[0., -1, 0, 0], [0, 0, -1, -0.5], [1, 0, 0, 0], [0, 0, 0, 1]])


def test_the_nearest_return_in_a_pixel_is_its_depth_along_z():
    pixels = np.array([[10.2, 20.4], [9.8, 19.7], [63.4, 47.4], [30.0, 63.5], [5.0, 5.0]])
    depths = np.array([8.0, 5.0, 3.0, 4.0, -4.0])
    rays = np.concatenate([CAMERA.undistort(pixels), np.ones((5, 1))], axis=1)
    in_lidar = np.linalg.inv(ABOVE)
    points = rays * depths[:, None] @ in_lidar[:3, :3].T + in_lidar[:3, 3]
    points = np.concatenate([points, [[np.nan, 0, 0], [np.inf, 1, 1]]])
    depth = lidar_depth(points, ABOVE, CAMERA)
    assert depth.shape == (48, 64) and depth.dtype == np.float32
    assert {(int(r), int(c)): float(depth[r, c]) for r, c in np.argwhere(np.isfinite(depth))} == pytest.approx(
        {(20, 10): 5.0, (47, 63): 3.0})


def test_a_distorted_lens_puts_returns_where_its_image_shows_them():
    lens = Camera(64, 48, 40.0, 40.0, 31.5, 23.5, 'plumb_bob', (-0.2, 0.05, 0.0, 0.0))
    point = np.array([[1.2, 0.8, 2.0]])
    (u, v), = lens.project(point)
    depth = lidar_depth(point, np.eye(4), lens)
    assert np.argwhere(np.isfinite(depth)).tolist() == [[round(v), round(u)]]
    assert depth[round(v), round(u)] == pytest.approx(2.0)


def test_returns_from_behind_a_near_thing_are_left_out_and_a_sloping_road_is_not():
    camera = Camera(640, 192, 360.0, 360.0, 319.5, 80.0)
    road = np.full((192, 640), np.nan, np.float32)
    rows = np.arange(94, 192, 2)  # from 42 m to 5 m
    road[rows] = (1.65 * 360.0 / (rows - 80.0))[:, None]
    np.testing.assert_array_equal(without_hidden(road, camera), road)
    behind = np.full((192, 640), np.nan, np.float32)
    behind[60:120:4, 300:340:2] = 6.0   # a car's rear
    behind[62:118:4, 301:339:2] = 30.0  # a house, seen over it from above
    kept = without_hidden(behind, camera)
    assert np.nanmax(kept[60:120, 300:340]) == 6.0 and (kept[60:120:4, 300:340:2] == 6.0).all()


def cloud(points, is_bigendian=False, kind=7, names='xyz', padding=0):
    types, order = rosbags_types(), '>' if is_bigendian else '<'
    size = {7: 4, 8: 8}.get(kind, 4)
    point = np.dtype({'names': list(names), 'formats': [order + {7: 'f4', 8: 'f8', 5: 'i4'}[kind]] * len(names),
                      'offsets': [4 + size * i for i in range(len(names))], 'itemsize': 4 + size * len(names) + 3})
    height, width = np.shape(points)[:2]
    rows = np.zeros((height, width), point)
    for i, name in enumerate(names):
        rows[name] = np.asarray(points)[..., i]
    data = np.concatenate([rows.view(np.uint8).reshape(height, -1), np.zeros((height, padding), np.uint8)], axis=1)
    fields = [types.make('sensor_msgs/msg/PointField', name=name, offset=point.fields[name][1], datatype=kind, count=1)
              for name in names]
    return Fields(height=height, width=width, fields=fields, is_bigendian=is_bigendian, point_step=point.itemsize,
                  row_step=data.shape[1], data=data.reshape(-1))


@pytest.mark.parametrize('form', [{}, {'is_bigendian': True}, {'kind': 8}, {'padding': 5}, {'names': 'zyx'}])
def test_clouds_are_read_whatever_their_layout(form):
    points = np.arange(12, dtype=np.float64).reshape(2, 2, 3)
    expected = points.reshape(-1, 3)[:, [form.get('names', 'xyz').index(axis) for axis in 'xyz']]
    np.testing.assert_array_equal(points_of(cloud(points, **form)), expected)


def test_a_cloud_that_cannot_be_read_is_refused_with_what_it_has():
    points = np.zeros((1, 2, 3))
    with pytest.raises(ValueError, match='fields a, b, z, expected x, y and z'):
        points_of(cloud(points, names='abz'))
    with pytest.raises(ValueError, match='datatype 5'):
        points_of(cloud(points, kind=5))
    short = cloud(points)
    short.data = short.data[:-1]
    with pytest.raises(ValueError, match='2x1 points'):
        points_of(short)

"""The forms in which calibration tools write a camera down, all brought to the project's own keys."""
from __future__ import annotations

from collections.abc import Iterable
import re
from typing import Any

import numpy as np

# key: the names it has, compared without capitals
NAMES = {'width': ('width', 'image_width'), 'height': ('height', 'image_height'), 'fx': ('fx',), 'fy': ('fy',),
         'cx': ('cx',), 'cy': ('cy',), 'k': ('k', 'camera_matrix', 'intrinsic_matrix'),
         'd': ('distortion', 'd', 'distortion_coefficients', 'distortion_coeffs', 'dist_coeffs', 'dist_coeff'),
         'distortion_model': ('distortion_model',), 'camera_model': ('camera_model',), 'fisheye': ('fisheye_model',),
         'height_m': ('height_m',), 'rectified': ('rectified',), 'roi': ('roi',), 'binning_x': ('binning_x',),
         'binning_y': ('binning_y',)}
# what the tools note beside it, and what follows from the rest
NOTES = {'camera_name', 'name', 'header', 'rectification_matrix', 'projection_matrix', 'r', 'p', 'fps', 'rate_hz',
         'rms_reprojection_px', 'avg_reprojection_error', 'per_view_reprojection_errors', 'calibration_time', 'nframes',
         'nr_of_frames', 'nr_frames', 'board_width', 'board_height', 'square_size', 'marker_size', 'aspectratio',
         'fix_aspect_ratio', 'flags', 'flagvalue', 'extrinsic_parameters', 'image_points', 'grid_points'}
KALIBR_NOTES = {'rostopic', 't_cn_cnm1', 't_cam_imu', 'timeshift_cam_imu', 'cam_overlaps', 'line_delay'}
KITTI = re.compile(r'(S|K|D|R|T|S_rect|R_rect|P_rect)_(\d\d)')
KITTI_CAMERA = '02'  # left, in colours
_PINHOLE = ('pinhole', 'perspective')


def plain_values(values: dict, which: str = '') -> dict[str, Any]:
    """Return a calibration by the keys of NAMES.

    Understood are the project's own keys and those of camera_info and of ROS's and OpenCV's files, Kalibr's camchain,
    and KITTI's calib_cam_to_cam.txt, of which the rectified camera is taken.

    :param which: the name of one of several cameras in it, such as cam1 or 03
    :raises ValueError: a key that nobody knows, one that is there twice, or no such camera
    """
    if any(isinstance(value, dict) and 'intrinsics' in value for value in values.values()):
        return _kalibr(_chosen(values, which))
    if any(KITTI.fullmatch(str(key)) for key in values):
        return _kitti(values, which or KITTI_CAMERA)
    if which:
        raise ValueError(f'it holds one camera, but {which!r} is asked for')
    if {'P0', 'P1'} <= values.keys():
        raise ValueError("KITTI's odometry calibration has no image size: expected calib_cam_to_cam.txt, or the keys "
                         'width, height, fx, fy, cx, cy')
    return _named(values, NOTES)


def numbers(value: Any, key: str, counts: Iterable[int] = ()) -> list[float]:
    """Return the numbers of a list, of a list of lists or of a matrix {rows, cols, data}.

    :param counts: how many there may be; any where there are none
    :raises ValueError: something else
    """
    data = value.get('data') if isinstance(value, dict) else value
    try:
        found = [] if data is None else np.array(data, dtype=np.float64).reshape(-1).tolist()
    except (TypeError, ValueError):
        raise ValueError(f'{key} is {value!r}, expected numbers') from None
    if counts and len(found) not in counts:
        raise ValueError(f'{key} has {len(found)} numbers, expected {" or ".join(map(str, counts))}')
    return found


def _named(values: dict, notes: set[str]) -> dict[str, Any]:
    names = {name: key for key, all_names in NAMES.items() for name in all_names}
    found, said_by = {}, {}
    for name, value in values.items():
        key = names.get(str(name).lower())
        if key is None and str(name).lower() not in notes:
            raise ValueError(f'unknown key {name!r} in a calibration, expected {_expected()}')
        if key is None or value is None:
            continue
        if key in found:
            raise ValueError(f'{said_by[key]} and {name} are the same, expected one of them')
        found[key], said_by[key] = value, name
    return _with_model(found)


def _expected() -> str:
    return ', '.join(all_names[0] for all_names in NAMES.values())


def _with_model(found: dict[str, Any]) -> dict[str, Any]:
    """Bring camera_model, where older files have the lens, and OpenCV's fisheye flag to distortion_model."""
    models = [found[key] for key in ('distortion_model',) if found.get(key)]
    camera_model = found.pop('camera_model', None)
    if camera_model is not None and str(camera_model).lower() not in _PINHOLE:
        models.append(camera_model)
    if found.pop('fisheye', 0):
        models.append('equidistant')
    if len({str(model).lower() for model in models}) > 1:
        raise ValueError(f'distortion models {" and ".join(map(repr, models))} contradict each other')
    return {**found, 'distortion_model': models[0]} if models else found


def _chosen(values: dict, which: str) -> dict:
    cameras = {str(name): value for name, value in values.items() if isinstance(value, dict) and 'intrinsics' in value}
    if not which and len(cameras) > 1:
        raise ValueError(f'it holds the cameras {", ".join(cameras)}: expected one of them behind the name of the '
                         f'file, such as #{next(iter(cameras))}')
    if which and which not in cameras:
        raise ValueError(f'it has no camera {which!r}, expected one of {", ".join(cameras)}')
    return cameras[which or next(iter(cameras))]


def _kalibr(camera: dict) -> dict[str, Any]:
    values = {key: value for key, value in camera.items() if key not in ('intrinsics', 'resolution')}
    model = str(values.get('camera_model', 'pinhole'))
    if model.lower() not in _PINHOLE:
        raise ValueError(f'camera_model is {model!r}, expected pinhole')
    fx, fy, cx, cy = numbers(camera['intrinsics'], 'intrinsics', (4,))
    width, height = numbers(camera.get('resolution'), 'resolution', (2,))
    return {**_named(values, KALIBR_NOTES), 'width': width, 'height': height, 'fx': fx, 'fy': fy, 'cx': cx, 'cy': cy}


def _kitti(values: dict, number: str) -> dict[str, Any]:
    for key, what in ((f'P_rect_{number}', 'the projection'), (f'S_rect_{number}', 'the size')):
        if key not in values:
            raise ValueError(f"KITTI's calibration lacks {key}, {what} of rectified images")
    p = numbers(str(values[f'P_rect_{number}']).split(), f'P_rect_{number}', (12,))
    width, height = numbers(str(values[f'S_rect_{number}']).split(), f'S_rect_{number}', (2,))
    return {'width': width, 'height': height, 'fx': p[0], 'fy': p[5], 'cx': p[2], 'cy': p[6]}

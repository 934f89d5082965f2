"""What a camera_info says of the camera; asks for a message's fields only, so that bags are read without ROS."""
from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np

from semdepth_ros.geometry.camera import DISTORTION_MODELS, Camera

# what drivers and calibration tools write: our name
_MODELS = {'': 'plumb_bob', 'fisheye': 'equidistant', 'radtan': 'plumb_bob', 'equi': 'equidistant',
           **{name: name for name in DISTORTION_MODELS if name != 'none'}}
_LEAST_SHOWN = 0.01  # part of a rectified image that shows something, even through the oddest lens
_GRID = 32  # points across and down at which that is looked at


def camera_from_info(info: Any, width: int, height: int, rectified: bool = False) -> Camera:
    """Return the camera of an image that came with this camera_info.

    K and P describe the full-resolution image of the calibration; region of interest and binning lead from there to the
    image that is sent (REP 104, as image_geometry computes it).

    :param info: anything with the fields of sensor_msgs/CameraInfo
    :param width, height: size of the image [px]
    :param rectified: the image has been rectified: P applies, and no distortion is left
    :raises ValueError: a size that is not the image's, a focal length that is not positive, an unknown distortion
        model, a distortion that is not finite or that no lens has
    """
    columns, rows = _binning(info)
    left, top, full_width, full_height = _region(info)
    expected = image_size(info)
    if (width, height) != expected:
        is_whole = (columns, rows, full_width, full_height) == (1, 1, info.width, info.height)
        window = '' if is_whole else f' (region {full_width}x{full_height}, binning {columns}x{rows})'
        raise ValueError(f'camera_info is for {expected[0]}x{expected[1]}, but the image is {width}x{height}{window}')
    matrix = np.asarray(info.p if rectified else info.k, dtype=np.float64).reshape(3, -1)
    fx, fy, cx, cy = (float(matrix[i]) for i in ((0, 0), (1, 1), (0, 2), (1, 2)))
    if not (np.isfinite([fx, fy]).all() and fx > 0 and fy > 0):
        raise ValueError(f'camera_info has focal lengths {fx:g} x {fy:g} in {"P" if rectified else "K"}, expected '
                         'positive numbers (is the camera calibrated?)')
    model, distortion = ('none', ()) if rectified else lens_distortion(info.distortion_model, info.d, 'camera_info')
    camera = Camera(width, height, fx / columns, fy / rows, (cx - left) / columns, (cy - top) / rows,
                    model, distortion)
    if _shown(camera) < _LEAST_SHOWN:
        raise ValueError(f'camera_info has {model} distortion {distortion}, expected that of a lens: rectified, the '
                         'image would be empty')
    return camera


def image_size(info: Any) -> tuple[int, int]:
    """Return width and height of the images that a camera_info is for [px]: of its region of interest, binned."""
    _, _, width, height = _region(info)
    columns, rows = _binning(info)
    return width // columns, height // rows


def _binning(info: Any) -> tuple[int, int]:
    return max(1, info.binning_x), max(1, info.binning_y)


@lru_cache(maxsize=64)
def _shown(camera: Camera) -> float:
    """Return the part of the rectified image that shows something."""
    if not camera.is_distorted:
        return 1.0
    rays = camera.rectified().scaled(_GRID, _GRID).rays()[..., :2]
    return float(camera.scaled(_GRID, _GRID).sees(rays).mean())


def _region(info: Any) -> tuple[int, int, int, int]:
    """Return left, top, width, height of the region of interest; all zero in the message means the whole image."""
    roi = info.roi
    if not roi.width and not roi.height:
        return 0, 0, info.width, info.height
    return roi.x_offset, roi.y_offset, roi.width, roi.height


def lens_distortion(name: str, coefficients: Iterable[float], source: str) -> tuple[str, tuple[float, ...]]:
    """Return the distortion model and its coefficients, however a driver or a calibration tool calls them.

    Capitals do not matter, and the number of coefficients tells plumb_bob from rational_polynomial, which are one model
    of two lengths. Without any that differs from zero there is no distortion, whatever the model.

    :param source: what to name in the error
    :raises ValueError: a distortion of an unknown model
    """
    coefficients = tuple(float(d) for d in coefficients)
    if not any(coefficients):
        return 'none', ()
    model = _MODELS.get(name.lower())
    if model is None:
        raise ValueError(f'{source} has distortion model {name!r}, expected one of '
                         + ', '.join(sorted(set(_MODELS) - {''})))
    if model == 'equidistant':  # some tools fill up with zeros
        return model, coefficients[:4] if not any(coefficients[4:]) else coefficients
    return 'plumb_bob' if len(coefficients) <= 5 else 'rational_polynomial', coefficients

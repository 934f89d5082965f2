"""Calibrations in files: the project's own form, and those of ROS, OpenCV, Kalibr and KITTI."""
from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
import reprlib
from typing import Any

import cv2
import yaml

from semdepth_ros.data.calibration_forms import numbers, plain_values
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.camera_info import lens_distortion
from semdepth_ros.geometry.plausibility import expect_plausible

REQUIRED = ('width', 'height', 'fx', 'fy', 'cx', 'cy')


def camera_from_dict(values: dict, source: str, which: str = '') -> Camera:
    """Return the camera of a calibration's keys, read as the same numbers in a camera_info are.

    :param source: what to name in errors
    :param which: one of several cameras; see plain_values
    :raises ValueError: a key is unknown or missing, its value is not a camera's, or the numbers are not plausible
    """
    if not isinstance(values, dict):
        raise ValueError(f'{source}: calibration is {reprlib.repr(values)}, expected the keys {", ".join(REQUIRED)}')
    try:
        return _camera(plain_values(values, which))
    except ValueError as error:
        raise ValueError(f'{source}: {error}') from None


def camera_to_dict(camera: Camera) -> dict:
    """Return the keys that camera_from_dict reads back into an equal camera."""
    values = {key: value for key, value in asdict(camera).items() if value not in (None, ())}
    kept = {key: float(value) for key, value in values.items() if key in ('fx', 'fy', 'cx', 'cy', 'height_m')}
    values |= {**kept, 'width': int(camera.width), 'height': int(camera.height)}
    return {**values, 'distortion': list(camera.distortion)} if camera.distortion else values


def read_camera(path: str | Path) -> Camera:
    """Read a calibration file: YAML or JSON, OpenCV's FileStorage, or KITTI's text.

    :param path: the file; FILE#NAME is one of several cameras in it
    :raises ValueError: no such file, none of these forms, or not a camera
    """
    file, _, which = str(path).partition('#') if not Path(path).exists() else (path, '', '')
    file = Path(file).expanduser()
    values = _opencv_values(file) if _is_opencv(file) else read_yaml(file)
    return camera_from_dict(values, str(path), which)


def read_yaml(path: Path):
    """Read a YAML or JSON file; of several documents, as `ros2 topic echo` writes them, the first.

    :raises ValueError: the file is missing or cannot be parsed
    """
    try:
        return next(yaml.safe_load_all(path.read_text(encoding='utf-8')), None)
    except OSError as error:
        raise ValueError(f'{path} cannot be read: {error.strerror}') from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f'{path} is not YAML: {" ".join(str(error).split())}') from None


def _camera(values: dict[str, Any]) -> Camera:
    skew = 0.0
    if 'k' in values:
        given = [key for key in ('fx', 'fy', 'cx', 'cy') if key in values]
        if given:
            raise ValueError(f'{given[0]} and a camera matrix are the same, expected one of them')
        k = numbers(values['k'], 'camera matrix', (9,))
        values = {**values, 'fx': k[0], 'fy': k[4], 'cx': k[2], 'cy': k[5]}
        skew = k[1]
    missing = [key for key in REQUIRED if key not in values]
    if missing:
        raise ValueError(f'calibration lacks {", ".join(missing)}')
    _expect_whole_images(values)
    model, distortion = lens_distortion(str(values.get('distortion_model', '')), numbers(values.get('d'), 'distortion'),
                                        'calibration')
    if distortion and values.get('rectified'):
        raise ValueError(f'rectified is {values["rectified"]!r}, but distortion is {distortion}: expected one of them')
    height_m = _number(values['height_m'], 'height_m') if 'height_m' in values else None
    camera = Camera(*(_whole(values[key], key) for key in ('width', 'height')),
                    *(_number(values[key], key) for key in REQUIRED[2:]), model, distortion, height_m)
    expect_plausible(camera, skew)
    return camera


def _expect_whole_images(values: dict[str, Any]) -> None:
    """A file stands for all images, so a window that one message told of has no place in it."""
    roi = values.get('roi')
    window = {key: values[key] for key in ('binning_x', 'binning_y') if values.get(key, 0) not in (0, 1)}
    if isinstance(roi, dict) and any(roi.get(key) for key in ('x_offset', 'y_offset', 'width', 'height')):
        window['roi'] = roi
    if window:
        key, value = next(iter(window.items()))
        raise ValueError(f'{key} is {value!r}, expected a calibration of whole images')


def _number(value: Any, key: str) -> float:
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f'{key} is {value!r}, expected a number') from None


def _whole(value: Any, key: str) -> int:
    number = _number(value, key)
    if not number.is_integer():
        raise ValueError(f'{key} is {value!r}, expected a whole number of pixels')
    return int(number)


def _is_opencv(path: Path) -> bool:
    data = path.read_bytes() if path.is_file() else b''
    return b'opencv-matrix' in data or data.lstrip().startswith((b'%YAML:1', b'<?xml'))


def _opencv_values(path: Path) -> dict[str, Any]:
    """Return the keys of OpenCV's FileStorage, YAML or XML."""
    try:
        storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
        root = storage.root()
        return {key: _opencv_value(root.getNode(key)) for key in root.keys()}
    except (cv2.error, SystemError) as error:
        raise ValueError(f'{path} is not read by OpenCV: {" ".join(str(error).split())}') from None


def _opencv_value(node: cv2.FileNode) -> Any:
    if node.isInt() or node.isReal():
        return node.real()
    if node.isString():
        return node.string()
    if node.isMap():
        matrix = node.mat()
        return None if matrix is None else matrix.tolist()
    return [_opencv_value(node.at(i)) for i in range(node.size())] if node.isSeq() else None

"""Calibrations in files: the project's own form, as JSON or YAML, and that of ROS camera_info files."""
from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
import reprlib

import yaml

from semdepth_ros.geometry.camera import Camera

REQUIRED = ('width', 'height', 'fx', 'fy', 'cx', 'cy')


def camera_from_dict(values: dict, source: str) -> Camera:
    """Return the camera of a calibration's keys.

    Understood are {width, height, fx, fy, cx, cy, distortion_model, distortion or d, height_m} and the keys of a ROS
    calibration file (image_width, image_height, camera_matrix, distortion_coefficients). Other keys are left alone.

    :param source: what to name in errors
    :raises ValueError: a key is missing or its value is not a camera's
    """
    if not isinstance(values, dict):
        raise ValueError(f'{source}: calibration is {reprlib.repr(values)}, expected the keys {", ".join(REQUIRED)}')
    if 'camera_matrix' in values:
        values = _from_ros(values, source)
    missing = [key for key in REQUIRED if values.get(key) is None]
    if missing:
        raise ValueError(f'{source}: calibration lacks {", ".join(missing)}')
    distortion = tuple(values.get('distortion') or values.get('d') or ())
    try:
        return Camera(int(values['width']), int(values['height']), *(float(values[key]) for key in REQUIRED[2:]),
                      values.get('distortion_model') or ('plumb_bob' if distortion else 'none'), distortion,
                      None if values.get('height_m') is None else float(values['height_m']))
    except (TypeError, ValueError) as error:
        raise ValueError(f'{source}: {error}') from None


def camera_to_dict(camera: Camera) -> dict:
    """Return the keys that camera_from_dict reads back into an equal camera."""
    values = {key: value for key, value in asdict(camera).items() if value not in (None, ())}
    numbers = {key: float(value) for key, value in values.items() if key in ('fx', 'fy', 'cx', 'cy', 'height_m')}
    values |= {**numbers, 'width': int(camera.width), 'height': int(camera.height)}
    return {**values, 'distortion': list(camera.distortion)} if camera.distortion else values


def read_camera(path: str | Path) -> Camera:
    """Read a calibration file, JSON or YAML.

    :raises ValueError: no such file, not JSON or YAML, or not a camera
    """
    return camera_from_dict(read_yaml(Path(path)), str(path))


def read_yaml(path: Path):
    """Read a YAML or JSON file.

    :raises ValueError: the file is missing or cannot be parsed
    """
    try:
        return yaml.safe_load(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise ValueError(f'{path} cannot be read: {error.strerror}') from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f'{path} is not YAML: {" ".join(str(error).split())}') from None


def _from_ros(values: dict, source: str) -> dict:
    try:
        k = values['camera_matrix']['data']
        return {'width': values['image_width'], 'height': values['image_height'], 'fx': k[0], 'fy': k[4], 'cx': k[2],
                'cy': k[5], 'height_m': values.get('height_m'),
                'distortion_model': values.get('distortion_model'),
                'distortion': values.get('distortion_coefficients', {}).get('data')}
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f'{source}: ROS calibration is incomplete: {error!r}') from None

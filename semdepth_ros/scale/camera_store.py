"""Scales that were found once, kept per camera: what `scale_source: stored` takes at the next start."""
from __future__ import annotations

import json
import math
import os
import re
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from semdepth_ros.geometry.camera import Camera

SAME = 2e-3     # largest relative difference of a focal length, or of a principal point to the image's size


@dataclass(frozen=True)
class StoredScale:
    """The scale of one camera under one factory's weights.

    :param frame: name of the camera's optical frame
    :param factory: hash of the factory weights that it was found with
    :param scale: factor on the network's depth
    :param sigma: its relative standard deviation
    :param how: what it was found by, in words
    :param version: of the weights that it was found with; 0 for the factory's
    """

    frame: str
    camera: Camera
    factory: str
    scale: float
    sigma: float
    how: str = ''
    version: int = 0


def cameras_folder() -> Path:
    """Return where scales are kept: below $ROS_HOME, which is ~/.ros unless set."""
    return Path(os.environ.get('ROS_HOME') or '~/.ros').expanduser() / 'semdepth_ros' / 'cameras'


def store_scale(stored: StoredScale, folder: Path) -> Path:
    """Write a scale in place of what was stored for its frame and factory, whole or not at all; return the file.

    :raises ValueError: a scale or sigma that is not positive and finite, or no frame
    :raises OSError: the file cannot be written
    """
    for name in ('scale', 'sigma'):
        value = getattr(stored, name)
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f'{name} is {value}, expected a positive number')
    path = _file(folder, stored.frame, stored.factory)
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}.{os.getpid()}')
    with open(partial, 'w', encoding='utf-8') as file:
        file.write(json.dumps(asdict(stored), indent=1) + '\n')
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    return path


def stored_scale(frame: str, camera: Camera, factory: str, folder: Path) -> StoredScale:
    """Return what is stored for a camera.

    :param camera: as it is now; its height does not matter
    :param factory: hash of the factory weights that are served
    :raises ValueError: nothing is stored, the file is damaged, or camera or weights have changed since; in one line
    """
    path = _file(folder, frame, factory)
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        stored = _read(content)
    except FileNotFoundError:
        others = sorted(folder.glob(_file(folder, frame, '*').name))
        if others:
            found = others[0].stem.rpartition('@')[2]
            raise ValueError(f'the scale stored for {frame!r} was found with factory weights {found}, served are '
                             f'{factory[:12]}: calibrate again') from None
        raise ValueError(f'no scale is stored for {frame!r} in {folder}: semdepth calibrate --store {frame} makes one') \
            from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f'{path} is damaged ({" ".join(str(error).split())}): calibrate again') from None
    if stored.factory != factory:
        raise ValueError(f'{path} is damaged (it is of factory weights {stored.factory[:12]}): calibrate again')
    changed = _difference(stored.camera, camera)
    if changed:
        raise ValueError(f'the scale stored for {frame!r} was found with another camera ({changed}): calibrate again')
    return stored


def _read(content: dict[str, Any]) -> StoredScale:
    names = {field.name for field in fields(StoredScale)}
    if set(content) != names:
        raise ValueError(f'it has {sorted(content)}, expected {sorted(names)}')
    camera = Camera(**content['camera'] | {'distortion': tuple(content['camera']['distortion'])})
    stored = StoredScale(**content | {'camera': camera})
    if not (0 < stored.scale < math.inf and 0 < stored.sigma < math.inf):
        raise ValueError(f'scale is {stored.scale} and sigma {stored.sigma}, expected positive numbers')
    return stored


def _difference(before: Camera, now: Camera) -> str:
    """Return what has changed of a camera, in words; empty where it is the same."""
    size = {'cx': now.width, 'cy': now.height}
    for name in ('width', 'height', 'fx', 'fy', 'cx', 'cy'):
        one, other = getattr(before, name), getattr(now, name)
        if abs(one - other) > SAME * abs(size.get(name, other)):
            return f'{name} was {one:g}, is {other:g}'
    one, other = (replace(camera, height_m=None) for camera in (before, now))
    if (one.distortion_model, one.distortion) != (other.distortion_model, other.distortion):
        return 'its distortion has changed'
    return ''


def _file(folder: Path, frame: str, factory: str) -> Path:
    """Return the file of a frame under a factory's weights: its name, with what a file's name cannot have written as
    numbers, and the hash's beginning."""
    if not frame:
        raise ValueError('the images have no frame_id, by which a scale could be stored')
    return folder / (re.sub(r'[^A-Za-z0-9_.-]|^\.', lambda match: f'%{ord(match[0]):02x}', frame) + f'@{factory[:12]}.json')

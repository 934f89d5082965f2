"""Naming data on a command line: one word for a world, a folder, a bag or a video."""
from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

from semdepth_ros.bags.bag_path import is_bag, unfinished
from semdepth_ros.data.adapters import with_camera
from semdepth_ros.data.camera_file import read_camera
from semdepth_ros.data.cityscapes import CityscapesSequence, is_cityscapes_split
from semdepth_ros.data.folder import FolderSequence, is_folder_sequence
from semdepth_ros.data.sample import Sequence
from semdepth_ros.data.video import VIDEO_SUFFIXES, VideoSequence
from semdepth_ros.data.world import CAVITY, CavitySequence, WorldSequence
from semdepth_ros.geometry.camera import Camera

FORMS = ('world:PRESET[:SEED[:FRAMES]], a folder sequence (images/ ...), a folder of them, a split of Cityscapes '
         f'(leftImg8bit/...), a bag (.mcap, .db3 or its folder) or a video ({" ".join(VIDEO_SUFFIXES)})')


def open_data(spec: str | Path, camera: Camera | str | Path | None = None, **options) -> list[Sequence]:
    """Return the sequences that spec names.

    :param spec: one of FORMS
    :param camera: a calibration or a file with it, in place of what the source has
    :param options: for the reader: those of WorldSequence, CavitySequence, FolderSequence, BagSequence or VideoSequence
    :raises ValueError: spec has none of the known forms, what it names cannot be read, or an option is not its reader's
    """
    if camera is not None:
        options['camera'] = read_camera(camera) if isinstance(camera, (str, Path)) else camera
    if str(spec).startswith('world:'):
        return [_read_world(str(spec), options)]
    path = Path(spec).expanduser()
    if not path.exists():
        raise ValueError(f'data {str(spec)!r} does not exist, expected {FORMS}')
    reader = _reader(path)
    if reader:
        return [_read(reader, path, path, **options)]
    folders = [p for p in path.iterdir() if not p.name.startswith('.')] if path.is_dir() else []
    inside = sorted(p for p in folders if is_folder_sequence(p))
    if not inside:
        raise ValueError(unfinished(path) or f'data {str(spec)!r} is none of these: {FORMS}')
    return [_read(FolderSequence, p, p, **options) for p in inside]


def _reader(path: Path) -> Callable[..., Sequence] | None:
    if is_folder_sequence(path):
        return FolderSequence
    if is_cityscapes_split(path):
        return CityscapesSequence
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return VideoSequence
    if is_bag(path):
        from semdepth_ros.data.bag import BagSequence  # needs the rosbags library, which the others do not
        return BagSequence
    return None


def _read(reader: Callable[..., Sequence], spec: str | Path, *arguments, **options) -> Sequence:
    known = inspect.signature(reader).parameters
    camera = None if 'camera' in known else options.pop('camera', None)
    takes_all = any(p.kind is p.VAR_KEYWORD for p in known.values())
    for name in options:
        if name not in known and not takes_all:
            raise ValueError(f'data {str(spec)!r} has no option {name!r}, expected one of {", ".join(known)}')
    sequence = reader(*arguments, **options)
    return with_camera(sequence, camera) if camera else sequence


def _read_world(spec: str, options: dict) -> Sequence:
    named = _world(spec)
    if named['preset'] == CAVITY:
        del named['preset']
        return _read(CavitySequence, spec, **{**named, **options})
    return _read(WorldSequence, spec, **{**named, **options})


def _world(spec: str) -> dict:
    _, preset, *numbers = spec.split(':')
    if not preset or len(numbers) > 2 or not all(number.isdigit() for number in numbers):
        raise ValueError(f'data {spec!r} is not of the form world:PRESET[:SEED[:FRAMES]]')
    return {'preset': preset, **dict(zip(('seed', 'frames'), map(int, numbers)))}

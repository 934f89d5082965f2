"""Naming data on a command line: one word for a world, a folder, a bag or a video."""
from __future__ import annotations

from pathlib import Path

from semdepth_ros.data.folder import FolderSequence, is_folder_sequence
from semdepth_ros.data.sample import Sequence

FORMS = ('world:PRESET[:SEED[:FRAMES]], a folder sequence, a folder of them, a bag (.mcap, .db3 or its folder) '
         'or a video (.mp4 .avi .mov .mkv)')


def open_data(spec: str, **options) -> list[Sequence]:
    """Return the sequences that spec names.

    :raises ValueError: spec has none of the known forms, or what it names cannot be read
    """
    path = Path(spec).expanduser()
    if not path.exists():
        raise ValueError(f'data {spec!r} does not exist, expected {FORMS}')
    if is_folder_sequence(path):
        return [FolderSequence(path)]
    inside = sorted(p for p in path.iterdir() if is_folder_sequence(p))
    if inside:
        return [FolderSequence(p) for p in inside]
    raise ValueError(f'data {spec!r} is none of these: {FORMS}')

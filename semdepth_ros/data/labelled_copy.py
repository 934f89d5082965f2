"""A folder sequence once more, with labels that a network gave it."""
from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from semdepth_ros.data.folder import FOLDERS
from semdepth_ros.data.pictures import write_picture

NOISY_PARTS = ('noisy_labels', 'noisy_confidence')


def write_labelled_copy(path: str | Path, out: str | Path, labelled: Iterable[tuple[str, np.ndarray, np.ndarray]]) -> int:
    """Copy a folder sequence with all that it has, its noisy labels replaced; return how many frames got labels.

    Everything goes to OUT.partial, which becomes OUT when the last labels are written: OUT is whole or absent.

    :param labelled: a frame's name, its labels and how far they are trusted (255 = certain), uint8 [H, W]; read once
    :raises ValueError: out is in use
    """
    path, out = Path(path), Path(out)
    if out.exists():
        raise ValueError(f'{out} is in use, expected the name of a new folder')
    partial = out.with_name(out.name + '.partial')
    shutil.rmtree(partial, ignore_errors=True)
    folders = [FOLDERS[part] for part in NOISY_PARTS]
    try:
        shutil.copytree(path, partial, ignore=lambda folder, names: folders if Path(folder) == path else [])
        for folder in folders:
            (partial / folder).mkdir()
        count = 0
        for count, (name, *arrays) in enumerate(labelled, start=1):
            for folder, array in zip(folders, arrays):
                write_picture(partial / folder / f'{name}.png', array)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    partial.rename(out)
    return count

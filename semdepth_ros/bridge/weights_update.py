"""Whether weights that somebody announces may be served."""
from __future__ import annotations

import math
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from semdepth_ros.model_file import ModelCard

PROMOTE, ROLLBACK = 1, 2


def weights_folder(parameter: str) -> Path:
    """Return the folder of announced weights that the parameter weights_dir names; empty is one below $ROS_HOME."""
    if parameter:
        return Path(parameter).expanduser()
    return Path(os.environ.get('ROS_HOME') or '~/.ros').expanduser() / 'semdepth_ros' / 'weights'


def accepted_file(update: Any, served: ModelCard, folder: Path, withdrawn: Collection[str] = (),
                  most_bytes: float = math.inf) -> Path:
    """Return the file that a WeightsUpdate asks to serve, if it may be.

    The parent is informative only, so that a restarted node can take version 7 straight away. Whether the file has the
    announced hash and version, and what it says of its architecture and its probe frames, is up to whoever reads it, so
    that what is checked is what is served.

    :param update: anything with the fields of semdepth_ros/WeightsUpdate
    :param withdrawn: hashes of files that a person has rolled back from
    :param most_bytes: that the file may have: it is read as a whole
    :raises ValueError: one line that says why not
    """
    what = f'weights version {update.version} ({update.file!r})'
    if update.action not in (PROMOTE, ROLLBACK):
        raise ValueError(f'{what} refused: action is {update.action}, expected {PROMOTE} (promote) or {ROLLBACK} '
                         '(roll back)')
    if update.factory_hash != served.factory:
        raise ValueError(f'{what} refused: they descend from factory {update.factory_hash[:12]!r}, served is '
                         f'{served.factory[:12]!r}')
    if update.action == PROMOTE and update.version <= served.version:
        raise ValueError(f'{what} refused: not newer than version {served.version}, which is served')
    if update.version == served.version:
        raise ValueError(f'{what} refused: another file of version {served.version} is served')
    if update.sha256 in withdrawn and update.action == PROMOTE:
        raise ValueError(f'{what} refused: they were rolled back from')
    path = _inside(folder, update.file, what)
    if not path.is_file():  # whatever else it is, a pipe for one, reading it may never end
        raise ValueError(f'{what} refused: {path} cannot be read: it is no file')
    size = path.stat().st_size
    if size > most_bytes:
        raise ValueError(f'{what} refused: {path} has {size} bytes, expected at most {most_bytes:.0f}, for the file that was '
                         'loaded at first has half of that')
    return path


def _inside(folder: Path, name: str, what: str) -> Path:
    if not name or name in ('.', '..') or any(c in name for c in '/\\\0'):
        raise ValueError(f'{what} refused: expected the name of a file in {folder}, without folders')
    path = folder / name
    if path.resolve().parent != folder.resolve():
        raise ValueError(f'{what} refused: it leads out of {folder}')
    return path

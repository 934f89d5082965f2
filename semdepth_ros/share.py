"""Files that come with the package but are no Python: config/, launch/ and msg/, in the source tree or installed."""
from __future__ import annotations

import os
import sys
from pathlib import Path


def share_folders(*parts: str) -> list[Path]:
    """Return the folders of this name that exist: the source tree's first, then those of every installation prefix.

    :param parts: path inside the package's share folder, such as ('config', 'recipes')
    """
    package = Path(__file__).resolve().parent
    prefixes = [Path(p) for p in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if p]
    prefixes += [Path(sys.prefix), *package.parents[:4]]
    roots = [package.parent] + [prefix / 'share' / 'semdepth_ros' for prefix in prefixes]
    folders = [root.joinpath(*parts) for root in roots]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def shared_names(*parts: str, suffix: str = '.yaml') -> dict[str, Path]:
    """Return the files of a share folder by their names without suffix, in order; of two of a name the first folder's."""
    known: dict[str, Path] = {}
    for folder in share_folders(*parts):
        for file in folder.glob(f'*{suffix}'):
            known.setdefault(file.stem, file)
    return dict(sorted(known.items()))


def shared_file(*parts: str) -> Path:
    """Return one file of the package's share folder, such as shared_file('config', 'semdepth.rviz').

    :raises ValueError: it is in neither the source tree nor an installation prefix
    """
    for folder in share_folders(*parts[:-1]):
        if (folder / parts[-1]).is_file():
            return folder / parts[-1]
    raise ValueError(f'{"/".join(parts)} of semdepth_ros is not installed: expected it in the source tree or in '
                     f'share/semdepth_ros of {sys.prefix} or AMENT_PREFIX_PATH')

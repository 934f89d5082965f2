"""Files and folders to be written at the end of long work, tried at its beginning."""
from __future__ import annotations

from pathlib import Path
import tempfile


def expect_writable(*files: str | Path | None) -> None:
    """Make the folders of the files; what is None is not wanted.

    :raises ValueError: a file is a folder, or nothing can be written beside it
    """
    for file in files:
        if file is None:
            continue
        path = Path(file).expanduser()
        if path.is_dir():
            raise ValueError(f'{path} is a folder, expected the name of a file')
        _try(path.parent, path)


def expect_folder(*folders: str | Path | None) -> None:
    """Make the folders; what is None is not wanted.

    :raises ValueError: a folder is a file, or nothing can be written into it
    """
    for folder in folders:
        if folder is not None:
            path = Path(folder).expanduser()
            _try(path, path)


def _try(folder: Path, wanted: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ValueError(f'{wanted} cannot be written: {error.strerror or error}') from None

"""Files to be written at the end of long work, tried at its beginning."""
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
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=path.parent).close()
        except OSError as error:
            raise ValueError(f'{path} cannot be written: {error.strerror or error}') from None

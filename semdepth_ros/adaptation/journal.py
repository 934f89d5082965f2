"""A line of JSON for every decision, from which a run can be drawn."""
from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MOST_BYTES = 64 << 20  # of a file, before it is put aside


class Journal:
    """Appends lines to a file; what was put aside last is kept beside it.

    :param path: None writes nothing
    """

    def __init__(self, path: str | os.PathLike | None, most_bytes: int = MOST_BYTES):
        self.path, self.most_bytes = (None if path is None else Path(path)), most_bytes
        self._file = None

    def write(self, event: str, **values: Any) -> None:
        """Write one line; numbers that are not finite become null."""
        if self.path is None:
            return
        line = json.dumps({'event': event, **_plain(values)}, allow_nan=False) + '\n'
        if self._file is None or self._file.closed:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            torn = not _ends_whole(self.path)
            self._file = open(self.path, 'a', encoding='utf-8')
            if torn:                                            # a run that was killed: its last line stays alone
                self._file.write('\n')
        self._file.write(line)
        self._file.flush()
        if self._file.tell() > self.most_bytes:
            self.close()
            os.replace(self.path, self.path.with_name(f'{self.path.name}.1'))

    def close(self) -> None:
        """Close the file; it is opened again by the next line."""
        if self._file is not None:
            self._file.close()


def read_journal(path: str | os.PathLike) -> Iterator[dict[str, Any]]:
    """Yield the lines of a journal, what was put aside first; a line that is not whole is left out."""
    path = Path(path)
    for file in (path.with_name(f'{path.name}.1'), path):
        if not file.exists():
            continue
        with open(file, encoding='utf-8', errors='replace') as lines:
            for line in lines:
                try:
                    content = json.loads(line)
                except ValueError:
                    continue
                if isinstance(content, dict):
                    yield content


def _ends_whole(path: Path) -> bool:
    if not path.exists() or not path.stat().st_size:
        return True
    with open(path, 'rb') as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b'\n'


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if hasattr(value, 'item') and not isinstance(value, (str, bytes)):
        value = value.item()
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value

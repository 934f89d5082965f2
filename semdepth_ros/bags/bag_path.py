"""What is a bag by its name, and what helps where it is none or is damaged."""
from __future__ import annotations

from pathlib import Path

BAG_SUFFIXES = ('.mcap', '.db3')
_SAVING = {'.mcap': '`mcap recover {path} -o whole.mcap` saves what is whole',
           '.db3': '`sqlite3 {path} .recover | sqlite3 whole.db3` saves what is whole',
           '': '`ros2 bag reindex {path}` makes its metadata.yaml anew'}


class BagError(ValueError):
    """A bag that cannot be read or written; the message is one line."""


def is_bag(path: str | Path) -> bool:
    """Return whether this is a bag by its name: a .mcap or .db3 file, or a folder with metadata.yaml."""
    path = Path(path).expanduser()
    return (path.is_file() and path.suffix in BAG_SUFFIXES) or (path / 'metadata.yaml').is_file()


def unfinished(path: str | Path) -> str:
    """Return what is wrong with a folder that has a recording's files but no metadata.yaml, empty for others."""
    path = Path(path).expanduser()
    files = sorted(p.name for p in path.iterdir() if p.suffix in BAG_SUFFIXES) if path.is_dir() else []
    if not files or (path / 'metadata.yaml').exists():
        return ''
    return (f'{path} is not a bag: it has {files[0]} but no metadata.yaml, as when recording was cut off; '
            f'{saving(path)}, or name the file itself')


def saving(path: str | Path) -> str:
    """Return how what is whole in a damaged bag is saved."""
    return _SAVING[Path(path).suffix if Path(path).suffix in _SAVING else ''].format(path=path)

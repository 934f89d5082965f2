"""The order of a folder's pictures: that of the numbers in their names, as people count."""
from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
import logging
from pathlib import Path
import re

LOGGER = logging.getLogger(__name__)
_DIGITS = re.compile(r'(\d+)')


def natural_key(name: str) -> tuple:
    """Return what sorts 9 before 10 and a9 before a10; of equal numbers the one with fewer zeros comes first."""
    parts = _DIGITS.split(name)
    return tuple((int(part), '') if part.isdigit() else (-1, part) for part in parts if part), name


def in_order(files: Iterable[Path]) -> list[Path]:
    """Return files in the natural order of their names, or as numbers where all names are decimal numbers (seconds).

    What hides behind a dot, as the doubles that macOS leaves on other file systems (._1.png), is no picture.
    Where the order differs from that of the alphabet, it is said.
    """
    files = [f for f in files if not f.name.startswith('.')]
    if files and all(re.fullmatch(r'\d+\.\d+', f.stem) for f in files):
        found = sorted(files, key=lambda f: (Decimal(f.stem), f.name))
    else:
        found = sorted(files, key=lambda f: (natural_key(f.stem), f.suffix))
    plain = sorted(files)
    if [f.stem for f in found] != [f.stem for f in plain]:
        at = next(i for i, (a, b) in enumerate(zip(found, plain)) if a != b)
        LOGGER.warning('%s: images are taken in the order of their numbers: %s, not %s, is number %d', found[0].parent,
                       found[at].name, plain[at].name, at + 1)
    return found

"""Cells and tables of an experiment's page."""
from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from semdepth_ros.evaluation.bootstrap import Change

NOT_RUN, MISSING = 'not run', '–'


def mean_cell(values: Iterable[float | None]) -> str:
    """Return the mean of what is known, and half of what it spreads over where there are several."""
    known = [value for value in values if value is not None]
    if not known:
        return MISSING
    spread = f' ±{(max(known) - min(known)) / 2:.3f}' if len(known) > 1 else ''
    return f'{np.mean(known):.3f}{spread}'


def change_cell(change: Change | None, kind: str) -> str:
    """Return a change and its interval; empty where there is none."""
    if change is None:
        return ''
    return f'{amount(change.value, kind)} [{amount(change.low, kind)}, {amount(change.high, kind)}]'


def amount(value: float, kind: str, sign: bool = True) -> str:
    """Return a relative or absolute amount with its sign.

    :param sign: whether 0 has one too
    """
    text = f'{100 * value:+.1f} %' if kind == 'relative' else f'{value:+.3f}'
    return text if sign or value else text.lstrip('+-')


def table(heads: list[str], rows: list[list]) -> str:
    """Return a table in Markdown; empty without rows."""
    if not rows:
        return ''
    lines = [heads, ['---'] * len(heads), *rows]
    return '\n'.join('| ' + ' | '.join(str(cell).replace('|', '\\|').replace('\n', ' ') for cell in line) + ' |'
                     for line in lines)

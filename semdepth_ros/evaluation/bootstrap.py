"""How sure a difference between two networks is, given the towns both were tried in."""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

CHANGES = ('relative', 'absolute')
RESAMPLES, LEVEL = 10_000, 0.95


class Change(NamedTuple):
    """A change, and the interval that it lies in at the level asked for."""

    value: float
    low: float
    high: float


def paired_change(values: np.ndarray, reference: np.ndarray, kind: str = 'relative', resamples: int = RESAMPLES,
                  level: float = LEVEL, seed: int = 0) -> Change:
    """Return the change of the mean over towns, with its interval by the paired percentile bootstrap.

    Towns are drawn with replacement, each with the values of both. Efron and Tibshirani 1993.

    :param values, reference: one number a town [N], of the same towns in the same order
    :param kind: 'relative', mean(values) / mean(reference) - 1, or 'absolute', the difference of the means
    :raises ValueError: other shapes, fewer than two towns, or an unknown kind
    """
    if kind not in CHANGES:
        raise ValueError(f'change is {kind!r}, expected one of {", ".join(CHANGES)}')
    values, reference = np.asarray(values, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if values.shape != reference.shape or values.ndim != 1 or len(values) < 2:
        raise ValueError(f'values of towns have shapes {values.shape} and {reference.shape}, expected two equal ones '
                         f'of at least 2')
    drawn = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    changes = _change(values[drawn].mean(axis=1), reference[drawn].mean(axis=1), kind)
    low, high = np.quantile(changes, [(1 - level) / 2, (1 + level) / 2])
    return Change(float(_change(values.mean(), reference.mean(), kind)), float(low), float(high))


def _change(mean, reference, kind: str):
    return mean / reference - 1 if kind == 'relative' else mean - reference

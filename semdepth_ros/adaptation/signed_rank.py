"""The signed-rank test of paired differences, exact for the few of them that a trial has."""
from __future__ import annotations

import numpy as np

EXACT_UP_TO = 60  # pairs; the counts of all 2^n signs still fit a float


def p_of_positive(differences: np.ndarray) -> float:
    """Return the probability of a rank sum of the positive differences at least as large, were signs even chances.

    One-sided: small where differences are positive. Equal ones share their mean rank, those that are 0 are left out
    (Wilcoxon 1945); all signs are enumerated by dynamic programming, so that no table or normal curve is needed. Beyond
    EXACT_UP_TO pairs the normal curve with correction for ties serves.

    :param differences: [N]
    :return: 1 where none differs
    :raises ValueError: one is not a number
    """
    values = np.asarray(differences, dtype=np.float64)
    if np.isnan(values).any():
        raise ValueError('a difference is not a number')
    values = values[values != 0]
    if not len(values):
        return 1.0
    ranks, ties = mean_ranks(np.abs(values))
    total = ranks[values > 0].sum()
    if len(values) > EXACT_UP_TO:
        return _normal(total, len(values), ties)
    doubled = np.rint(2 * ranks).astype(int)            # mean ranks are whole or half
    ways = np.zeros(doubled.sum() + 1)
    ways[0] = 1
    for rank in doubled:
        ways[rank:] += ways[:-rank].copy()
    return float(ways[int(round(2 * total)):].sum() / 2.0 ** len(values))


def mean_ranks(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ranks from 1 of values [N], equal ones sharing their mean, and how many share each."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[place], counts


def _normal(total: float, count: int, ties: np.ndarray) -> float:
    from math import erfc, sqrt
    mean = count * (count + 1) / 4
    variance = count * (count + 1) * (2 * count + 1) / 24 - (ties ** 3 - ties).sum() / 48
    return 0.5 * erfc((total - mean - 0.5) / sqrt(2 * variance))

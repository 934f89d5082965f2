"""Pixels whose depth was far from the truth where training began, and where they are now."""
from __future__ import annotations

import numpy as np

STUCK, FREE = 0.3, 0.1
FIGURES = ('stuck', 'left', 'fell')


def minimum_counts(start: np.ndarray, depth: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return how many pixels there are, are stuck at the start, have left that; are free at the start, have fallen.

    A pixel is stuck with |ln d - ln d*| > 0.3, and free with less than 0.1; to leave is to be stuck at the start and free
    now, to fall the reverse. Counts of frames add up; minimum_figures reads them. Form ours: what a local minimum of the
    photometric loss is cannot be seen from depth alone, but what is stuck in one is off by much and stays there.

    :param start, depth: of the weights that training began from, and of those it came to [N] m, positive
    :param truth: [N] m, positive and finite
    """
    before, after = (np.abs(np.log(values / truth)) for values in (start, depth))
    stuck, free = before > STUCK, before < FREE
    return np.array([len(truth), stuck.sum(), (stuck & (after < FREE)).sum(), free.sum(), (free & (after > STUCK)).sum()])


def minimum_figures(counts: np.ndarray) -> dict[str, float]:
    """Return `stuck`, the share of pixels; `left`, of the stuck ones; `fell`, of the free ones; without any, none."""
    pixels, stuck, left, free, fell = (float(count) for count in counts)
    shares = {'stuck': (stuck, pixels), 'left': (left, stuck), 'fell': (fell, free)}
    return {name: part / whole for name, (part, whole) in shares.items() if whole}

"""The scale from distances that are known, whoever measured them: its sigma, what is left, and whether it helps at all."""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BIAS = 0.05             # never averages out: the network errs alike on all that is alike
ALONE = 0.15            # scatter that is assumed of fewer than three measurements
TOO_MUCH = 0.35         # scatter of measurements that say nothing together
BENT, LEAST_RANGE, LEAST_POINTS = 0.2, 2.0, 4
EDGES_M = (0, 3, 6, 12, 25, 50, math.inf)


@dataclass(frozen=True)
class Residual:
    """What is left at one distance after scaling.

    :param from_m, to_m: distances that count
    :param error: median of perceived over true, less one
    """

    from_m: float
    to_m: float
    points: int
    error: float


@dataclass(frozen=True)
class MeasuredScale:
    """What known distances say of a camera.

    :param scale: true over perceived distance
    :param sigma: its relative standard deviation
    :param scatter: relative standard deviation of one measurement
    :param bend: true distance goes as the (1 + bend)-th power of the perceived one; 0 where it cannot be told
    :param residuals: by distance
    :param doubt: why a scale does not mend the depth of this camera, in a sentence; empty where it does
    """

    scale: float
    sigma: float
    scatter: float
    bend: float
    residuals: tuple[Residual, ...]
    doubt: str = ''

    @property
    def left(self) -> str:
        """What is left after scaling, in words; empty where that is not known."""
        return said_by_distance(self.residuals)


def measured_scale(perceived: Sequence[float], true: Sequence[float], groups: Sequence[int] | None = None
                   ) -> MeasuredScale:
    """Return the scale that brings perceived distances nearest to true ones.

    The median of ln(true / perceived), each group (a frame) counting once. The rules are form ours.

    :param perceived, true: distances along the optical axis [m]
    :param groups: which measurements are of one frame and so err alike; None where each stands for itself
    :raises ValueError: none, not as many of both, or a distance that is not positive and finite
    """
    perceived, true = np.asarray(perceived, float), np.asarray(true, float)
    if not len(perceived) or len(perceived) != len(true):
        raise ValueError(f'{len(perceived)} perceived and {len(true)} true distances, expected as many, and at least one')
    for what, values in (('perceived', perceived), ('true', true)):
        if not (np.isfinite(values) & (values > 0)).all():
            wrong = values[~(np.isfinite(values) & (values > 0))][0]
            raise ValueError(f'a {what} distance is {wrong} m, expected a positive number')
    ratio = np.log(true / perceived)
    each = ratio if groups is None else np.array([np.median(ratio[np.asarray(groups) == g]) for g in np.unique(groups)])
    centre = float(np.median(each))
    spread = float(1.4826 * np.median(np.abs(each - centre))) if len(each) >= 3 else ALONE
    bend = _bend(np.log(perceived), np.log(true))
    scale = math.exp(centre)
    residuals = residuals_by_distance(perceived * scale, true)
    return MeasuredScale(scale, math.hypot(BIAS, 1.25 * spread / math.sqrt(len(each))), spread, bend, residuals,
                         _doubt(bend, spread, len(each), residuals))


def _bend(log_perceived: np.ndarray, log_true: np.ndarray) -> float:
    """Return how the ratio changes from the nearer third of the measurements to the farther one.

    Near and far are told by both distances alike: by one alone, its errors would pass for a bend.
    """
    middle, ratio = (log_perceived + log_true) / 2, log_true - log_perceived
    low, high = np.quantile(middle, (1 / 3, 2 / 3))
    near, far = middle <= low, middle >= high
    apart = np.median(middle[far]) - np.median(middle[near])
    if len(ratio) < LEAST_POINTS or apart < math.log(LEAST_RANGE):
        return 0.0
    slope = float(np.median(ratio[far]) - np.median(ratio[near])) / apart
    return slope / max(1 - slope / 2, 0.1)


def said_by_distance(residuals: Sequence[Residual]) -> str:
    """Return residuals in words; empty where there are none."""
    return ', '.join(f'{100 * r.error:+.0f} % ' + (f'from {r.from_m:g} to {r.to_m:g} m' if math.isfinite(r.to_m)
                                                   else f'beyond {r.from_m:g} m') for r in residuals)


def residuals_by_distance(scaled: np.ndarray, true: np.ndarray) -> tuple[Residual, ...]:
    """Return what is left between scaled and true distances [m], [N] each, in classes of true distance."""
    found = []
    for low, high in zip(EDGES_M, EDGES_M[1:]):
        here = (true >= low) & (true < high)
        if here.any():
            found.append(Residual(float(low), float(high), int(here.sum()), float(np.median(scaled[here] / true[here]) - 1)))
    return tuple(found)


def _doubt(bend: float, spread: float, many: int, residuals: tuple[Residual, ...]) -> str:
    if abs(bend) > BENT:
        near, far = residuals[0], residuals[-1]
        return (f'depth is bent, and no scale mends that: scaled, it is {100 * near.error:+.0f} % at {near.from_m:g} m and '
                f'beyond, {100 * far.error:+.0f} % at {far.from_m:g} m and beyond; the calibration may be of another lens, or '
                'the weights do not fit this camera')
    if many >= 3 and spread > TOO_MUCH:
        return (f'the measurements contradict each other by {100 * spread:.0f} %: look at the points and at what stands '
                'there')
    return ''

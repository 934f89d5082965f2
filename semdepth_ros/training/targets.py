"""Which frames of a sequence can be trained on: those whose neighbours were taken when and where they should be."""
from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from semdepth_ros.data.sample import Sequence

# largest share of the expected time between two frames that it may be off by; more is a frame that is missing
LARGEST_TIME_ERROR = 0.5
# faster than any car on a road [m/s]: a pose that jumped
HIGHEST_SPEED = 70.0


class Targets(NamedTuple):
    """The frames of a sequence that can be targets at one stride, and why others cannot.

    :param frames: int64 [N]
    :param left_out: how many frames with neighbours were left out, by reason
    :param travel_known: whether the length of the camera's way to some neighbour is known
    """

    frames: np.ndarray
    left_out: dict[str, int]
    travel_known: bool


def find_targets(sequence: Sequence, stride: int, min_distance_m: float, flagged: Collection[int] = ()) -> Targets:
    """Return the frames with neighbours a stride away on both sides; no image is read.

    Left out are frames with a neighbour that comes much sooner or later than the stride says, seen by the stamps; that
    lies farther away than a car can have come; or that is closer than min_distance_m, both where poses are known. A
    stride of 0 asks for no neighbours, and every frame will do. Flagged frames are no targets; they stay neighbours.
    """
    if stride == 0:
        return _unflagged(Targets(np.arange(len(sequence)), {}, False), flagged)
    if len(sequence) <= 2 * stride:
        return Targets(np.zeros(0, dtype=np.int64), {}, False)
    stamps = np.asarray(sequence.stamps_ns, dtype=np.int64)
    seconds = (stamps[stride:] - stamps[:-stride]) / 1e9
    expected = stride * float(np.median(np.diff(stamps))) / 1e9
    positions = _positions(sequence)
    metres = np.linalg.norm(positions[stride:] - positions[:-stride], axis=1)   # [pairs], NaN unknown
    reasons = {'across gaps in time': np.abs(seconds - expected) > LARGEST_TIME_ERROR * expected,
               f'faster than {HIGHEST_SPEED:.0f} m/s': metres > HIGHEST_SPEED * np.abs(seconds),
               f'closer than {min_distance_m} m': metres < min_distance_m}
    good, left_out = np.ones(len(sequence) - 2 * stride, dtype=bool), {}
    for reason, pairs in reasons.items():
        either = pairs[:-stride] | pairs[stride:]                               # to the one before, to the one after
        left_out[reason] = int((good & either).sum())
        good &= ~either
    known = np.isfinite(metres[:-stride]) | np.isfinite(metres[stride:])
    found = Targets(np.flatnonzero(good) + stride, {r: n for r, n in left_out.items() if n}, bool((known & good).any()))
    return _unflagged(found, flagged)


def _unflagged(targets: Targets, flagged: Collection[int]) -> Targets:
    kept = targets.frames[~np.isin(targets.frames, list(flagged))]
    if len(kept) == len(targets.frames):
        return targets
    return targets._replace(frames=kept, left_out=targets.left_out | {'flagged': len(targets.frames) - len(kept)})


def _positions(sequence: Sequence) -> np.ndarray:
    """Return where the camera was at each frame, float64 [N, 3] m, NaN where that is not known."""
    positions = np.full((len(sequence), 3), np.nan)
    for i, pose in enumerate(sequence.poses if sequence.poses is not None else ()):
        if pose is not None:
            positions[i] = pose[:3, 3]
    return positions

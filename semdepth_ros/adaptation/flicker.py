"""How much the scale of depth changes from one frame to the next when nothing but the camera has moved."""
from __future__ import annotations

import math
from collections import deque

import cv2
import numpy as np

from semdepth_ros.adaptation.track_motion import INLIER_PX, LEAST_POINTS, TrackMotion, track_motion, usable_points
from semdepth_ros.adaptation.tracks import Tracks, follow

LEAST_INLIERS = 0.5
LEAST, NEWEST = 5, 60       # pairs of frames that say it at least, and that count


class Flicker:
    """The newest changes, and their size."""

    def __init__(self):
        self._changes: deque[float] = deque(maxlen=NEWEST)

    @property
    def value(self) -> float:
        """Robust standard deviation of ln(scale) from one frame to the next; NaN before there are enough."""
        changes = tuple(self._changes)
        return float(1.4826 * np.median(np.abs(changes))) if len(changes) >= LEAST else math.nan

    def take(self, change: float | None) -> None:
        """Take the change of one pair of frames; None is none."""
        if change is not None:
            self._changes.append(change)

    def clear(self) -> None:
        """Forget everything."""
        self._changes.clear()


def scale_change(tracks: Tracks, motion: TrackMotion | None, first: np.ndarray, second: np.ndarray,
                 intrinsics: np.ndarray, still: np.ndarray) -> float | None:
    """Return ln of the second frame's depth over what the first one's depth and the motion say it should be (form ours).

    The median over tracked points that stand still. The motion is the one that the first frame's depth says, so its
    length is in the same unit, and no odometry is asked.

    :param tracks: points of the first frame found in the second
    :param motion: by these tracks and the first frame's depth; None where there is none
    :param first, second: depth [H, W] m
    :param still: pixels of the first frame that stand still in the world, bool [H, W]
    :return: None where too little is seen
    """
    if motion is None or motion.inliers < LEAST_INLIERS:
        return None
    points, pixels = usable_points(tracks, first, intrinsics, still)
    moved = points @ motion.matrix[:3, :3].T + motion.matrix[:3, 3]
    there = moved @ intrinsics.T
    with np.errstate(divide='ignore', invalid='ignore'):
        near = np.linalg.norm(there[:, :2] / there[:, 2:] - pixels, axis=1) < INLIER_PX
    seen = cv2.remap(second.astype(np.float32), *(pixels[:, i].astype(np.float32)[:, None] for i in (0, 1)),
                     cv2.INTER_NEAREST)[:, 0].astype(np.float64)
    good = near & (moved[:, 2] > 0.1) & np.isfinite(seen) & (seen > 0)
    return float(np.median(np.log(seen[good] / moved[good, 2]))) if good.sum() >= LEAST_POINTS else None


def change_between(first_grey: np.ndarray, second_grey: np.ndarray, first: np.ndarray, second: np.ndarray,
                   intrinsics: np.ndarray, still: np.ndarray) -> float | None:
    """Return scale_change of two frames whose points have not been followed yet; grey images uint8 [H, W]."""
    tracks = follow(first_grey, second_grey)
    return scale_change(tracks, track_motion(tracks, first, intrinsics, still), first, second, intrinsics, still)

"""Points followed from one image into the next, and how much of their way no turn of the camera explains."""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

MOST, QUALITY, APART_PX = 400, 0.01, 5
WINDOW_PX, LEVELS = 15, 4
THERE_AND_BACK_PX = 1.0
_ROUNDS = 5


@dataclass(frozen=True)
class Tracks:
    """Corners of a first image and where they lie in a second one.

    :param first, second: pixels, float64 [N, 2]
    :param sought: how many corners were looked for
    """

    first: np.ndarray
    second: np.ndarray
    sought: int

    def __len__(self) -> int:
        return len(self.first)

    @property
    def found(self) -> float:
        """The share of the corners that were found again, 0 where there were none."""
        return len(self.first) / max(self.sought, 1)

    def reversed(self) -> Tracks:
        """Return the way back."""
        return Tracks(self.second, self.first, self.sought)


def follow(first: np.ndarray, second: np.ndarray) -> Tracks:
    """Return corners of the first grey image, uint8 [H, W], that were found in the second and from there back again.

    Corners after Shi and Tomasi 1994, followed after Lucas and Kanade 1981 (Bouguet's pyramid).
    """
    corners = cv2.goodFeaturesToTrack(first, MOST, QUALITY, APART_PX)
    if corners is None:
        return Tracks(np.zeros((0, 2)), np.zeros((0, 2)), 0)
    how = {'winSize': (WINDOW_PX, WINDOW_PX), 'maxLevel': LEVELS}
    there, found, _ = cv2.calcOpticalFlowPyrLK(first, second, corners, None, **how)
    back, again, _ = cv2.calcOpticalFlowPyrLK(second, first, there, None, **how)
    corners, there, back = (p.reshape(-1, 2).astype(np.float64) for p in (corners, there, back))
    good = (found.ravel() == 1) & (again.ravel() == 1)
    good &= np.linalg.norm(back - corners, axis=1) < THERE_AND_BACK_PX
    height, width = first.shape
    good &= ((there >= 0) & (there <= [width - 1, height - 1])).all(axis=1)
    return Tracks(corners[good], there[good], len(corners))


def parallax_px(tracks: Tracks, intrinsics: np.ndarray) -> float:
    """Return the median way [px] of the tracks that is left once the best turn of the camera is taken out.

    :param intrinsics: [3, 3] px
    :return: 0 without tracks

    A standing camera that turns leaves none, however fast. The turn is a robust fit to rays (Kabsch 1976, reweighted).
    """
    if len(tracks) < 3:
        return 0.0
    a, b = rays(tracks.first, intrinsics), rays(tracks.second, intrinsics)
    a, b = (r / np.linalg.norm(r, axis=1, keepdims=True) for r in (a, b))
    weight, left = np.ones(len(a)), None
    for _ in range(_ROUNDS):
        u, _, vt = np.linalg.svd((b * weight[:, None]).T @ a)
        turn = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
        turned = a @ turn.T
        turned = turned / np.maximum(turned[:, 2:], 1e-6)
        left = np.linalg.norm((turned @ intrinsics.T)[:, :2] - tracks.second, axis=1)
        weight = 1 / np.maximum(left, 0.3)
    return float(np.median(left))


def flow_px(tracks: Tracks) -> float:
    """Return the median way of the tracks [px], 0 without any."""
    return float(np.median(np.linalg.norm(tracks.second - tracks.first, axis=1))) if len(tracks) else 0.0


def rays(pixels: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Return directions with z = 1 through pixels [N, 2], float64 [N, 3]."""
    xy = (pixels - [intrinsics[0, 2], intrinsics[1, 2]]) / [intrinsics[0, 0], intrinsics[1, 1]]
    return np.concatenate([xy, np.ones((len(xy), 1))], axis=1)

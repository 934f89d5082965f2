"""The camera's motion between two frames, from tracked points and the depth that a network says they have."""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from semdepth_ros.adaptation.tracks import Tracks, rays

LEAST_POINTS = 20
INLIER_PX = 1.5
_ROUNDS, _HUBER_PX = 12, 0.7


@dataclass(frozen=True)
class TrackMotion:
    """What the tracks say.

    :param matrix: second camera from first, float64 [4, 4], in the unit of the depth
    :param inliers: share of the points within INLIER_PX of where the motion puts them
    :param residual_px: median distance of the points from there
    """

    matrix: np.ndarray
    inliers: float
    residual_px: float


def track_motion(tracks: Tracks, depth: np.ndarray, intrinsics: np.ndarray, still: np.ndarray,
                 farthest_m: float = 60.0) -> TrackMotion | None:
    """Return the motion that puts the points of the first image best where they were found in the second.

    Reprojection errors are minimised by Gauss and Newton's method, reweighted after Huber 1964 (form ours). The length
    of the translation is in the unit of the depth, so that its ratio to odometry is the scale of the depth.

    :param depth: of the first image along Z, [H, W]
    :param still: pixels of the first image that stand still in the world, bool [H, W]
    :return: None where fewer than LEAST_POINTS can be used
    """
    points, pixels = usable_points(tracks, depth, intrinsics, still, farthest_m)
    if len(points) < LEAST_POINTS:
        return None
    matrix = np.eye(4)
    for _ in range(_ROUNDS):
        moved, error = _errors(points, pixels, matrix, intrinsics)
        x, y, z = moved.T
        fx, fy = intrinsics[0, 0] / z, intrinsics[1, 1] / z
        zero = np.zeros_like(z)
        # derivative of the pixel by (turn, shift) of the moved point
        across = np.stack([-fx * x * y / z, fx * z + fx * x * x / z, -fx * y, fx, zero, -fx * x / z], axis=1)
        down = np.stack([-fy * z - fy * y * y / z, fy * x * y / z, fy * x, zero, fy, -fy * y / z], axis=1)
        far = np.linalg.norm(error, axis=1)
        weight = np.minimum(1, _HUBER_PX / np.maximum(far, 1e-9)) * (z > 0.1)
        jacobian = np.concatenate([across, down])
        weights = np.concatenate([weight, weight])
        normal = jacobian.T @ (jacobian * weights[:, None]) + 1e-6 * np.eye(6)
        step = -np.linalg.solve(normal, jacobian.T @ (weights * error.T.ravel()))
        update = np.eye(4)
        update[:3, :3], update[:3, 3] = cv2.Rodrigues(step[:3])[0], step[3:]
        matrix = update @ matrix
        if np.abs(step).max() < 1e-7:
            break
    if not np.isfinite(matrix).all():
        return None
    far = np.linalg.norm(_errors(points, pixels, matrix, intrinsics)[1], axis=1)
    return TrackMotion(matrix, float(np.mean(far < INLIER_PX)), float(np.median(far)))


def usable_points(tracks: Tracks, depth: np.ndarray, intrinsics: np.ndarray, still: np.ndarray,
                  farthest_m: float = 60.0) -> tuple[np.ndarray, np.ndarray]:
    """Return the points [N, 3] of still pixels with a depth that parallax can tell, and their pixels [N, 2] in the
    second image."""
    if not len(tracks):
        return np.zeros((0, 3)), np.zeros((0, 2))
    column, row = np.rint(tracks.first).astype(int).T
    z = cv2.remap(depth.astype(np.float32), *(tracks.first[:, i].astype(np.float32)[:, None] for i in (0, 1)),
                  cv2.INTER_LINEAR)[:, 0].astype(np.float64)
    good = still[row, column] & np.isfinite(z) & (z > 0.1) & (z < farthest_m)
    return rays(tracks.first, intrinsics)[good] * z[good, None], tracks.second[good]


def residual_px(tracks: Tracks, depth: np.ndarray, intrinsics: np.ndarray, still: np.ndarray,
                matrix: np.ndarray) -> float:
    """Return the median distance [px] of the points from where a motion puts them; infinite without points."""
    points, pixels = usable_points(tracks, depth, intrinsics, still)
    if not len(points):
        return float('inf')
    return float(np.median(np.linalg.norm(_errors(points, pixels, matrix, intrinsics)[1], axis=1)))


def _errors(points: np.ndarray, pixels: np.ndarray, matrix: np.ndarray, intrinsics: np.ndarray
            ) -> tuple[np.ndarray, np.ndarray]:
    moved = points @ matrix[:3, :3].T + matrix[:3, 3]
    moved[:, 2] = np.maximum(moved[:, 2], 0.05)
    seen = moved / moved[:, 2:] @ intrinsics.T
    return moved, seen[:, :2] - pixels


def epipolar_px(tracks: Tracks, intrinsics: np.ndarray, matrix: np.ndarray) -> float:
    """Return the median Sampson distance [px] of the tracks from a motion's epipolar lines: no depth is looked at.

    Hartley and Zisserman 2004, eq. 11.9.
    """
    if not len(tracks):
        return float('inf')
    x, y, z = matrix[:3, 3]
    essential = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ matrix[:3, :3]
    inverse = np.linalg.inv(intrinsics)
    fundamental = inverse.T @ essential @ inverse
    first, second = (np.concatenate([p, np.ones((len(p), 1))], axis=1) for p in (tracks.first, tracks.second))
    lines, back = first @ fundamental.T, second @ fundamental
    error = np.abs((second * lines).sum(axis=1))
    length = np.sqrt((lines[:, :2] ** 2).sum(axis=1) + (back[:, :2] ** 2).sum(axis=1))
    return float(np.median(error / np.maximum(length, 1e-12)))

"""The camera's motion between two frames, from tracked points and the depth that a network says they have."""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from semdepth_ros.adaptation.tracks import Tracks, rays

LEAST_POINTS = 20
INLIER_PX = 1.5
# how far tracks, and ln of the network's depth, are off; beyond so many deviations an error counts linearly (Huber 1964)
TRACK_PX, DEPTH_ERROR, _HUBER = 0.3, 0.2, 1.5
_ROUNDS, _NEAREST = 12, 0.05


@dataclass(frozen=True)
class TrackMotion:
    """What the tracks say.

    :param matrix: second camera from first, float64 [4, 4], in the unit of the depth
    :param inliers: share of the points that are where the motion puts them: within INLIER_PX, and twice DEPTH_ERROR of
        their way along it
    """

    matrix: np.ndarray
    inliers: float


def track_motion(tracks: Tracks, depth: np.ndarray, intrinsics: np.ndarray, still: np.ndarray,
                 farthest_m: float = 60.0) -> TrackMotion | None:
    """Return the motion that puts the points of the first image best where they were found in the second.

    Reprojection errors are minimised by Gauss and Newton's method, reweighted after Huber: first all alike, then each
    along its way by how far the depth of the network may be off, so that far things that are perceived too near do not
    bend the motion. At last the length is the weighted median over points of the one that makes a point's triangulated
    depth the network's; points that hardly move weigh little. Form ours. The length of the translation is in the unit of
    the depth, so that its ratio to odometry is the scale of the depth.

    :param depth: of the first image along Z, [H, W]
    :param still: pixels of the first image that stand still in the world, bool [H, W]
    :return: None where fewer than LEAST_POINTS can be used
    """
    points, pixels = usable_points(tracks, depth, intrinsics, still, farthest_m)
    if len(points) < LEAST_POINTS:
        return None
    matrix = np.eye(4)
    for depth_error in (0.0, DEPTH_ERROR):
        matrix = _minimised(points, pixels, intrinsics, matrix, depth_error)
    if not np.isfinite(matrix).all():
        return None
    matrix = _with_length(points, pixels, intrinsics, matrix)
    moved, error = _errors(points, pixels, matrix, intrinsics)
    far = np.linalg.norm(_in_deviations(points, moved, error[:, :, None], matrix, intrinsics, INLIER_PX, 2 * DEPTH_ERROR),
                         axis=1)
    return TrackMotion(matrix, float(np.mean(far < 1)))


def _minimised(points: np.ndarray, pixels: np.ndarray, intrinsics: np.ndarray, matrix: np.ndarray,
               depth_error: float) -> np.ndarray:
    """Return the motion with the least errors from this one on; depth_error: of ln depth."""
    for _ in range(_ROUNDS):
        moved, error = _errors(points, pixels, matrix, intrinsics)
        x, y, z = moved.T
        fx, fy = intrinsics[0, 0] / z, intrinsics[1, 1] / z
        zero = np.zeros_like(z)
        # derivative of the pixel by (turn, shift) of the moved point, and the error itself, in deviations
        across = np.stack([-fx * x * y / z, fx * z + fx * x * x / z, -fx * y, fx, zero, -fx * x / z, error[:, 0]], axis=1)
        down = np.stack([-fy * z - fy * y * y / z, fy * x * y / z, fy * x, zero, fy, -fy * y / z, error[:, 1]], axis=1)
        both = _in_deviations(points, moved, np.stack([across, down], axis=1), matrix, intrinsics, TRACK_PX, depth_error)
        jacobian, error = both[:, :, :6], both[:, :, 6]
        weight = np.minimum(1, _HUBER / np.maximum(np.linalg.norm(error, axis=1), 1e-9)) * (z > 0.1)
        normal = np.einsum('nki,nkj,n->ij', jacobian, jacobian, weight) + 1e-6 * np.eye(6)
        step = -np.linalg.solve(normal, np.einsum('nki,nk,n->i', jacobian, error, weight))
        update = np.eye(4)
        update[:3, :3], update[:3, 3] = cv2.Rodrigues(step[:3])[0], step[3:]
        matrix = update @ matrix
        if np.abs(step).max() < 1e-7:
            break
    return matrix


def _in_deviations(points: np.ndarray, moved: np.ndarray, vectors: np.ndarray, matrix: np.ndarray,
                   intrinsics: np.ndarray, track_px: float, depth_error: float) -> np.ndarray:
    """Return image vectors [N, 2, K] along and across each point's way by the translation, in standard deviations."""
    way = _projected(moved, intrinsics) - _projected(points @ matrix[:3, :3].T, intrinsics)
    length = np.linalg.norm(way, axis=1)
    along = np.where(length[:, None] > 1e-9, way / np.maximum(length, 1e-9)[:, None], [1.0, 0.0])
    axes = np.stack([along / np.hypot(track_px, depth_error * length)[:, None],
                     np.stack([-along[:, 1], along[:, 0]], axis=1) / track_px], axis=1)
    return axes @ vectors


def _with_length(points: np.ndarray, pixels: np.ndarray, intrinsics: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return the motion with the length that its points say; as it is where they say none."""
    length, said = np.linalg.norm(matrix[:3, 3]), _length(points, pixels, intrinsics, matrix)
    if said is None:
        return matrix
    out = matrix.copy()
    out[:3, 3] *= said / length
    return out


def _length(points: np.ndarray, pixels: np.ndarray, intrinsics: np.ndarray, matrix: np.ndarray) -> float | None:
    """Return the length by which triangulated depths are the points' own, the weighted median over them.

    None for a motion without direction, and where most points say that the camera stood still or went the other way.
    """
    length = np.linalg.norm(matrix[:3, 3])
    if length < 1e-9:
        return None
    ahead, z = matrix[:3, 3] / length, points[:, 2]
    turned = points / z[:, None] @ matrix[:3, :3].T
    seen = rays(pixels, intrinsics)
    to_turned, to_ahead = np.cross(seen, turned), np.cross(seen, ahead)
    nearness = -(to_turned * to_ahead).sum(axis=1) / np.maximum((to_ahead ** 2).sum(axis=1), 1e-12)    # length / depth
    way = _projected(turned + np.abs(nearness)[:, None] * ahead, intrinsics) - _projected(turned, intrinsics)
    weight = 1 / (DEPTH_ERROR ** 2 + (TRACK_PX / np.maximum(np.linalg.norm(way, axis=1), 1e-6)) ** 2)
    lengths = np.maximum(nearness * z, 0)
    order = np.argsort(lengths)
    shares = np.cumsum(weight[order])
    median = float(lengths[order][np.searchsorted(shares, shares[-1] / 2)])
    return median if median > 0 else None


def travel_along(tracks: Tracks, depth: np.ndarray, intrinsics: np.ndarray, still: np.ndarray,
                 motion: np.ndarray) -> float | None:
    """Return how far the camera went by the tracks, in the unit of the depth, if it went as a motion says.

    :param depth, still: as for track_motion
    :param motion: second camera from first [4, 4]; its turn and direction are believed, its length is not looked at
    :return: None where fewer than LEAST_POINTS can be used, or they say that it stood still
    """
    points, pixels = usable_points(tracks, depth, intrinsics, still)
    return _length(points, pixels, intrinsics, motion) if len(points) >= LEAST_POINTS else None


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


def _errors(points: np.ndarray, pixels: np.ndarray, matrix: np.ndarray, intrinsics: np.ndarray
            ) -> tuple[np.ndarray, np.ndarray]:
    moved = points @ matrix[:3, :3].T + matrix[:3, 3]
    moved[:, 2] = np.maximum(moved[:, 2], _NEAREST)
    return moved, _projected(moved, intrinsics) - pixels


def _projected(points: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Return the pixels [N, 2] of points [N, 3]; those behind the camera count as if they were just before it."""
    return (points / np.maximum(points[:, 2:], _NEAREST) @ intrinsics.T)[:, :2]


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

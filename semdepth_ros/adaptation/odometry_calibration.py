"""Distances of tracked points by odometry: two views of a point from places a known way apart say how far it is."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from semdepth_ros.adaptation.track_motion import epipolar_px
from semdepth_ros.adaptation.tracks import Tracks, follow, parallax_px, rays
from semdepth_ros.classes import CITYSCAPES, SemanticClass
from semdepth_ros.data.poses import relative_pose
from semdepth_ros.data.sample import Sequence
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Perception

WAY_M, TURN_DEG = (1.0, 4.0), 5.0       # between the two views
LEAST_PARALLAX_PX, OFF_LINE_PX = 4.0, 1.0
LEAST_POINTS = 15                       # of a pair of views
# median distance of points from their epipolar lines, over the way that they go, above which odometry and images disagree
OFF_LINES = 0.2
LEAST_WAY_PX = 1.0                      # of points, for that to be told


@dataclass(frozen=True)
class SeenPoints:
    """Points whose distance is known: perceived and true depth [m] and the frame they were seen in, [N] each."""

    perceived: np.ndarray
    true: np.ndarray
    frame: np.ndarray


def triangulated(tracks: Tracks, motion: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Return the depth of tracked points in the first view by the motion, NaN where it says nothing, float64 [N] m.

    The depth that puts a point nearest to its ray in the second view; points off their epipolar line, without enough
    parallax, or behind a view are left out.

    :param motion: second view from first, float64 [4, 4] m
    :param intrinsics: of both, float64 [3, 3] px
    """
    a, b = rays(tracks.first, intrinsics), rays(tracks.second, intrinsics)
    turned, shift = a @ motion[:3, :3].T, motion[:3, 3]
    cross, side = np.cross(b, turned), np.cross(b, np.broadcast_to(shift, b.shape))
    with np.errstate(divide='ignore', invalid='ignore'):
        depth = -(cross * side).sum(1) / (cross * cross).sum(1)
        there = turned * depth[:, None] + shift
        far = turned @ intrinsics.T
        moved = there @ intrinsics.T
        moved, far = moved[:, :2] / moved[:, 2:], far[:, :2] / far[:, 2:]
        good = (depth > 0) & (there[:, 2] > 0)
        good &= np.linalg.norm(moved - tracks.second, axis=1) < OFF_LINE_PX
        good &= np.linalg.norm(moved - far, axis=1) > LEAST_PARALLAX_PX
    return np.where(good, depth, np.nan)


def off_line(tracks: Tracks, intrinsics: np.ndarray, motion: np.ndarray) -> float:
    """Return how far points lie from their epipolar lines, over the way that no turn explains; NaN where that is short."""
    way_px = parallax_px(tracks, intrinsics)
    return epipolar_px(tracks, intrinsics, motion) / way_px if way_px > LEAST_WAY_PX else float('nan')


def expect_on_lines(off_lines: list[float]) -> None:
    """Raise ValueError where what off_line says of pairs of views shows that odometry and images contradict each other."""
    told = [value for value in off_lines if np.isfinite(value)]
    off = float(np.median(told)) if told else 0.0
    if off > OFF_LINES:
        raise ValueError(f'images and odometry contradict each other: points go {100 * off:.0f} % of their way aside of '
                         f'where it lets them go, expected at most {100 * OFF_LINES:.0f}; intrinsics, the mount or the '
                         'stamps are wrong')


def points_by_odometry(perceive: Callable[[Frame], Perception], sequence: Sequence,
                       classes: tuple[SemanticClass, ...] = CITYSCAPES, most: int = 100,
                       progress: Callable[[int, int], None] = lambda done, total: None) -> SeenPoints:
    """Return points of a drive whose distance follows from the camera's poses.

    :param perceive: with the scale 1
    :param sequence: rectified, with cameras and poses
    :param most: pairs of views
    :raises ValueError: poses or cameras are not known, images contradict poses, or nothing could be seen from two places
    """
    pairs = _pairs(sequence)
    if not pairs:
        raise ValueError(f'{sequence.name}: no two frames {WAY_M[0]:g} to {WAY_M[1]:g} m apart: odometry, or a drive, is '
                         'missing')
    chosen = [pairs[i] for i in np.unique(np.linspace(0, len(pairs) - 1, min(most, len(pairs))).round().astype(int))]
    unsteady = unsteady_classes(classes)
    parts: list[tuple[np.ndarray, np.ndarray, int]] = []
    off_lines: list[float] = []
    for done, (first, second) in enumerate(chosen, start=1):
        one, other = sequence[first], sequence[second]
        if one.camera is None:
            raise ValueError(f'{sequence.name}: the camera is not known, expected its calibration')
        seen = perceive(Frame(one.image, 'rgb', one.camera, one.stamp_ns))
        tracks = follow(*(cv2.cvtColor(np.ascontiguousarray(s.image), cv2.COLOR_RGB2GRAY) for s in (one, other)))
        motion = np.linalg.inv(relative_pose(one, other))
        off_lines.append(off_line(tracks, one.camera.matrix, motion))
        found = points_of_pair(tracks, motion, one.camera.matrix, seen.depth, seen.labels, unsteady)
        if found is not None:
            parts.append((*found, first))
        progress(done, len(chosen))
    expect_on_lines(off_lines)
    if not parts:
        raise ValueError(f'{sequence.name}: no pair of frames has {LEAST_POINTS} points that both see and that stand still')
    return SeenPoints(np.concatenate([p for p, _, _ in parts]), np.concatenate([t for _, t, _ in parts]),
                      np.concatenate([np.full(len(t), n) for _, t, n in parts]))


def points_of_pair(tracks: Tracks, motion: np.ndarray, intrinsics: np.ndarray, depth: np.ndarray, labels: np.ndarray,
                   unsteady: list[int]) -> tuple[np.ndarray, np.ndarray] | None:
    """Return perceived and true depth [m] of points that two views see, float64 [N] each; None where they are too few.

    :param motion: second view from first, float64 [4, 4] m
    :param depth, labels: of the first view [H, W]
    :param unsteady: classes of what may move or is no thing
    """
    true = triangulated(tracks, motion, intrinsics)
    column, row = tracks.first.round().astype(int).T
    inside = (column < depth.shape[1]) & (row < depth.shape[0])
    column, row, true = column[inside], row[inside], true[inside]
    perceived = depth[row, column]
    good = np.isfinite(true) & np.isfinite(perceived) & ~np.isin(labels[row, column], unsteady)
    return (perceived[good].astype(float), true[good]) if good.sum() >= LEAST_POINTS else None


def unsteady_classes(classes: tuple[SemanticClass, ...]) -> list[int]:
    """Return the train ids of what may move, of the sky, and of no class."""
    return [c.train_id for c in classes if c.movable or c.name == 'sky'] + [255]


def _pairs(sequence: Sequence) -> list[tuple[int, int]]:
    """Return pairs of frames a useful way apart that see nearly the same way, the second as soon as it is far enough."""
    poses = sequence.poses if sequence.poses is not None else []
    pairs = []
    for first, pose in enumerate(poses):
        for second in range(first + 1, len(poses)):
            if pose is None or poses[second] is None:
                break
            step = np.linalg.inv(pose) @ poses[second]
            way = np.linalg.norm(step[:3, 3])
            if way > WAY_M[1]:
                break
            if way >= WAY_M[0]:
                if np.degrees(np.arccos(np.clip((np.trace(step[:3, :3]) - 1) / 2, -1, 1))) <= TURN_DEG:
                    pairs.append((first, second))
                break
    return pairs

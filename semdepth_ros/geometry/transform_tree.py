"""Rigid transforms between frames, as /tf and /tf_static tell them, and the newest one between any two."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np


class TransformTree:
    """Keeps the newest transform of every child frame to its parent."""

    def __init__(self):
        self._parents: dict[str, tuple[str, np.ndarray]] = {}
        self._static: set[str] = set()

    def add(self, transform: Any, is_static: bool = False) -> None:
        """Take in a geometry_msgs/TransformStamped.

        :param is_static: whether it came on /tf_static
        :raises ValueError: it is not rigid
        """
        pose = pose_from(transform.transform.translation, transform.transform.rotation)
        child = _clean(transform.child_frame_id)
        self._parents[child] = (_clean(transform.header.frame_id), pose)
        (self._static.add if is_static else self._static.discard)(child)

    def update(self, message: Any, is_static: bool = False) -> None:
        """Take in a tf2_msgs/TFMessage; transforms that are not rigid are left out."""
        for transform in message.transforms:
            with suppress(ValueError):
                self.add(transform, is_static)

    def lookup(self, target: str, source: str) -> np.ndarray | None:
        """Return the pose of source in target, float64 [4, 4] m, None while they are not connected."""
        up_from_target = dict(self._ancestors(target))
        for frame, source_in_frame in self._ancestors(source):
            if frame in up_from_target:
                return np.linalg.inv(up_from_target[frame]) @ source_in_frame
        return None

    def is_static(self, target: str, source: str) -> bool:
        """Return whether both frames are connected, by nothing that came on /tf."""
        chains = [dict(self._ancestors(frame)) for frame in (target, source)]
        common = next((frame for frame in chains[1] if frame in chains[0]), None)
        if common is None:
            return False
        return all(frame in self._static for chain in chains for frame in _up_to(chain, common))

    def _ancestors(self, frame: str) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (ancestor, pose of frame in it), frame itself first; stops where a chain bites its tail."""
        frame, pose, seen = _clean(frame), np.eye(4), set()
        while frame not in seen:
            yield frame, pose
            seen.add(frame)
            if frame not in self._parents:
                return
            frame, step = self._parents[frame]
            pose = step @ pose


def pose_from(translation: Any, rotation: Any) -> np.ndarray:
    """Return the pose [4, 4] of messages with fields x, y, z [m] and x, y, z, w, as pose_of does."""
    return pose_of((translation.x, translation.y, translation.z), (rotation.x, rotation.y, rotation.z, rotation.w))


def pose_of(translation: Iterable[float], quaternion: Iterable[float]) -> np.ndarray:
    """Return the pose [4, 4] of a translation x, y, z [m] and a quaternion x, y, z, w of any length but zero.

    :raises ValueError: a zero quaternion, or a number that is not finite
    """
    t, q = tuple(translation), tuple(quaternion)
    x, y, z, w = np.asarray(q, dtype=np.float64)
    length = np.sqrt(x * x + y * y + z * z + w * w)
    if not (length > 1e-6 and np.isfinite(length)):
        raise ValueError(f'quaternion is {q}, expected one of length 1')
    if not np.isfinite(t).all():
        raise ValueError(f'translation is {t} m, expected finite numbers')
    x, y, z, w = x / length, y / length, z / length, w / length
    pose = np.eye(4)
    pose[:3, :3] = [[1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                    [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                    [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)]]
    pose[:3, 3] = t
    return pose


SEVEN_NUMBERS = 'seven numbers: x y z [m] and the quaternion x y z w'


def pose_of_text(text: str) -> np.ndarray | None:
    """Return the pose [4, 4] of x y z [m] and a quaternion x y z w, separated by blanks or commas; None of no text.

    :raises ValueError: it is not SEVEN_NUMBERS, or its quaternion is zero
    """
    if not text.strip():
        return None
    try:
        numbers = [float(word) for word in text.replace(',', ' ').split()]
    except ValueError:
        numbers = []
    if len(numbers) != 7:
        raise ValueError(f'expected {SEVEN_NUMBERS}')
    return pose_of(numbers[:3], numbers[3:])


def not_a_pose(text: str) -> str | None:
    """Return what was expected in place of a text that pose_of_text refuses; None of one that it takes."""
    try:
        pose_of_text(text)
    except ValueError:
        return f'{SEVEN_NUMBERS}, or nothing'
    return None


def _up_to(chain: dict, ancestor: str) -> list[str]:
    frames = list(chain)
    return frames[:frames.index(ancestor)]


def _clean(frame: str) -> str:
    return frame.lstrip('/')

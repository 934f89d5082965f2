"""Transform messages to the newest rigid transform between two frames."""
from __future__ import annotations

from typing import Any

import numpy as np


class TransformTree:
    """Keeps the newest transform of every child frame to its parent, as /tf and /tf_static tell them."""

    def __init__(self):
        self._parents = {}

    def update(self, message: Any) -> None:
        """Take in a tf2_msgs/TFMessage; transforms that are not rigid are left out."""
        for transform in message.transforms:
            matrix = _matrix(transform.transform)
            if matrix is not None:
                self._parents[_clean(transform.child_frame_id)] = (_clean(transform.header.frame_id), matrix)

    def lookup(self, target: str, source: str) -> np.ndarray | None:
        """Return the pose of source in target, float64 [4, 4], None while they are not connected."""
        up_from_target = dict(self._ancestors(target))
        for frame, source_in_frame in self._ancestors(source):
            if frame in up_from_target:
                return np.linalg.inv(up_from_target[frame]) @ source_in_frame
        return None

    def _ancestors(self, frame: str):
        """Yield (ancestor, pose of frame in it), frame itself first; stops where a chain bites its tail."""
        frame, pose, seen = _clean(frame), np.eye(4), set()
        while frame not in seen:
            yield frame, pose
            seen.add(frame)
            if frame not in self._parents:
                return
            frame, step = self._parents[frame]
            pose = step @ pose


def camera_height(tree: TransformTree, base_frame: str, camera_frame: str) -> float | None:
    """Return the height of the camera above base_frame's origin [m], None while unknown or not above it."""
    pose = tree.lookup(base_frame, camera_frame)
    return float(pose[2, 3]) if pose is not None and pose[2, 3] > 0 else None


def _clean(frame: str) -> str:
    return frame.lstrip('/')


def _matrix(transform: Any) -> np.ndarray | None:
    t, q = transform.translation, transform.rotation
    quaternion = np.array([q.x, q.y, q.z, q.w], dtype=np.float64)
    length = np.linalg.norm(quaternion)
    translation = np.array([t.x, t.y, t.z], dtype=np.float64)
    if not np.isfinite(translation).all() or not np.isfinite(length) or length < 1e-6:
        return None
    x, y, z, w = quaternion / length
    matrix = np.eye(4)
    matrix[:3, :3] = [[1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                      [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                      [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)]]
    matrix[:3, 3] = translation
    return matrix

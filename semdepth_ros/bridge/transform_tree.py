"""Transform messages to the newest rigid transform between two frames."""
from __future__ import annotations

from typing import Any

import numpy as np

from semdepth_ros.scale.tilt import Mount, Tilt


class TransformTree:
    """Keeps the newest transform of every child frame to its parent, as /tf and /tf_static tell them."""

    def __init__(self):
        self._parents, self._static = {}, set()

    def update(self, message: Any, is_static: bool = False) -> None:
        """Take in a tf2_msgs/TFMessage; transforms that are not rigid are left out.

        :param is_static: whether it came on /tf_static
        """
        for transform in message.transforms:
            matrix = _matrix(transform.transform)
            if matrix is not None:
                child = _clean(transform.child_frame_id)
                self._parents[child] = (_clean(transform.header.frame_id), matrix)
                (self._static.add if is_static else self._static.discard)(child)

    def lookup(self, target: str, source: str) -> np.ndarray | None:
        """Return the pose of source in target, float64 [4, 4], None while they are not connected."""
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


def camera_mount(tree: TransformTree, base_frame: str, camera_frame: str) -> Mount | None:
    """Return the camera's height above base_frame's origin and its tilt, None while unknown or not above it.

    The tilt is None where the frame, as an optical one (REP 103), would not see the road ahead.
    """
    pose = tree.lookup(base_frame, camera_frame)
    if pose is None or not pose[2, 3] > 0:
        return None
    return Mount(float(pose[2, 3]), Tilt.of_pose(pose))


def _up_to(chain: dict, ancestor: str) -> list[str]:
    frames = list(chain)
    return frames[:frames.index(ancestor)]


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

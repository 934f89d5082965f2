"""The camera's poses out of a bag: odometry of the vehicle, and where on it the camera sits."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from semdepth_ros.data.poses import PoseTrack, pose_from_quaternion


class CameraMount:
    """The static transforms of a bag as a tree.

    :param transforms: anything with the fields of geometry_msgs/TransformStamped
    """

    def __init__(self, transforms: Iterable[Any]):
        self._parents = {_plain(t.child_frame_id): (_plain(t.header.frame_id), _matrix(t.transform))
                         for t in transforms}

    def camera_in(self, base: str, camera: str) -> np.ndarray | None:
        """Return the pose [4, 4] of the camera's frame in the base's; None where no path joins them."""
        if _plain(base) == _plain(camera):
            return np.eye(4)
        (base_root, base_pose), (camera_root, camera_pose) = self._to_root(base), self._to_root(camera)
        return np.linalg.inv(base_pose) @ camera_pose if base_root == camera_root else None

    def _to_root(self, frame: str) -> tuple[str, np.ndarray]:
        frame, pose, seen = _plain(frame), np.eye(4), set()
        while frame in self._parents and frame not in seen:
            seen.add(frame)
            frame, parent_from_child = self._parents[frame]
            pose = parent_from_child @ pose
        return frame, pose


def camera_track(odometry: Iterable[Any], camera_in_base: np.ndarray) -> PoseTrack:
    """Return the camera's poses in the odometry frame.

    :param odometry: anything with the fields of nav_msgs/Odometry
    """
    stamps, poses = [], []
    for message in odometry:
        stamps.append(message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec)
        pose = message.pose.pose
        poses.append(_pose(pose.position, pose.orientation) @ camera_in_base)
    return PoseTrack(stamps, poses)


def _matrix(transform: Any) -> np.ndarray:
    return _pose(transform.translation, transform.rotation)


def _pose(translation: Any, rotation: Any) -> np.ndarray:
    return pose_from_quaternion((translation.x, translation.y, translation.z),
                                (rotation.x, rotation.y, rotation.z, rotation.w))


def _plain(frame: str) -> str:
    return frame.removeprefix('/')

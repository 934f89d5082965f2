"""The camera's poses out of a bag: odometry of the vehicle, and where on it the camera sits."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from semdepth_ros.bags.recording_order import drives
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


class CameraTrack:
    """The camera's poses in the odometry frame, at the times of images.

    :param odometry: time of recording [ns] and anything with the fields of nav_msgs/Odometry, as recorded
    :param images: when the images of each drive were recorded [ns]; a drive has the odometry that was recorded with it

    `damaged` is how many messages hold no pose, and are left out; `span_ns` the first and last stamp of the others,
    None without any.
    """

    def __init__(self, odometry: Iterable[tuple[int, Any]], camera_in_base: np.ndarray, images: list[list[int]]):
        poses, self.damaged = [], 0
        for time_ns, message in odometry:
            pose = _pose_of(message)
            self.damaged += pose is None
            if pose is not None:
                stamp_ns = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
                poses.append((time_ns, stamp_ns, pose @ camera_in_base))
        stamps = [stamp_ns for _, stamp_ns, _ in poses]
        self.span_ns = (min(stamps), max(stamps)) if stamps else None
        parts = [[poses[i] for i in drive] for drive in drives(stamps)]
        begins = [min(time_ns for time_ns, _, _ in part) for part in parts]
        tracks = [PoseTrack([stamp for _, stamp, _ in part], [pose for _, _, pose in part]) for part in parts]
        self._tracks = []
        for drive in images if tracks else ():
            middle = sorted(drive)[len(drive) // 2]
            self._tracks.append(tracks[max(sum(begin <= middle for begin in begins) - 1, 0)])

    def at(self, drive: int, time_ns: int) -> np.ndarray | None:
        """Return the camera's pose [4, 4] m at a time of a drive, None where its odometry does not reach."""
        return self._tracks[drive].at(time_ns) if self._tracks else None


def _pose_of(message: Any) -> np.ndarray | None:
    """Return the pose of odometry, None where its quaternion is zero or a number is not finite."""
    try:
        pose = _pose(message.pose.pose.position, message.pose.pose.orientation)
    except ValueError:
        return None
    return pose if np.isfinite(pose).all() else None


def _matrix(transform: Any) -> np.ndarray:
    return _pose(transform.translation, transform.rotation)


def _pose(translation: Any, rotation: Any) -> np.ndarray:
    return pose_from_quaternion((translation.x, translation.y, translation.z),
                                (rotation.x, rotation.y, rotation.z, rotation.w))


def _plain(frame: str) -> str:
    return frame.removeprefix('/')

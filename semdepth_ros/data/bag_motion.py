"""The camera's poses out of a bag: odometry of the vehicle, and where on it the camera sits."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from semdepth_ros.data.poses import PoseTrack, pose_from_quaternion
from semdepth_ros.data.recording_order import drives


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
    """The camera's poses in the odometry frame, at the stamps of images.

    :param odometry: time of recording [ns] and anything with the fields of nav_msgs/Odometry, as recorded
    :param images: time of recording by stamp [ns], one dictionary for each drive; a drive has the odometry that was
        recorded along with it

    `damaged` is how many messages hold no pose, and are left out.
    """

    def __init__(self, odometry: Iterable[tuple[int, Any]], camera_in_base: np.ndarray, images: list[dict[int, int]]):
        poses, self.damaged = [], 0
        for time_ns, message in odometry:
            pose = _pose_of(message)
            self.damaged += pose is None
            if pose is not None:
                stamp_ns = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
                poses.append((time_ns, stamp_ns, pose @ camera_in_base))
        parts = [[poses[i] for i in drive] for drive in drives([stamp_ns for _, stamp_ns, _ in poses])]
        begins = [min(time_ns for time_ns, _, _ in part) for part in parts]
        tracks = [PoseTrack([stamp for _, stamp, _ in part], [pose for _, _, pose in part]) for part in parts]
        self._track_of = {}
        for drive in images if tracks else ():
            middle = sorted(drive.values())[len(drive) // 2]
            track = tracks[max(sum(begin <= middle for begin in begins) - 1, 0)]
            self._track_of |= dict.fromkeys(drive, track)

    def at(self, stamp_ns: int) -> np.ndarray | None:
        """Return the camera's pose [4, 4] m at an image's stamp, None where its drive's odometry does not reach."""
        track = self._track_of.get(stamp_ns)
        return None if track is None else track.at(stamp_ns)


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

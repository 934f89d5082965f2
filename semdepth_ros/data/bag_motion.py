"""The camera's poses out of a bag's odometry of the vehicle."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from semdepth_ros.bags.recording_order import drives
from semdepth_ros.data.poses import PoseTrack
from semdepth_ros.geometry.transform_tree import pose_from


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
        return pose_from(message.pose.pose.position, message.pose.pose.orientation)
    except ValueError:
        return None

"""Where the camera is: rigid motions between frames, and poses at times between two measurements."""
from __future__ import annotations

import cv2
import numpy as np

from semdepth_ros.data.sample import Sample

LONGEST_GAP_NS = 500_000_000


def relative_pose(first: Sample, second: Sample) -> np.ndarray | None:
    """Return the second camera's pose in the first camera's axes, float64 [4, 4] m; None where a pose is not known.

    It takes points of the second camera to the first; its last column is the translation between them.
    """
    if first.pose is None or second.pose is None:
        return None
    return np.linalg.inv(first.pose) @ second.pose


class PoseTrack:
    """Poses at known times, and between them.

    :param stamps_ns: times [ns] in any order
    :param poses: as many poses [4, 4]
    """

    def __init__(self, stamps_ns: list[int], poses: list[np.ndarray]):
        order = np.argsort(np.array(stamps_ns, dtype=np.int64), kind='stable')
        self.stamps_ns = np.array(stamps_ns, dtype=np.int64)[order]
        self.poses = np.array(poses, dtype=np.float64).reshape(-1, 4, 4)[order]

    def at(self, stamp_ns: int) -> np.ndarray | None:
        """Return the pose at this time, interpolated at constant velocity and turn rate.

        None before the first, after the last, and between two that are more than LONGEST_GAP_NS apart.
        """
        after = int(np.searchsorted(self.stamps_ns, stamp_ns))
        if after < len(self.stamps_ns) and self.stamps_ns[after] == stamp_ns:
            return self.poses[after]
        if after in (0, len(self.stamps_ns)):
            return None
        gap = int(self.stamps_ns[after] - self.stamps_ns[after - 1])
        if gap > LONGEST_GAP_NS:
            return None
        return interpolated(self.poses[after - 1], self.poses[after], int(stamp_ns - self.stamps_ns[after - 1]) / gap)


def interpolated(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """Return the pose this share of the way from first to second: translation linear, rotation about one axis."""
    turn = cv2.Rodrigues(first[:3, :3].T @ second[:3, :3])[0]
    pose = np.eye(4)
    pose[:3, :3] = first[:3, :3] @ cv2.Rodrigues(turn * share)[0]
    pose[:3, 3] = (1 - share) * first[:3, 3] + share * second[:3, 3]
    return pose

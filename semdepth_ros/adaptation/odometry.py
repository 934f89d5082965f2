"""Odometry of a base, told at its own times, as motions of the camera between images."""
from __future__ import annotations

import numpy as np

from semdepth_ros.data.poses import PoseTrack


class OdometryTrack:
    """The newest poses of a base, between which it is interpolated; nothing is extrapolated.

    :param most: poses that are kept
    """

    def __init__(self, most: int = 2000):
        self.most = most
        self._stamps_ns: list[int] = []
        self._poses: list[np.ndarray] = []

    @property
    def newest_ns(self) -> int | None:
        """The stamp up to which poses are known, None without any."""
        return self._stamps_ns[-1] if self._stamps_ns else None

    def add(self, stamp_ns: int, pose: np.ndarray) -> None:
        """Take a pose of the base [4, 4] m; one that is older than the last one begins the track anew, one of the same
        time is not looked at: some sources send every pose twice."""
        pose = np.asarray(pose, dtype=np.float64)
        if not np.isfinite(pose).all() or (self._stamps_ns and stamp_ns == self._stamps_ns[-1]):
            return
        if self._stamps_ns and stamp_ns < self._stamps_ns[-1]:
            self._stamps_ns, self._poses = [], []
        self._stamps_ns.append(int(stamp_ns))
        self._poses.append(pose)
        if len(self._poses) > self.most:
            self._stamps_ns, self._poses = self._stamps_ns[-self.most // 2:], self._poses[-self.most // 2:]

    def at(self, stamp_ns: int) -> np.ndarray | None:
        """Return the base's pose at this time, None where that is not between two poses near in time."""
        return PoseTrack(self._stamps_ns, self._poses).at(stamp_ns) if self._stamps_ns else None


def camera_motion(first: np.ndarray | None, second: np.ndarray | None,
                  camera_in_base: np.ndarray | None = None) -> np.ndarray | None:
    """Return the second camera from the first, float64 [4, 4] m, of two poses of the base; None where one is unknown.

    A camera that sits off the base's origin moves with a turn: X^-1 (second^-1 first) X, the lever arm X the camera's
    pose in the base.
    """
    if first is None or second is None:
        return None
    motion = np.linalg.inv(second) @ first
    return motion if camera_in_base is None else np.linalg.inv(camera_in_base) @ motion @ camera_in_base


def turn_deg(matrix: np.ndarray) -> float:
    """Return the angle of a motion's rotation [degrees]."""
    return float(np.degrees(np.arccos(np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1))))


def travel_m(matrix: np.ndarray) -> float:
    """Return the length of a motion's translation, in its own unit."""
    return float(np.linalg.norm(matrix[:3, 3]))


def between_deg(first: np.ndarray, second: np.ndarray) -> float:
    """Return the angle between the translations of two motions [degrees]; 0 where one has none."""
    lengths = travel_m(first) * travel_m(second)
    if lengths < 1e-12:
        return 0.0
    return float(np.degrees(np.arccos(np.clip(first[:3, 3] @ second[:3, 3] / lengths, -1, 1))))

"""How a camera is mounted over the road: told, or learned from the planes that are perceived and held."""
from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from semdepth_ros.geometry.ground_plane import GroundPlane

STEEPEST = np.radians(60)  # a camera that looks down more than this sees no road ahead


@dataclass(frozen=True)
class Tilt:
    """The direction down to the road, in camera axes.

    :param pitch: by how much the camera looks down [rad]
    :param roll: by how much the image's down direction leans from the road's, about the optical axis [rad]
    """

    pitch: float
    roll: float = 0.0

    @classmethod
    def of_pose(cls, pose: np.ndarray) -> Tilt | None:
        """Return the tilt of a camera's optical frame in a frame whose z axis points up; None if it sees no road ahead.

        :param pose: of the camera, float [4, 4]
        """
        x, y, z = -np.asarray(pose, dtype=np.float64)[2, :3]
        pitch = float(np.arcsin(np.clip(z, -1, 1)))
        return cls(pitch, float(np.arctan2(x, y))) if abs(pitch) <= STEEPEST else None

    @property
    def down(self) -> np.ndarray:
        """The unit vector from the lens to the road, float64 [3]."""
        return np.array([np.sin(self.roll) * np.cos(self.pitch), np.cos(self.roll) * np.cos(self.pitch),
                         np.sin(self.pitch)])


@dataclass(frozen=True)
class Mount:
    """Where a camera is mounted.

    :param height_m: of the lens above the road [m]
    :param tilt: None where it is not known
    """

    height_m: float
    tilt: Tilt | None = None


@dataclass(frozen=True)
class TiltRule:
    """When a tilt is believed that was only perceived (form ours).

    :param memory: newest planes that count
    :param least: fewest planes that say a tilt
    :param max_spread: largest robust standard deviations of pitch and roll from plane to plane [rad]
    :param max_roll: a camera is hardly turned about its axis: larger ones are errors of the depth [rad]
    :param max_change: largest difference of pitch between the newest planes and all [rad]
    """

    memory: int = 40
    least: int = 12
    max_spread: tuple[float, float] = (np.radians(1.5), np.radians(3.0))
    max_roll: float = np.radians(3.5)
    max_change: float = np.radians(1.5)


class LearnedTilt:
    """The median pitch of the planes seen from one camera, and no roll, as a camera is mounted."""

    def __init__(self, rule: TiltRule = TiltRule()):
        self.rule, self._planes = rule, deque(maxlen=rule.memory)
        self.tilt: Tilt | None = None

    @property
    def planes(self) -> int:
        """How many planes are remembered."""
        return len(self._planes)

    def take(self, plane: GroundPlane) -> None:
        """Take note of a plane that was fitted freely; `tilt` is what the planes agree on, None while they do not."""
        self._planes.append((plane.pitch, plane.roll))
        self.tilt = self._agreed()

    def _agreed(self) -> Tilt | None:
        rule, planes = self.rule, np.array(self._planes)
        if len(planes) < rule.least:
            return None
        middle = np.median(planes, axis=0)
        spread = 1.4826 * np.median(np.abs(planes - middle), axis=0)
        change = np.median(planes[-rule.least:, 0]) - middle[0]
        if (spread > rule.max_spread).any() or abs(middle[1]) > rule.max_roll or abs(change) > rule.max_change:
            return None
        return Tilt(float(middle[0]))

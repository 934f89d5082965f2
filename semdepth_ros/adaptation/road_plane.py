"""The plane of the road under a camera, as the factory weights have seen it over many frames."""
from __future__ import annotations

from collections import deque

import numpy as np

from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.ground_plane import fit_ground_plane


class RoadPlaneMemory:
    """The median of the planes of the newest frames.

    :param least: planes before any is believed
    :param memory: newest planes that count
    """

    def __init__(self, least: int = 5, memory: int = 50):
        self.least, self._planes = least, deque(maxlen=memory)

    @property
    def plane(self) -> np.ndarray | None:
        """Normal over height, float64 [3], so that 1 / depth along a ray is their product; None before it is known."""
        return np.median(np.array(self._planes), axis=0) if len(self._planes) >= self.least else None

    def take(self, depth: np.ndarray, road: np.ndarray, camera: Camera) -> None:
        """Look at one frame.

        :param depth: float [H, W]
        :param road: which pixels show the road, bool [H, W]
        """
        plane = fit_ground_plane(depth, road, camera)
        if plane is not None:
            self._planes.append(plane.normal / plane.height_m)

    def clear(self) -> None:
        """Forget everything."""
        self._planes.clear()

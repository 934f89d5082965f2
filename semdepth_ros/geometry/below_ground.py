"""Which pixels would lie below the ground, were depth true: where a vehicle is taken to be infinitely far away."""
from __future__ import annotations

import numpy as np

from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.ground_plane import GroundPlane


def heights_below(depth: np.ndarray, plane: GroundPlane, camera: Camera) -> np.ndarray:
    """Return how far below the plane every pixel's point lies, in heights of the lens over it: float64 [H, W].

    Negative above the plane; whatever the unit of depth, as long as the plane has it too.

    :param depth: along Z [H, W]
    :param camera: of exactly this depth image, without distortion
    """
    return depth * _slope(plane, camera) - 1


def distance_to_ground(plane: GroundPlane, camera: Camera) -> np.ndarray:
    """Return the depth at which every pixel's ray meets the plane, in heights of the lens over it: float64 [H, W].

    +inf from the horizon upwards.
    """
    slope = _slope(plane, camera) * plane.height_m
    return np.divide(1, slope, out=np.full_like(slope, np.inf), where=slope > 0)


def _slope(plane: GroundPlane, camera: Camera) -> np.ndarray:
    """Return 1 / (depth at which a ray meets the plane), [H, W]; not positive from the horizon upwards."""
    return camera.rays().astype(np.float64) @ plane.normal / plane.height_m

"""The own car's bonnet, at the foot of the image."""
from __future__ import annotations

import numpy as np

from semdepth_ros.classes import UNLABELLED
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.world.primitives import CLASS, Parts
from semdepth_ros.world.vehicles import paint_of

FRONT_M, LONG_M, TALL_M = 1.5, 2.2, 0.5      # from the camera ahead to its middle, and its size


def bonnet_under(camera: Camera, camera_in_base: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return the table of a bonnet, in base_link, whose skyline is at the lowest `share` of the image's rows."""
    row = camera.height * (1 - share)
    ray = camera_in_base[:3, :3] @ np.array([0.0, (row - camera.cy) / camera.fy, 1.0])
    slope = ray[2] / ray[0]
    drop = slope * FRONT_M - np.hypot(slope * LONG_M / 2, TALL_M / 2)       # of the middle: the ray is a tangent
    centre = camera_in_base[:3, 3] + (FRONT_M, 0, drop)
    parts = Parts()
    parts.ellipsoid(centre, (LONG_M, rng.uniform(1.6, 2.4), TALL_M), paint_of(rng), 'car', seed=1)
    table = parts.table()
    table[:, CLASS] = UNLABELLED
    return table

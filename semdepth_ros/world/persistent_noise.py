"""Label noise that stays with an object through a drive."""
from __future__ import annotations

import numpy as np

from semdepth_ros.geometry.camera import Camera
from semdepth_ros.world.drive import WorldFrame
from semdepth_ros.world.label_noise import NoisyLabels, corrupt_labels

CELL_M = 8.0                # what stands still is divided into upright blocks of this side
_BLOCKS, _HALF, _SIDE = 1 << 40, 1 << 17, 1 << 18


def noisy_labels(frame: WorldFrame, camera: Camera, seed: int, **noise) -> NoisyLabels:
    """Return a frame's labels with errors that persist: see corrupt_labels for `noise` and what raises.

    :param seed: of the drive, the same for all its frames
    """
    return corrupt_labels(frame.labels, seed=seed, objects=persistent_objects(frame, camera), **noise)


def persistent_objects(frame: WorldFrame, camera: Camera) -> np.ndarray:
    """Return a number for what every pixel belongs to, the same in all frames of a drive, int64 [H, W].

    Vehicles and people have their instance; of what stands still, every block of CELL_M x CELL_M metres of ground,
    with all that is above it, is an object: a facade, a hedge or a pavement is wrong for some metres, a pole as a whole
    (unless the border of two blocks goes through it). 0 is sky.
    """
    depth = np.where(np.isfinite(frame.depth), frame.depth, 0)
    points = camera.rays().astype(np.float64) * depth[..., None] @ frame.pose[:3, :3].T + frame.pose[:3, 3]
    x, y = np.clip(np.floor(points[..., :2] / CELL_M).astype(np.int64) + _HALF, 0, _SIDE - 1).transpose(2, 0, 1)
    still = np.where(np.isfinite(frame.depth), _BLOCKS + x * _SIDE + y, 0)
    return np.where(frame.instances > 0, frame.instances, still)

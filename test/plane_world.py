"""A corridor of textured planes seen through a pinhole: a few lines whose depth is exact."""
from __future__ import annotations

import numpy as np

from semdepth_ros.data.sample import Sample
from semdepth_ros.geometry.camera import Camera

ROAD, BUILDING, WALL = 0, 2, 3
HEIGHT_M, HALF_WIDTH_M, END_M = 1.5, 4.0, 22.0
CAMERA = Camera(96, 64, 60.0, 60.0, 47.5, 24.0)


class Corridor:
    """Frames of a drive down a corridor: road below, walls beside, a house at its end.

    :param step_m: travelled from one frame to the next
    """

    name = 'corridor'

    def __init__(self, frames: int = 10, step_m: float = 0.6, camera: Camera = CAMERA, known_poses: bool = True):
        self.frames, self.step_m, self.camera, self.known_poses = frames, step_m, camera, known_poses

    def __len__(self) -> int:
        return self.frames

    @property
    def stamps_ns(self) -> list[int]:
        return [index * 10 ** 8 for index in range(self.frames)]

    @property
    def poses(self) -> list[np.ndarray] | None:
        return [self._pose(index) for index in range(self.frames)] if self.known_poses else None

    def _pose(self, index: int) -> np.ndarray:
        pose = np.eye(4)
        pose[2, 3] = index * self.step_m
        return pose

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.frames:
            raise IndexError(index)
        image, depth, labels = view(self.camera, index * self.step_m)
        return Sample(f'{index:04d}', image, self.camera, self.stamps_ns[index], depth=depth, labels=labels,
                      pose=self._pose(index) if self.known_poses else None)


def view(camera: Camera, travelled_m: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return image, depth and labels of the corridor from a place along it."""
    rays = camera.rays().astype(np.float64)
    with np.errstate(divide='ignore'):
        hits = np.stack([np.where(rays[..., 1] > 1e-6, HEIGHT_M / rays[..., 1], np.inf),
                         HALF_WIDTH_M / np.maximum(np.abs(rays[..., 0]), 1e-9),
                         np.full(rays.shape[:2], END_M - travelled_m)])
    which, depth = hits.argmin(axis=0), hits.min(axis=0)
    x, y, z = np.moveaxis(rays * depth[..., None], -1, 0)
    z = z + travelled_m
    across = np.choose(which, [x, y, x])
    along = np.choose(which, [z, z, y])
    waves = [np.sin(f * across + p) * np.sin(g * along + q)
             for f, g, p, q in ((2.1, 1.7, 0, 1), (4.3, 3.1, 2, 0), (1.1, 5.3, 1, 3))]
    shade = np.choose(which, [0.35, 0.5, 0.65])
    image = np.stack([shade + 0.13 * (waves[0] + w * waves[1] + (1 - w) * waves[2]) for w in (0.2, 0.5, 0.8)], axis=-1)
    labels = np.choose(which, [ROAD, WALL, BUILDING]).astype(np.uint8)
    return (np.clip(image, 0, 1) * 255).astype(np.uint8), depth.astype(np.float32), labels

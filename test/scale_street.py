"""A street of planes seen through a pinhole, as a network perceives it whose depth has to be multiplied."""
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from semdepth_ros.classes import TRAIN_ID
from semdepth_ros.frame_perception import Perception, Scale
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.scale import Tilt

CAMERA = Camera.from_field_of_view(192, 64, 75)
ROAD, BUILDING, SKY, TRUCK = (TRAIN_ID[name] for name in ('road', 'building', 'sky', 'truck'))
HOUSE_M, SETBACKS_M = 4.0, (5.0, 7.0, 10.0, 14.0)
RNG = np.random.default_rng(0)
HOUSES = [(RNG.integers(0, len(SETBACKS_M), 997), RNG.uniform(2.5, 10.0, 997)) for _ in 'lr']  # setback, height


@dataclass(frozen=True)
class Street:
    """Road below, houses beside that stand nearer or farther, sky above; a ramp, a truck ahead.

    :param height_m: of the lens above the road
    :param pitch_deg: by how much it looks down
    :param ramp: where along the road it begins to rise [m], and by how much [rise over run]
    :param truck_m: how far ahead a truck drives
    """

    height_m: float = 1.65
    pitch_deg: float = 2.0
    ramp: tuple[float, float] | None = None
    truck_m: float | None = None

    @property
    def tilt(self) -> Tilt:
        return Tilt(np.radians(self.pitch_deg))

    @cached_property
    def axes(self) -> list[np.ndarray]:
        """How far right, down and ahead each pixel's ray goes while its depth grows by one."""
        pitch, rays = self.tilt.pitch, CAMERA.rays().astype(np.float64)
        down, ahead = (0, np.cos(pitch), np.sin(pitch)), (0, -np.sin(pitch), np.cos(pitch))
        return [rays @ np.array(axis) for axis in ((1, 0, 0), down, ahead)]


@lru_cache(maxsize=1000)
def view(street: Street, place_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Return depth and labels from a place along the road; not to be written to."""
    right, down, ahead = street.axes
    depth = street.height_m / np.maximum(down, 1e-9)
    labels = np.where(down > 1e-6, ROAD, SKY)
    depth[labels == SKY] = np.inf

    def put(where, what, label):
        depth[where], labels[where] = what[where] if np.ndim(what) else what, label
    if street.ramp:
        begin_m, rise = street.ramp[0] - place_m, street.ramp[1]
        ramp = (street.height_m + rise * begin_m) / np.maximum(down + rise * ahead, 1e-9)
        put((ramp * ahead > begin_m) & (ramp > 0) & (ramp < depth) & (ramp < 1e3), ramp, ROAD)
    for (setbacks, heights), sign in zip(HOUSES, (-1, 1)):
        for kind, setback_m in enumerate(SETBACKS_M):
            wall = setback_m / np.maximum(sign * right, 1e-9)
            house = np.minimum((place_m + wall * ahead) / HOUSE_M, 1e6).astype(np.int64) % len(setbacks)
            hit = (setbacks[house] == kind) & (wall < depth) & (street.height_m - wall * down < heights[house])
            put(hit, wall, BUILDING)
    if street.truck_m:
        below = street.height_m - down * street.truck_m
        put((np.abs(right * street.truck_m) < 1.25) & (below > 0.3) & (below < 3.2) & (depth > street.truck_m),
            street.truck_m, TRUCK)
    return depth.astype(np.float32), labels.astype(np.uint8)


def perceived(street: Street, place_m: float, scale: Scale = Scale(), stamp_s: float = 0.0, true_scale: float = 1.0,
              noise: float = 0.0, bend: float = 0.0, label: dict[int, int] | None = None,
              version: int = 0) -> Perception:
    """Return what a network perceives, with a scale applied.

    :param true_scale: what its depth has to be multiplied by
    :param noise: standard deviation of ln(depth), of pixels, and again of whole frames
    :param bend: depth is off by another (z / 8 m) ** bend
    :param label: classes it takes for others
    """
    depth, labels = view(street, round(place_m, 6))
    factor, labels = np.full(depth.shape, scale.value / true_scale), labels.copy()
    if noise:
        rng = np.random.default_rng(round(1000 * stamp_s))
        factor *= np.exp(noise * (rng.standard_normal(depth.shape) + rng.standard_normal()))
    if bend:
        factor *= (np.minimum(depth, 1e3) / 8) ** bend
    depth = np.where(depth < 80, depth * factor, np.inf).astype(np.float32)
    for old, new in (label or {}).items():
        labels[labels == old] = new
    return Perception(depth, depth, labels, labels, scale, version, CAMERA, round(stamp_s * 1e9), 'camera')


def drive(source, street: Street, seconds: float, start_s: float = 0.0, speed: float = 8.0, rate_hz: float = 5.0,
          **more) -> list[tuple[Scale, float]]:
    """Drive on and have a source observe what is perceived; return, of every frame, its scale and the time."""
    published = []
    for i in range(round(seconds * rate_hz)):
        time_s = start_s + i / rate_hz
        published.append((source.scale, time_s))
        source.observe(perceived(street, speed * time_s, source.scale, time_s, **more))
    return published

"""A town with its traffic, and what of it stands around the camera at one moment."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semdepth_ros.world.ego import EgoPlan
from semdepth_ros.world.ground_map import GroundMap
from semdepth_ros.world.light import Light
from semdepth_ros.world.population import Population
from semdepth_ros.world.presets import Preset, light_of
from semdepth_ros.world.primitives import CENTRE, CLASS, COLUMNS, HALF, KIND, placed
from semdepth_ros.world.relief import Relief
from semdepth_ros.world.shadows import footprints
from semdepth_ros.world.streets import Streets
from semdepth_ros.world.town import SPLITS, random_town
from semdepth_ros.world.traffic import Traffic

SIGHT_M = 260.0
CAST_CLASSES = (2, 3)       # building, wall


@dataclass(frozen=True)
class Moment:
    """What surrounds the camera at one time: primitives, the poses of moving objects, their sizes for shade."""

    rows: np.ndarray
    base: np.ndarray
    movers: dict[int, np.ndarray]
    shadows: np.ndarray
    signal: float


class Scene:
    """One town and one drive through it, from a preset, a seed and a split; grown lazily.

    :param seconds: length of the drive
    """

    def __init__(self, preset: Preset, name: str, seed: int, split: str, seconds: float):
        if split not in SPLITS:
            raise ValueError(f'split is {split!r}, expected one of {", ".join(SPLITS)}')
        key = [int(seed), SPLITS.index(split), int(preset.other_town)]
        rng = np.random.default_rng([*key, 1])
        self.town = random_town(rng, split, preset.other_town, preset.plain)
        self.relief = Relief.random(rng, self.town.steepest)
        self.light: Light = light_of(preset, self.town.sun_azimuth_deg, self.town.sun_elevation_deg, self.town.cloudiness,
                                     np.random.default_rng([*key, 2]))
        self.sun = np.array(self.light.sun)
        self.streets = Streets(self.town, np.random.default_rng([*key, 3]))
        self.plan = EgoPlan(self.streets, self.relief, np.random.default_rng([*key, 4]), seconds)
        self.population = Population(self.streets, self.relief, key, float(preset.lamps_on))
        self.traffic = Traffic(self.streets, self.plan, np.random.default_rng([*key, 7]), seconds, float(preset.lamps_on))
        self.tables: list[np.ndarray] = []
        self.ground = GroundMap(self)

    def _still(self, x: float, y: float, radius: float) -> np.ndarray:
        """Return the table of still things of all street pieces within `radius` of a point."""
        population = self.population
        near = np.nonzero(np.hypot(population.middles[:, 0] - x, population.middles[:, 1] - y)
                          < population.radii + radius)[0]
        while near.size and len(self.tables) <= near.max():
            self._populate_next()
        return np.concatenate([self.tables[i] for i in near]) if near.size else np.zeros((0, COLUMNS))

    def _populate_next(self) -> None:
        number, population = len(self.tables), self.population
        table = population.populate(number)
        for i, junction in enumerate(self.streets.junctions):
            if population.pieces[number].role == 'junction' and population.pieces[number].s == junction.enters:
                table = np.concatenate([table, population.junction_things(i)])
        self.tables.append(table)

    def shadow_casters(self, x: float, y: float, radius: float) -> np.ndarray:
        """Return boxes of houses and walls, and crowns of trees, whose shade may reach a point."""
        rows = self._still(x, y, radius)
        big = (np.isin(rows[:, CLASS], CAST_CLASSES) & (rows[:, KIND] == 0) & (rows[:, HALF].max(1) > 0.6)
               & (rows[:, 11] > 0.99) & (rows[:, HALF][:, 2] > 0.4))
        crown = (rows[:, KIND] == 2) & (rows[:, CLASS] == 8)
        rows = rows[big | crown]
        return rows[np.hypot(rows[:, 0] - x, rows[:, 1] - y) < radius]

    def lamps_near(self, x: float, y: float, radius: float) -> list[tuple[float, float]]:
        """Return the street lamps near a point."""
        return [p for p in self.population.lamps if np.hypot(p[0] - x, p[1] - y) < radius]

    def at(self, time: float, camera_in_base: np.ndarray, focal_px: float) -> Moment:
        """Return what surrounds the camera at a time [s]; primitives too small or too far to be seen are left out."""
        base = self.plan.pose(time)
        eye, ahead = (base @ camera_in_base)[:3, 3], (base @ camera_in_base)[:3, 2]
        still = self._still(eye[0], eye[1], SIGHT_M)
        moving = self.traffic.at(time)
        moving = [(m, pose) for m, pose in moving if np.hypot(*(pose[:2, 3] - eye[:2])) < 200]
        rows = np.concatenate([still, *(placed(m.table, pose, m.identity) for m, pose in moving)])
        offset, radius = rows[:, CENTRE] - eye, np.linalg.norm(rows[:, HALF], axis=1)
        z, distance = offset @ ahead, np.linalg.norm(offset, axis=1)
        seen = (z > -radius) & (distance < SIGHT_M) & (radius * focal_px > 0.35 * distance)
        return Moment(rows[seen], base, {m.identity: pose for m, pose in moving}, self._shadows(still, moving, eye),
                      self._signal(time))

    def _signal(self, time: float) -> float:
        """Return the level of the lamp that is lit: red while the ego car waits, else green."""
        return 0.31 if any(s.begins - 6 < time < s.ends - 0.4 for s in self.plan.stops) else -0.31

    def _shadows(self, still: np.ndarray, moving, eye: np.ndarray) -> np.ndarray:
        """Return ground shadows of vehicles and people near the camera: x, y, z, yaw, half length, half width, height [n, 7]."""
        return footprints(still, moving, eye, self.sun)

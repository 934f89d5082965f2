"""A town with its traffic, and what of it stands around the camera at one moment."""
from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from semdepth_ros.classes import TRAIN_ID
from semdepth_ros.world.ego import EgoPlan
from semdepth_ros.world.ground_map import GroundMap
from semdepth_ros.world.population import Population
from semdepth_ros.world.presets import Preset, light_of
from semdepth_ros.world.primitives import AXES, BOX, CENTRE, CLASS, COLUMNS, CROWN, CYLINDER, HALF, KIND, placed
from semdepth_ros.world.relief import Relief
from semdepth_ros.world.shadows import REACH_M, patches
from semdepth_ros.world.streets import Streets
from semdepth_ros.world.town import SPLITS, random_town
from semdepth_ros.world.traffic import Traffic

SIGHT_M, SMALLEST_PX = 260.0, 0.6
OWN_CAR = 900_000           # instance number of the own car
THINNEST_BOUGH = 6e-4       # half as wide as far away [m/m]


@dataclass(frozen=True)
class Moment:
    """What surrounds the camera at one time.

    :param rows: primitives, world axes [n, COLUMNS]
    :param base, camera: base_link, and the camera, in the world [4, 4]
    :param movers: pose of every moving object nearby
    :param shadows: flat boxes that darken the ground, centre, axes and half size [m, 15]
    :param signal: level of the lit lamp of traffic lights
    """

    rows: np.ndarray
    base: np.ndarray
    camera: np.ndarray
    movers: dict[int, np.ndarray]
    shadows: np.ndarray
    signal: float


class Scene:
    """One town and one drive through it, from a preset, a seed and a split; grown lazily.

    :param seconds: length of the drive
    :param clutter: whether things float about and looks are drawn at random
    :param same_speed: whether a car drives ahead at the own speed all the way
    :param repetitive: whether walls are plain, and fences and fronts repeat themselves
    :raises ValueError: an unknown split
    """

    def __init__(self, preset: Preset, seed: int, split: str, seconds: float, clutter: bool = False,
                 same_speed: bool = False, repetitive: bool = False):
        if split not in SPLITS:
            raise ValueError(f'split is {split!r}, expected one of {", ".join(SPLITS)}')
        key = [int(seed), SPLITS.index(split), int(preset.other_town)]
        rng = np.random.default_rng([*key, 1])
        self.town = replace(random_town(rng, split, preset.other_town, preset.plain), repetitive=repetitive)
        self.relief = Relief.random(rng, self.town.steepest)
        self.light = light_of(preset, self.town, np.random.default_rng([*key, 2]))
        self.sun = np.array(self.light.sun)
        self.streets = Streets(self.town, np.random.default_rng([*key, 3]))
        self.plan = EgoPlan(self.streets, self.relief, key, seconds, same_speed)
        self.population = Population(self.streets, self.relief, key, float(preset.lamps_on), clutter)
        self.traffic = Traffic(self.streets, self.plan, key, seconds, float(preset.lamps_on))
        self.ground = GroundMap(self)
        self.bonnet = np.zeros((0, COLUMNS))      # of the own car, in base_link
        self._joined = lru_cache(maxsize=8)(self._join)

    def still(self, x: float, y: float, radius: float) -> np.ndarray:
        """Return the table of the still things of all street pieces within `radius` of a point."""
        return self._joined(self.population.near(x, y, radius))

    def _join(self, pieces: tuple[int, ...]) -> np.ndarray:
        return np.concatenate([np.zeros((0, COLUMNS)), *(self.population.along(i) for i in pieces)])

    def shadow_casters(self, x: float, y: float, radius: float) -> np.ndarray:
        """Return boxes of houses and walls, and crowns of trees, whose shade may reach a point."""
        rows = self.still(x, y, radius)
        upright = rows[:, AXES][:, 8] > 0.99
        body = (rows[:, KIND] == BOX) & np.isin(rows[:, CLASS], (TRAIN_ID['building'], TRAIN_ID['wall'])) & upright
        body &= (rows[:, HALF].max(1) > 0.6) & (rows[:, HALF][:, 2] > 0.4)
        crown = rows[:, KIND] == CROWN
        near = np.hypot(rows[:, 0] - x, rows[:, 1] - y) < radius
        return rows[(body | crown) & near]

    def lamps_near(self, x: float, y: float, radius: float) -> list[tuple[float, float]]:
        """Return the street lamps near a point."""
        return [p for p in self.population.site.lamps if np.hypot(p[0] - x, p[1] - y) < radius]

    def at(self, time: float, camera_in_base: np.ndarray, focal_px: float) -> Moment:
        """Return what surrounds the camera at a time [s]; primitives too small or too far to be seen are left out."""
        base = self.plan.pose(time)
        camera = base @ camera_in_base
        eye, ahead = camera[:3, 3], camera[:3, 2]
        moving = [(m, pose) for m, pose in self.traffic.at(time) if np.hypot(*(pose[:2, 3] - eye[:2])) < SIGHT_M]
        rows = np.concatenate([self.still(eye[0], eye[1], SIGHT_M),
                               *(placed(m.table, pose, m.identity) for m, pose in moving),
                               placed(self.bonnet, base, OWN_CAR)])
        offset, radius = rows[:, CENTRE] - eye, np.sqrt((rows[:, HALF] ** 2).sum(1))
        z, distance = offset @ ahead, np.sqrt((offset ** 2).sum(1))
        seen = (z > -radius) & (distance < SIGHT_M) & (radius * focal_px > SMALLEST_PX * distance)
        bough = (rows[:, KIND] == CYLINDER) & (rows[:, CLASS] == TRAIN_ID['vegetation'])
        seen &= ~bough | (rows[:, HALF][:, 0] > THINNEST_BOUGH * distance)
        signal = 0.31 if any(s.begins - 6 < time < s.ends - 0.4 for s in self.plan.stops) else -0.31
        poses = {OWN_CAR: base, **{m.identity: pose for m, pose in moving}}
        return Moment(rows[seen], base, camera, poses, self._shadows(moving, eye), signal)

    def _shadows(self, moving, eye: np.ndarray) -> np.ndarray:
        """Return the shadow patches of the objects near the camera."""
        things = [*self.population.site.objects, *((pose, m.extent) for m, pose in moving)]
        if not things:
            return np.zeros((0, 15))
        poses, extents = (np.stack(v) for v in zip(*things))
        near = np.hypot(poses[:, 0, 3] - eye[0], poses[:, 1, 3] - eye[1]) < REACH_M
        return patches(poses[near], extents[near], self.sun)

"""How the camera's own car, and a car ahead of it, drive along the route."""
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from semdepth_ros.world.relief import Relief
from semdepth_ros.world.streets import Streets

STEP_S, BEYOND_S = 0.05, 60.0      # of the plan, and how far it reaches beyond the drive's end
SIDE_ACCELERATION, BRAKING, ACCELERATION = 1.9, 1.7, 1.3    # [m/s^2]
SAME_SPEED_GAP_M = (10.0, 20.0)     # rear axle to the middle of a car that drives ahead at the own speed


@dataclass(frozen=True)
class Stop:
    """A halt before a junction: which, where [m along the route], from when to when [s], whether behind a queue."""

    junction: int
    s: float
    begins: float
    ends: float
    queue: bool


class EgoPlan:
    """Arc length and speed of the ego car's rear axle, and of a leading car, over time; known from the start.

    :param streets: the route; grown as far as the plan needs
    :param seconds: how long the drive lasts
    :param same_speed: whether the car ahead keeps one distance all the way, and halts ahead of the own car
    """

    def __init__(self, streets: Streets, relief: Relief, seed: list[int], seconds: float, same_speed: bool = False):
        self.streets, self.relief, self.same_speed = streets, relief, same_speed
        town = streets.town
        self.dense = town.kind == 'boulevard'     # slow traffic on all lanes, which no junction halts
        self.side = 1.0 if town.left_hand else -1.0
        self.lane = self.side * (0.5 * town.lane_m - 0.1)
        self.stops: list[Stop] = []
        streets.grow((seconds + BEYOND_S) * town.speed_limit + 700)
        rng = [np.random.default_rng([*seed, 4, i]) for i in range(4)]  # so that a longer drive begins alike
        self.wander = rng[0].uniform(0, 2 * np.pi, 2)
        targets = self._gap_targets(rng[3])
        if same_speed:
            targets[:] = np.random.default_rng([*seed, 4, 4]).uniform(*SAME_SPEED_GAP_M)
        self._drive(self._limits(rng[1]), rng[2], targets, seconds + BEYOND_S)

    def _limits(self, rng: np.random.Generator) -> np.ndarray:
        """Return the highest speed at every metre of the route, already lowered ahead of bends."""
        cells = np.full(int(self.streets.length), self.streets.town.speed_limit)
        for piece in self.streets.pieces:
            part = slice(int(piece.s), int(piece.s + piece.length) + 1)
            cells[part] = min(self.streets.town.speed_limit * rng.uniform(0.3 if self.dense else 0.75, 1.0),
                              np.sqrt(SIDE_ACCELERATION / max(abs(piece.curvature), 1e-3)))
        for i in range(len(cells) - 2, -1, -1):
            cells[i] = min(cells[i], np.sqrt(cells[i + 1] ** 2 + 2 * BRAKING))
        return cells

    def _drive(self, limits: np.ndarray, rng: np.random.Generator, targets: np.ndarray, seconds: float) -> None:
        """Simulate the own car, which halts before some junctions, and the leading one, which keeps its distance."""
        draws = rng.random((len(self.streets.junctions), 3))
        often = 0.0 if self.dense else 0.38
        queued = 1.0 if self.same_speed else 0.4
        planned = [(i, j.enters - 9.0, 3 + 6 * hold, queue < queued)
                   for i, (j, (halt, hold, queue)) in enumerate(zip(self.streets.junctions, draws)) if halt < often]
        n = int(seconds / STEP_S)
        self.s, self.v, self.lead_s = np.zeros(n), np.zeros(n), np.zeros(n)
        s, v, lead, wait, coming = 12.0, 0.6 * limits[12], 12.0 + targets[0], 0.0, 0
        lead_v = v if self.same_speed else 0.0
        for i in range(n):
            self.s[i], self.v[i], self.lead_s[i] = s, v, lead
            junction, line, hold, queue = planned[coming] if coming < len(planned) else (0, 1e9, 0.0, False)
            room = line - (8.5 if queue else 0.0) - s
            if wait > 0:
                wait -= STEP_S
                coming += wait <= 0
            elif room < 0.3 and v < 0.4:
                wait = hold
                self.stops.append(Stop(junction, s, i * STEP_S, i * STEP_S + hold, queue))
            wish = min(limits[int(s)], math.sqrt(2 * BRAKING * max(room - 0.25, 0.0)))
            v = 0.0 if wait > 0 else max(0.0, v + min(max(wish - v, -2.8 * STEP_S), ACCELERATION * STEP_S))
            target = targets[min(int(s / 80), len(targets) - 1)]
            if room < 45:
                target = 8.6 if queue else 170.0 if room < 30 else target
            lead_wish = 0.0 if wait > 0 and queue else min(max(v + min(max(0.35 * (target - lead + s), -4), 4), 0), 16)
            lead_v += min(max(lead_wish - lead_v, -4.0 * STEP_S), 2.5 * STEP_S)
            s += v * STEP_S
            lead = max(lead + lead_v * STEP_S, s + 8.2)

    def _gap_targets(self, rng: np.random.Generator) -> np.ndarray:
        """Return the wished distance to the leading car for every 80 m of route; far away means out of sight."""
        kind, share = rng.random((int(self.streets.length / 80) + 1, 2)).T
        if self.dense:
            return 8.5 + 10 * share ** 2
        return np.where(kind < 0.45, 9 + 25 * share, np.where(kind < 0.72, 35 + 35 * share, 220.0))

    def _at(self, series: np.ndarray, t: float) -> float:
        x = np.clip(t / STEP_S, 0, len(series) - 1.001)
        i = int(x)
        return float(series[i] + (x - i) * (series[i + 1] - series[i]))

    def arc_length(self, t: float) -> float:
        """Return the arc length of the rear axle at time t [s]."""
        return self._at(self.s, t)

    def lead_arc_length(self, t: float) -> float:
        """Return the arc length of the leading car's middle at time t [s]."""
        return self._at(self.lead_s, t)

    def time_at(self, s: float) -> float:
        """Return when the rear axle first reaches arc length s; linear beyond the ends of the plan."""
        if s <= self.s[0]:
            return (s - self.s[0]) / max(self.v[0], 4.0)
        if s >= self.s[-1]:
            return len(self.s) * STEP_S + (s - self.s[-1]) / 8.0
        return int(np.searchsorted(self.s, s)) * STEP_S

    def pose(self, t: float) -> np.ndarray:
        """Return base_link (on the road under the rear axle, x forward, z up) in the world, float64 [4, 4]."""
        s = self.arc_length(t)
        a, b = self.wander
        d = self.lane + 0.10 * np.sin(s / 23 + a) + 0.05 * np.sin(s / 9 + b)
        slope = 0.10 / 23 * np.cos(s / 23 + a) + 0.05 / 9 * np.cos(s / 9 + b)
        x, y, heading = self.streets.at(s, d)
        return on_ground(self.relief, x, y, heading + np.arctan(slope))


def on_ground(relief: Relief, x: float, y: float, heading: float, z: float = 0.0) -> np.ndarray:
    """Return the pose [4, 4] of something that stands on the road at x, y, tilted as the land is, and z above it."""
    height, gx, gy = relief.under(x, y)
    c, n = math.cos(heading), math.sin(heading)
    rise, lean = gx * c + gy * n, gy * c - gx * n           # slope ahead and to the left
    ahead = np.array([c, n, rise]) / math.sqrt(1 + rise * rise)
    up = np.array([-gx, -gy, 1.0]) / math.sqrt(1 + rise * rise + lean * lean)
    left = np.array([up[1] * ahead[2] - up[2] * ahead[1], up[2] * ahead[0] - up[0] * ahead[2],
                     up[0] * ahead[1] - up[1] * ahead[0]])
    pose = np.eye(4)
    pose[:3, 0], pose[:3, 1], pose[:3, 2] = ahead, left, up
    pose[:3, 3] = x, y, height + z
    return pose

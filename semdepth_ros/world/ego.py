"""How the camera's own car, and a car ahead of it, drive along the route."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semdepth_ros.world.relief import Relief
from semdepth_ros.world.streets import Streets

STEP_S = 0.05
SIDE_ACCELERATION, BRAKING, ACCELERATION = 1.9, 1.7, 1.3    # [m/s^2]


@dataclass(frozen=True)
class Stop:
    """A halt before a junction: which, where [m along the route], from when to when [s], whether behind a queue."""

    junction: int
    s: float
    begins: float
    ends: float
    queue: bool


class EgoPlan:
    """Arc length and speed of the ego car's rear axle, and of a leading car, over time; known from the start of the drive.

    :param streets: the route; grown as far as the plan needs
    :param seconds: how long the drive lasts
    """

    def __init__(self, streets: Streets, relief: Relief, rng: np.random.Generator, seconds: float):
        self.streets, self.relief = streets, relief
        town = streets.town
        self.side = 1.0 if town.left_hand else -1.0
        self.lane = self.side * (0.5 * town.lane_m - 0.1)
        self.wander = rng.uniform(0, 2 * np.pi, 2)
        self.stops: list[Stop] = []
        streets.grow(seconds * town.speed_limit + 700)
        self._drive(rng, seconds)

    def _limits(self, rng: np.random.Generator) -> np.ndarray:
        """Return the highest speed at every metre of the route, already lowered ahead of bends."""
        cells = np.full(int(self.streets.length), self.streets.town.speed_limit)
        for piece in self.streets.pieces:
            part = slice(int(piece.s), int(piece.s + piece.length) + 1)
            cells[part] = min(self.streets.town.speed_limit * rng.uniform(0.75, 1.0),
                              np.sqrt(SIDE_ACCELERATION / max(abs(piece.curvature), 1e-3)))
        for i in range(len(cells) - 2, -1, -1):
            cells[i] = min(cells[i], np.sqrt(cells[i + 1] ** 2 + 2 * BRAKING))
        return cells

    def _drive(self, rng: np.random.Generator, seconds: float) -> None:
        limits = self._limits(rng)
        planned = [(i, j.enters - 7.5) for i, j in enumerate(self.streets.junctions) if rng.random() < 0.38]
        holds = rng.uniform(3.0, 9.0, len(planned))
        queues = rng.random(len(planned)) < 0.4
        targets = self._gap_targets(rng)
        n = int(seconds / STEP_S) + 200
        self.s, self.v, self.lead_s = np.zeros(n), np.zeros(n), np.zeros(n)
        s, v, lead, lead_v, wait, next_stop = 12.0, 0.6 * limits[12], 12.0 + targets[0], 0.0, 0.0, 0
        for i in range(n):
            self.s[i], self.v[i], self.lead_s[i] = s, v, lead
            room, queue = np.inf, False
            if next_stop < len(planned):
                queue = bool(queues[next_stop])
                room = planned[next_stop][1] - (8.5 if queue else 0.0) - s
            target = targets[min(int(s / 80), len(targets) - 1)]
            if wait > 0:
                wait -= STEP_S
                if wait <= 0:
                    next_stop += 1
            elif room < 0.3 and v < 0.4:
                wait, now = holds[next_stop], i * STEP_S
                self.stops.append(Stop(planned[next_stop][0], s, now, now + wait, queue))
            if queue and room < 45:
                target = 8.6
            elif not queue and room < 30:
                target = 170.0
            wish = min(limits[int(s)], np.sqrt(2 * BRAKING * max(room - 0.25, 0.0)))
            dv = np.clip(wish - v, -2.8 * STEP_S, ACCELERATION * STEP_S)
            v = 0.0 if wait > 0 else max(0.0, v + dv)
            lead_wish = np.clip(v + np.clip(0.35 * (target - (lead - s)), -4, 4), 0, 16)
            if wait > 0 and queue:
                lead_wish = 0.0
            lead_v += np.clip(lead_wish - lead_v, -4.0 * STEP_S, 2.5 * STEP_S)
            s, lead = s + v * STEP_S, max(lead + lead_v * STEP_S, s + v * STEP_S + 8.2)

    def _gap_targets(self, rng: np.random.Generator) -> np.ndarray:
        """Return the wished distance to the leading car for every 80 m of route; far away means out of sight."""
        n = int(self.streets.length / 80) + 1
        near = rng.uniform(9, 34, n)
        return np.where(rng.random(n) < 0.45, near, np.where(rng.random(n) < 0.5, rng.uniform(35, 70, n), 220.0))

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
    """Return the pose [4, 4] of something that stands on the road at x, y, tilted as the land is; z is added to the height."""
    up = relief.normal(x, y)
    ahead = np.array([np.cos(heading), np.sin(heading), 0.0])
    left = np.cross(up, ahead)
    left /= np.linalg.norm(left)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([np.cross(left, up), left, up], axis=1)
    pose[:3, 3] = x, y, float(relief.height(x, y)) + z
    return pose

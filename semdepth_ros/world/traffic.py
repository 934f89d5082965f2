"""Everything that moves on its own: where each object is at any time."""
from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from semdepth_ros.world.ego import EgoPlan, on_ground
from semdepth_ros.world.heavy_vehicles import bus, truck
from semdepth_ros.world.people import cyclist, motorcyclist, pedestrian
from semdepth_ros.world.primitives import CENTRE, HALF
from semdepth_ros.world.shadows import extent
from semdepth_ros.world.streets import Streets
from semdepth_ros.world.vehicles import car, van

FIRST_MOVER = 1_000_000     # still objects are numbered from 1, moving ones from here, each kind in its own million
NEARBY_M, SMOOTH_M = 220.0, 21
GROUPS = (1, 1, 1, 1, 1, 1, 2, 2, 3, 4)     # people who walk together


@dataclass(frozen=True)
class Mover:
    """One object on its way.

    :param table: its primitives in its own frame; extent: see `shadows.extent`
    :param identity: its instance number
    :param s, t, speed: along its line it is at s + speed * (time - t)
    :param d: metres to the left of its line; a number, or one for every metre of the route
    :param begins, ends: when it exists [s]
    :param line: (x, y, heading) of a straight line, None for the route
    :param follows: 'lead': it moves with the leading car of the ego plan, 'ego': with the own car
    :param sway: by how many metres, and in what time [s], it falls back and comes up; and the phase
    :param lift: height of what it walks on above the road [m]
    """

    table: np.ndarray
    extent: np.ndarray
    identity: int
    s: float
    t: float
    speed: float
    d: float | np.ndarray
    begins: float
    ends: float
    line: tuple[float, float, float] | None = None
    follows: str = ''
    sway: tuple[float, float, float] = (0.0, 1.0, 0.0)
    lift: float = 0.0

    def pose(self, time: float, plan: EgoPlan) -> np.ndarray | None:
        """Return its pose [4, 4] at a time [s], None where it is not on the map."""
        s = self._along(time, plan)
        if self.line:
            x0, y0, heading = self.line
            x = x0 + s * np.cos(heading) - self.d * np.sin(heading)
            y = y0 + s * np.sin(heading) + self.d * np.cos(heading)
        elif not 1.0 < s < plan.streets.length - 60:
            return None
        else:
            x, y, heading = plan.streets.at(s, self._aside(s))
            heading += np.arctan(self._aside(s + 0.5) - self._aside(s - 0.5))
        heading += np.pi if self.speed < 0 else 0.0
        return on_ground(plan.relief, x, y, heading, self.lift)

    def _along(self, time: float, plan: EgoPlan) -> float:
        if not self.follows:
            return self.s + self.speed * (time - self.t)
        far, period, phase = self.sway
        arc = plan.lead_arc_length(time) if self.follows == 'lead' else plan.arc_length(time)
        return self.s + arc + far * math.sin(2 * math.pi * time / period + phase)

    def _aside(self, s: float) -> float:
        if isinstance(self.d, float):
            return self.d
        i = min(max(int(s), 0), len(self.d) - 2)
        return float(self.d[i] + (s - i) * (self.d[i + 1] - self.d[i]))


class Traffic:
    """All movers of a drive, with those near a moment found quickly."""

    def __init__(self, streets: Streets, plan: EgoPlan, seed: list[int], seconds: float, lit: float):
        self.plan, self.lit, self.streets = plan, lit, streets
        self.movers: list[Mover] = []
        self.kerb, self.sidewalk, self.parking = self._profile()
        self.last = plan.arc_length(seconds) + 260      # arc length up to which things are met
        makers = (self._oncoming, self._walkers, self._riders, self._crossings, self._leader, self._companions)
        for i, make in enumerate(makers):       # each with a generator of its own, so that a longer drive begins alike
            self.rng, self.identity = np.random.default_rng([*seed, 7, i]), FIRST_MOVER * (i + 1)
            make()
        self.line = np.array([(m.begins, m.ends, m.s, m.t, m.speed) for m in self.movers]).T
        self.anywhere = np.array([bool(m.follows) or m.line is not None for m in self.movers])
        self.at = lru_cache(maxsize=64)(self._at)     # a batch of frames, each asked for twice

    def _at(self, time: float) -> list[tuple[Mover, np.ndarray]]:
        """Return every mover near the ego car at a time [s], with its pose [4, 4]."""
        begins, ends, s, t, speed = self.line
        ahead = s + speed * (time - t) - self.plan.arc_length(time)
        alive = (begins <= time) & (time <= ends) & (self.anywhere | (np.abs(ahead) < NEARBY_M))
        found = ((self.movers[i], self.movers[i].pose(time, self.plan)) for i in np.nonzero(alive)[0])
        return [(mover, pose) for mover, pose in found if pose is not None]

    def _profile(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return for every metre of the route, smoothed: middle to kerb, widths of sidewalk and parking lane."""
        values = np.zeros((3, int(self.streets.length) + 2))
        for piece in self.streets.pieces:
            column = [piece.half_width], [piece.sidewalk], [2.2 if any(piece.parking) else 0.0]
            values[:, int(piece.s):int(piece.s + piece.length) + 2] = column
        window = np.ones(SMOOTH_M) / SMOOTH_M
        wide = np.pad(values, ((0, 0), (SMOOTH_M // 2, SMOOTH_M // 2)), mode='edge')
        return tuple(np.convolve(v, window, mode='valid') for v in wide)

    def _vehicle(self) -> np.ndarray:
        kind = self.rng.choice(5, p=(0.66, 0.10, 0.11, 0.07, 0.06))
        make = (car, van, truck, bus, motorcyclist)[kind]
        return make(self.rng, self.lit).table()

    def _add(self, table, s, t, speed, d, life, **more) -> None:
        begins, ends = life if isinstance(life, tuple) else (t - life, t + life)
        self.movers.append(Mover(table, extent(table), self.identity, s, t, speed, d, begins, ends, **more))
        self.identity += 1

    def _oncoming(self) -> None:
        rng, plan, town = self.rng, self.plan, self.streets.town
        speed, s = rng.uniform(6.5, 9.5) * (0.4 if plan.dense else 1.0), 30.0
        gaps = (9.0, 26.0) if plan.dense else town.oncoming_gap_m
        while s < self.last:
            t = plan.time_at(s)
            passes = [t + (s - self.streets.junctions[stop.junction].enters) / speed for stop in plan.stops]
            blocked = any(stop.begins - 4 < when < stop.ends + 5 for stop, when in zip(plan.stops, passes))
            tight = any(abs(p.curvature) > 1 / 25 and p.s - 18 < s < p.s + p.length + 18 for p in self.streets.pieces)
            if not blocked:     # long vehicles would cut the corner where they meet the ego car in a tight bend
                self._add(car(rng, self.lit).table() if tight else self._vehicle(), s, t, -speed, -plan.lane, 26.0)
            s += rng.uniform(*gaps)

    def _walkers(self) -> None:
        rng, plan, town = self.rng, self.plan, self.streets.town
        s = 10.0
        while s < self.last:
            share, side = rng.uniform(0.45, 0.9), rng.choice((-1, 1))
            speed = rng.choice((-1, 1)) * rng.uniform(0.8, 1.7)
            for i in range(GROUPS[rng.integers(len(GROUPS))]):
                aside = self.kerb + 0.35 + (self.sidewalk - 0.6) * np.clip(share - 0.22 * i, 0.05, 0.95)
                at = s + 0.6 * i + rng.uniform(-0.2, 0.2)
                self._add(pedestrian(rng).table(), at, plan.time_at(at), speed, aside * side, 45.0, lift=town.kerb_m)
            s += rng.exponential(100 / town.people_per_100m) + 0.5

    def _riders(self) -> None:
        rng, plan, town = self.rng, self.plan, self.streets.town
        s, aside = 25.0, self.kerb - self.parking - 0.55
        while s < self.last:
            way, speed = rng.choice((-1, 1), p=(0.45, 0.55)), rng.uniform(3.2, 5.2)
            on_way = aside[max(int(s) - 80, 0):int(s) + 80]
            if on_way.min() > abs(plan.lane) + 1.55 and not plan.dense:
                table = (cyclist(rng) if rng.random() < 0.8 else motorcyclist(rng, self.lit)).table()
                self._add(table, s, plan.time_at(s), way * speed, aside * (plan.side * way), 14.0)
            s += rng.exponential(100 / town.cyclists_per_100m) + 6

    def _crossings(self) -> None:
        """Let people and cars cross while the ego car waits at a junction."""
        rng, plan = self.rng, self.plan
        for stop in plan.stops:
            junction = self.streets.junctions[stop.junction]
            x, y, heading = self.streets.at(junction.enters - 2.5)
            for _ in range(rng.integers(1, 4)):
                way, speed = rng.choice((-1, 1)), rng.uniform(1.0, 1.6)
                t = rng.uniform(stop.begins - 1.0, max(stop.begins, stop.ends - 5))
                line = (x + rng.uniform(-1, 1) * np.cos(heading), y, heading + np.pi / 2)
                self._add(pedestrian(rng).table(), 0.0, t, way * speed, 0.0, 8.0, line=line)
            ways = [a.heading for a in junction.arms if abs(np.sin(a.heading - heading)) > 0.7]
            if len(ways) == 2 and junction.turn == 0:
                for way in ways:
                    t = rng.uniform(stop.begins + 1.5, max(stop.begins + 1.5, stop.ends - 2.0))
                    self._add(self._vehicle(), 0.0, t, 7.0, plan.lane, 12.0, line=(junction.x, junction.y, way))

    def _leader(self) -> None:
        riders = (lambda rng, _: cyclist(rng), motorcyclist) if self.streets.town.kind == 'town' else ()
        makers = (car, car, car, van) if self.plan.same_speed else (car, car, car, van, bus, truck, *riders)
        table = makers[self.rng.integers(len(makers))](self.rng, self.lit).table()
        behind = float((table[:, HALF][:, 0] - table[:, CENTRE][:, 0]).max()) - 2.3
        self._add(table, behind, 0.0, 1.0, self.plan.lane, (-1e9, 1e9), follows='lead')

    def _companions(self) -> None:
        """Fill the other lane of a boulevard, and the own beyond the leading car, with slow traffic close by."""
        rng, plan, town = self.rng, self.plan, self.streets.town
        if not plan.dense:
            return
        outer = plan.side * (1.5 * town.lane_m - 0.1)
        sway = float(rng.uniform(4, 14)), float(rng.uniform(18, 45)), float(rng.uniform(0, 2 * np.pi))
        for first, last, d, more in ((-22.0, 140.0, outer, dict(follows='ego', sway=sway)),
                                     (15.0, 110.0, plan.lane, dict(follows='lead'))):
            rear = first + rng.uniform(0, 6)
            while rear < last:
                table = self._companion()
                low, high, *_ = extent(table)
                self._add(table, rear - low, 0.0, 1.0, d + rng.normal(0, 0.08), (-1e9, 1e9), **more)
                rear += high - low + rng.uniform(2.2, 11.0)

    def _companion(self) -> np.ndarray:
        make = (car, van, truck, bus, motorcyclist)[self.rng.choice(5, p=(0.56, 0.12, 0.23, 0.06, 0.03))]
        return make(self.rng, self.lit).table()

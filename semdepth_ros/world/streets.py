"""The street network: a route of straight and curved pieces with junctions and side streets, grown on demand."""
from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

import numpy as np

from semdepth_ros.world.town import Town

DISTRICTS = ('city', 'suburb', 'park', 'works')     # and 'country', of towns of that kind alone
STEEPEST_HEADING = 1.6      # [rad]; the route winds, but never turns back
JUNCTION_RADIUS = 12.0      # of the centre line of a turn, and half the length of a junction along the route [m]


@dataclass(frozen=True)
class Piece:
    """A stretch of street with constant curvature.

    :param x, y, heading: where it starts [m, rad]; curvature: 1/m, positive to the left; length [m]
    :param s: arc length of its start along the route (side streets: their own from 0) [m]
    :param half_width, sidewalk: from the middle to the kerb, and from there to the building line [m]
    :param role: 'street', 'junction' or 'side'
    :param zebras: arc lengths of zebra crossings of a side street [m] (those of the route: Streets.zebras)
    """

    x: float
    y: float
    heading: float
    curvature: float
    length: float
    s: float
    half_width: float
    sidewalk: float
    role: str
    district: str
    lanes: int
    parking: tuple[bool, bool]
    zebras: tuple[float, ...] = ()

    def at(self, s, d=0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return x, y [m] and heading [rad] at arc length s from the piece's start, d m to the left."""
        s, k = np.asarray(s, float), self.curvature
        a = k * s
        half = np.sinc(a / (2 * np.pi)) * s     # chord length
        x = self.x + half * np.cos(self.heading + a / 2) - d * np.sin(self.heading + a)
        y = self.y + half * np.sin(self.heading + a / 2) + d * np.cos(self.heading + a)
        return x, y, self.heading + a

    def locate(self, x, y) -> tuple[np.ndarray, np.ndarray]:
        """Return (s from the piece's start, d to the left) of points x, y [m]."""
        dx, dy = x - self.x, y - self.y
        c, n = np.cos(self.heading), np.sin(self.heading)
        u, v = c * dx + n * dy, c * dy - n * dx
        k = self.curvature
        if abs(k) < 1e-9:
            return u, v
        q = k * (u * u + v * v) - 2 * v
        d = -q / (1 + np.sqrt(np.maximum(1 + k * q, 0)))
        return np.arctan2(k * u, 1 - k * v) / k if k > 0 else np.arctan2(-k * u, 1 - k * v) / -k, d

    @property
    def end(self) -> tuple[float, float, float]:
        """Position and heading at the end."""
        return tuple(float(v) for v in self.at(self.length))


@dataclass(frozen=True)
class Junction:
    """Where the route crosses: middle [m], arc length of entry and exit, the side streets that leave it."""

    x: float
    y: float
    enters: float
    leaves: float
    turn: int
    signalled: bool
    arms: tuple[Piece, ...]


@dataclass
class Streets:
    """The network as far as it is known; `grow(s)` makes sure that the route is known up to arc length s."""

    town: Town
    rng: np.random.Generator
    pieces: list[Piece] = field(default_factory=list)
    junctions: list[Junction] = field(default_factory=list)
    zebras: list[float] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    every: list[Piece] = field(default_factory=list)     # route and side streets in the order they were made
    next_section: dict | None = None

    def grow(self, s: float) -> None:
        """Extend the route beyond arc length s [m]."""
        while self.length < s:
            self._leg()

    @property
    def length(self) -> float:
        """Arc length known so far [m]."""
        return self.pieces[-1].s + self.pieces[-1].length if self.pieces else 0.0

    def at(self, s: float, d: float = 0.0) -> tuple[float, float, float]:
        """Return x, y, heading at arc length s along the route, d m to the left."""
        piece = self.pieces[self.piece_index(s)]
        return tuple(float(v) for v in piece.at(s - piece.s, d))

    def piece_index(self, s: float) -> int:
        """Return the index of the route's piece at arc length s."""
        self.grow(s + 1)
        return max(0, bisect_right(self.starts, s) - 1)

    def _cross_section(self) -> dict:
        t, rng = self.town, self.rng
        lanes = 2 if rng.random() < t.second_lane_share else 1
        parking = tuple(bool(v) for v in rng.random(2) < t.parking_share)
        district = DISTRICTS[rng.choice(4, p=t.districts)]
        district = 'country' if t.kind == 'country' else district
        half_width, sidewalk = lanes * t.lane_m + (2.2 if any(parking) else 0.7), float(rng.uniform(*t.sidewalk_m))
        return dict(half_width=half_width, sidewalk=sidewalk, district=district, lanes=lanes, parking=parking)

    def _append(self, curvature: float, length: float, role: str, section: dict) -> None:
        x, y, heading = self.pieces[-1].end if self.pieces else (0.0, 0.0, 0.0)
        self.pieces.append(Piece(x, y, heading, curvature, length, self.length, role=role, **section))
        self.starts.append(self.pieces[-1].s)
        self.every.append(self.pieces[-1])

    def _leg(self) -> None:
        """Append a leg of streets and the junction at its end."""
        rng, town = self.rng, self.town
        section = self.next_section or self._cross_section()
        total, made = rng.uniform(*town.leg_m), 0.0
        self._append(0.0, 14.0 if self.pieces else 40.0, 'street', section)     # straight out of the last junction
        while made < total:
            length, curvature = rng.uniform(25, 60), 0.0
            if rng.random() < 0.65 * town.curviness:
                curvature = self._bend(length)
            self._append(curvature, length, 'street', section)
            made += length
        self._append(0.0, 14.0, 'street', section)
        self._junction(section)

    def _bend(self, length: float) -> float:
        heading, radius = self.pieces[-1].end[2], self.rng.uniform(35, 160)
        sign = self.rng.choice((-1, 1))
        radius *= 1.0 if self.town.kind == 'town' else 4.0
        return -np.sign(heading) / radius if abs(heading + sign * length / radius) > STEEPEST_HEADING else sign / radius

    def _junction(self, section: dict) -> None:
        rng, r = self.rng, JUNCTION_RADIUS
        x, y, heading = self.pieces[-1].end
        cx, cy = x + r * np.cos(heading), y + r * np.sin(heading)
        turn = int(rng.choice((-1, 0, 1), p=(0.25, 0.5, 0.25)))
        if self.town.kind != 'town':
            turn = 0
        elif abs(heading) > 0.35:      # only back towards the main direction, so that the route never meets itself
            turn = -int(np.sign(heading)) if rng.random() < 0.65 else 0
        self.next_section = self._cross_section()
        wide = max(section['half_width'], self.next_section['half_width'])
        enters = self.length
        self._append(turn / r, r * np.pi / 2 if turn else 2 * r, 'junction', {**section, 'half_width': wide})
        arms = [self._arm(cx, cy, heading + way * np.pi / 2) for way in (-1, 0, 1)
                if way != turn and (way == 0 or rng.random() < 0.85)]
        self.junctions.append(Junction(cx, cy, enters, self.length, turn, bool(rng.random() < 0.75), tuple(arms)))
        self.every += arms
        self._mark_zebra(enters - 2.5)
        self._mark_zebra(self.length + 2.5)

    def _mark_zebra(self, s: float) -> None:
        if self.rng.random() < (0.1 if self.town.kind == 'country' else 0.75):
            self.zebras.append(s)

    def _arm(self, x: float, y: float, heading: float) -> Piece:
        return Piece(x, y, heading, 0.0, float(self.rng.uniform(60, 110)), 0.0, role='side',
                     zebras=(JUNCTION_RADIUS + 2.5,) if self.rng.random() < 0.7 else (), **self._cross_section())

"""What stands still in a town: houses, gardens, furniture and parked vehicles, street piece by street piece."""
from __future__ import annotations

import numpy as np

from semdepth_ros.world import buildings, furniture, plants, vehicles
from semdepth_ros.world.ego import on_ground
from semdepth_ros.world.people import pedestrian
from semdepth_ros.world.primitives import CENTRE, COLUMNS, HALF, Parts, placed
from semdepth_ros.world.relief import Relief
from semdepth_ros.world.shadows import extent
from semdepth_ros.world.streets import JUNCTION_RADIUS, Junction, Piece, Streets

KERB_SIDE = 0.45    # how far behind the kerb furniture stands [m]


class Population:
    """The still things along all streets known so far; everything is deterministic in the order of the pieces."""

    def __init__(self, streets: Streets, relief: Relief, seed: list[int], lit: float):
        self.streets, self.relief, self.lit, self.seed = streets, relief, lit, seed
        self.town = streets.town
        self.rects = np.zeros((0, 5))       # x, y, yaw, half depth, half width of every house
        self.lamps: list[tuple[float, float]] = []
        self.rows: list[np.ndarray] = []
        self.objects: list[tuple[np.ndarray, np.ndarray]] = []     # pose and extent of every numbered thing
        self.pieces = list(streets.every)
        ends = np.array([[*p.at(p.length / 2)[:2], p.length / 2] for p in self.pieces], float)
        self.middles, self.radii = ends[:, :2], ends[:, 2]

    def populate(self, number: int) -> np.ndarray:
        """Return the table of the things along piece `number`; pieces are to be asked for in order."""
        piece = self.pieces[number]
        rng = np.random.default_rng([*self.seed, 5, number])
        self.rows = []
        if piece.role != 'junction':
            begin = JUNCTION_RADIUS + 4.0 if piece.role == 'side' else 0.0
            for side in (-1, 1):
                self._houses(piece, side, begin, rng)
                self._street_side(piece, side, begin, rng)
            if piece.role == 'side':
                self._dead_end(piece, rng)
                self._waiting(piece, rng)
        else:
            self._junction(next(j for j in self.streets.junctions if j.enters == piece.s), rng)
        return np.concatenate(self.rows) if self.rows else np.zeros((0, COLUMNS))

    def _junction(self, junction: Junction, rng: np.random.Generator) -> None:
        """Place signals or signs at the ends of the streets that meet, and people who wait."""
        left = 1 if self.town.left_hand else -1
        approach = self.streets.pieces[self.streets.piece_index(junction.enters - 1)]
        spots = [(approach, junction.enters - approach.s - 1.2, 1)]
        spots += [(arm, JUNCTION_RADIUS + 1.2, -1) for arm in junction.arms]
        for piece, s, way in spots:
            side = left * way
            heading_in = 0.0 if way > 0 else np.pi
            if junction.signalled:
                for there, reach in ((side, piece.half_width * 0.55 * (rng.random() < 0.6)), (-side, 0.0)):
                    parts = furniture.traffic_light(rng, reach + KERB_SIDE if reach else 0.0)
                    self._stand(piece, s, there * (piece.half_width + KERB_SIDE), np.pi + heading_in, parts,
                                flip=there * way > 0)
            else:
                self._stand(piece, s, side * (piece.half_width + KERB_SIDE), np.pi + heading_in, furniture.sign(rng))
        for way in (-1, 1):
            for _ in range(rng.integers(0, 3)):
                d = way * (approach.half_width + rng.uniform(0.7, max(0.8, approach.sidewalk - 0.4)))
                self._stand(approach, junction.enters - approach.s - rng.uniform(0.5, 4), d, rng.uniform(0, 6.28),
                            pedestrian(rng), own=True)

    def clearance(self, x, y) -> np.ndarray:
        """Return how far points [n] lie outside all streets and their sidewalks [m], negative inside."""
        x, y = np.atleast_1d(x), np.atleast_1d(y)
        reach = np.hypot(self.middles[:, 0] - x.mean(), self.middles[:, 1] - y.mean()) - self.radii
        best = np.full(x.shape, 50.0)
        for i in np.nonzero(reach < 45)[0]:
            piece = self.pieces[i]
            s, d = piece.locate(x, y)
            best = np.minimum(best, np.maximum(np.abs(d) - piece.half_width - piece.sidewalk,
                                               np.maximum(-s, s - piece.length)))
        return best

    # ------------------------------------------------------------------ placing

    def _stand(self, piece: Piece, s: float, d: float, turn: float, parts: Parts, own: bool = False, lift: float | None = None,
               flip: bool = False, upright: bool = True) -> None:
        """Place parts at (s, d) of a piece, turned against its direction; `own` gives them an instance number."""
        x, y, heading = piece.at(s, d)
        pose = on_ground(self.relief, float(x), float(y), float(heading) + turn, self.town.kerb_m if lift is None else lift)
        if upright:
            yaw = float(heading) + turn
            pose[:3, :3] = [[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]]
        table = parts.table()
        if flip:
            table = _mirrored(table)
        identity = 0
        if own:
            self.objects.append((pose, extent(table)))
            identity = len(self.objects)
        self.rows.append(placed(table, pose, identity))

    def _free(self, x: float, y: float, yaw: float, deep: float, wide: float) -> bool:
        """Reserve a rectangle whose front middle is (x, y) and which reaches `deep` behind it, if it is free."""
        c, n = np.cos(yaw), np.sin(yaw)
        u = np.array([-0.02, -0.02, -0.02, -0.5, -0.5, -1, -1, -1]) * deep
        v = np.array([-0.5, 0, 0.5, -0.5, 0.5, -0.5, 0, 0.5]) * wide
        if self.clearance(x + c * u - n * v, y + n * u + c * v).min() < 0.02:
            return False
        rect = np.array([x - c * deep / 2, y - n * deep / 2, yaw, deep / 2, wide / 2])
        if _overlaps(rect, self.rects):
            return False
        self.rects = np.concatenate([self.rects, rect[None]])
        return True

    def _inside_house(self, x: float, y: float, margin: float) -> bool:
        return _overlaps(np.array([x, y, 0.0, margin, margin]), self.rects)

    # ------------------------------------------------------------------ lots

    def _houses(self, piece: Piece, side: int, begin: float, rng: np.random.Generator) -> None:
        town, s = self.town, begin + rng.uniform(0, 2)
        while s < piece.length - 2:
            kind = piece.district
            if kind == 'city':
                wide, deep, setback = rng.uniform(9, 20), rng.uniform(10, 14), 0.06
                floors, gable = int(rng.integers(town.floors[0], town.floors[1] + 1)), rng.random() < 0.3
                gap = 0.0 if rng.random() < 0.8 else rng.uniform(4, 12)
            elif kind == 'suburb':
                wide, deep, setback = rng.uniform(8, 13), rng.uniform(8, 11), rng.uniform(2.5, 8)
                floors, gable, gap = int(rng.integers(1, 4)), rng.random() < 0.85, rng.uniform(3, 10)
            elif kind == 'park':
                wide, deep, setback, floors, gable, gap = 16.0, 0.0, 0.0, 0, False, 0.0
            else:
                wide, deep, setback = rng.uniform(15, 34), rng.uniform(14, 20), rng.uniform(3, 12)
                floors, gable, gap = int(rng.integers(1, 3)), rng.random() < 0.3, rng.uniform(3, 14)
            wide = min(wide, max(piece.length - s, 8.0))
            built = floors and self._house(piece, side, s + wide / 2, setback, wide, deep, floors, gable, rng)
            if not built or setback > 2:
                self._front(piece, side, s + wide / 2, wide + gap, rng, garden=0 if built else 1)
            elif gap > 3:
                self._front(piece, side, s + wide + gap / 2, gap, rng, garden=1)
            s += wide + gap

    def _house(self, piece, side, s, setback, wide, deep, floors, gable, rng) -> bool:
        d = side * (piece.half_width + piece.sidewalk + setback)
        chord = 0.0
        if piece.curvature * side < 0:      # on the outside of a bend nothing is lost; inside, the corners would stick out
            chord = abs(piece.curvature) * (wide / 2) ** 2 / 2
        d += side * chord
        x, y, heading = (float(v) for v in piece.at(s, d))
        yaw = heading - side * np.pi / 2
        for shrink in (1.0, 0.75, 0.55):
            if wide * shrink >= 6 and self._free(x, y, yaw, deep, wide * shrink):
                shop = piece.district == 'city' and rng.random() < 0.45 and not self.town.plain
                parts = buildings.house(rng, self.town, wide * shrink, deep, floors, gable, shop)
                self._stand(piece, s, d, -side * np.pi / 2, parts)
                return True
        return False

    def _front(self, piece: Piece, side: int, s: float, length: float, rng, garden: int) -> None:
        """Close the sidewalk off with a wall, fence or hedge, and plant what is behind."""
        d = side * (piece.half_width + piece.sidewalk + 0.15)
        at = [np.asarray(piece.at(s + o * (length - 0.5), d)[:2]) for o in (-0.5, -0.25, 0.0, 0.25, 0.5)]
        clear = min(float(self.clearance(*p)[0]) for p in at) > -0.02 and not any(self._inside_house(*p, 0.7) for p in at)
        if clear and abs(piece.curvature) * length ** 2 / 8 < 0.6:
            kinds = {'city': (0.4, 0.25, 0.15, 0.0), 'suburb': (0.2, 0.35, 0.3, 0.0), 'park': (0.05, 0.2, 0.3, 0.12),
                     'works': (0.35, 0.45, 0.05, 0.1)}[piece.district]
            choice = rng.choice(5, p=(*kinds, 1 - sum(kinds)))
            if choice < 4:
                make = (buildings.wall, buildings.fence, buildings.hedge, buildings.guard_rail)[choice]
                self._stand(piece, s, d, -side * np.pi / 2, make(rng, self.town, length - 0.6))
        plants_here = rng.poisson((1.2, 2.2 + length * 0.12)[garden] * (2.0 if piece.district == 'park' else 1.0))
        for _ in range(plants_here):
            out = rng.uniform(1.8, 6 if not garden else 22)
            where = s + rng.uniform(-0.5, 0.5) * length, side * (piece.half_width + piece.sidewalk + out)
            x, y, _ = piece.at(*where)
            small = rng.random() < 0.45
            if self.clearance(x, y)[0] > (0.8 if small else 1.2) and not self._inside_house(float(x), float(y), 1.4):
                make = plants.bush if small else plants.tree
                self._stand(piece, *where, rng.uniform(0, 6.28), make(rng, self.town))

    def _dead_end(self, piece: Piece, rng: np.random.Generator) -> None:
        """Close a side street with a house or trees, so that no street leads into nothing."""
        x, y, heading = (float(v) for v in piece.at(piece.length + 1.5))
        if self._free(x, y, heading + np.pi, 12.0, 2 * piece.half_width + 6):
            parts = buildings.house(rng, self.town, 2 * piece.half_width + 6, 12.0, int(rng.integers(2, 5)), False, False)
            self._stand(piece, piece.length + 1.5, 0.0, np.pi, parts)
        for d in np.arange(-14, 15, 4.5):
            where = piece.length + rng.uniform(2, 7), d + rng.uniform(-1, 1)
            x, y, _ = piece.at(*where)
            if self.clearance(x, y)[0] > 1 and not self._inside_house(float(x), float(y), 1.5):
                self._stand(piece, *where, 0.0, plants.tree(rng, self.town))

    # ------------------------------------------------------------------ the kerb

    def _street_side(self, piece: Piece, side: int, begin: float, rng: np.random.Generator) -> None:
        town, kerb = self.town, side * (piece.half_width + KERB_SIDE)
        lamps = np.arange(begin + 6 + (0 if side > 0 else 13), piece.length - 1, 26.0)
        for s in lamps:
            self._furnish(piece, s, kerb, -side * np.pi, lambda: furniture.lamp(rng, town, self.lit), flip=side > 0)
            if self._on_sidewalk(piece, s, kerb):
                self.lamps.append(tuple(float(v) for v in piece.at(s, kerb - side * 1.5)[:2]))
        taken = list(lamps)
        trees = rng.random() < town.tree_share and piece.sidewalk > 1.9
        spacing = rng.uniform(8, 14)
        for s in np.arange(begin + rng.uniform(1, 6), piece.length - 1, spacing):
            if trees and all(abs(s - o) > 2.0 for o in taken) and rng.random() < 0.85:
                self._furnish(piece, s, kerb + side * 0.2, rng.uniform(0, 6.28), lambda: plants.tree(rng, town), street=True)
                taken.append(s)
        extras = ((0.030, lambda: furniture.sign(rng)), (0.008, lambda: furniture.direction_board(rng)),
                  (0.016, lambda: furniture.bollard(rng)), (0.010, lambda: furniture.advert_column(rng)),
                  (0.010, lambda: vehicles.bicycle(rng)), (0.007, lambda: vehicles.motorcycle(rng, 0.0)),
                  (0.010, lambda: pedestrian(rng)))
        traffic_side = 1 if town.left_hand else -1
        for density, make in extras:
            for _ in range(rng.poisson(density * (piece.length - begin))):
                s = rng.uniform(begin + 1, max(begin + 2, piece.length - 1))
                if all(abs(s - o) > 1.6 for o in taken):
                    taken.append(s)
                    parts = make()
                    movable = parts.rows[0][21] >= 11
                    turn = np.pi if side == traffic_side else 0.0
                    turn = turn if not movable else rng.choice((0.2, 2.9, 1.6, -1.4))
                    wide = 0.9 if len(parts.rows) and parts.rows[0][21] == 5 and len(parts.rows) == 3 and parts.rows[2][13] > 0.9 else 0
                    self._furnish(piece, s, kerb + side * (0.1 + wide), turn, lambda p=parts: p, own=movable)
        self._parked(piece, side, begin, rng)

    def _on_sidewalk(self, piece: Piece, s: float, d: float) -> bool:
        x, y, _ = piece.at(s, d)
        inside = self.clearance(x, y)[0] + piece.sidewalk
        return inside > 0.25

    def _furnish(self, piece, s, d, turn, make, flip=False, own=False, street=False) -> None:
        if self._on_sidewalk(piece, s, d):
            parts = make()
            if street:
                _raise_crown(parts)
            self._stand(piece, s, d, turn, parts, own=own, flip=flip)

    def _parked(self, piece: Piece, side: int, begin: float, rng: np.random.Generator) -> None:
        town = self.town
        if not piece.parking[(side + 1) // 2]:
            return
        s, d = begin + rng.uniform(2, 6), side * (piece.half_width - 1.12)
        ahead = side > 0 if town.left_hand else side < 0
        zebras = [z - (piece.s if piece.role == 'street' else 0) for z in
                  (self.streets.zebras if piece.role == 'street' else piece.zebras)]
        while s < piece.length - 2.5:
            kind = rng.choice(5, p=(0.82, 0.09, 0.03, 0.0, 0.06))
            parts = (vehicles.car, vehicles.van, vehicles.truck, vehicles.bus)[kind](rng, 0.0) if kind < 4 else \
                vehicles.motorcycle(rng, 0.0)
            length = float(np.ptp([r[CENTRE][0] + q * r[HALF][0] for r in parts.rows for q in (-1, 1)]))
            s += length / 2
            near_end = s + length / 2 > piece.length
            if rng.random() < town.car_share and not near_end and all(abs(z - s) > 6 for z in zebras) and self._lane_free(piece, s, d):
                turn = (0.0 if ahead else np.pi) + rng.normal(0, 0.015)
                self._stand(piece, s, d + rng.normal(0, 0.06), turn, parts, own=True, lift=0.0, upright=False)
            s += length / 2 + rng.uniform(0.7, 2.0)

    def _lane_free(self, piece: Piece, s: float, d: float) -> bool:
        """Whether a place in the parking lane is off every other street."""
        x, y, _ = piece.at(s, d)
        for i in np.nonzero(np.hypot(self.middles[:, 0] - x, self.middles[:, 1] - y) < self.radii + 20)[0]:
            other = self.pieces[i]
            if other is piece or (piece.role == 'street' and other.role == 'street' and abs(other.s - piece.s) < 120):
                continue
            along, across = other.locate(x, y)
            if -4 < along < other.length + 4 and abs(across) < other.half_width + 4:
                return False
        return True

    def _waiting(self, piece: Piece, rng: np.random.Generator) -> None:
        """Let cars wait at the junction end of a side street."""
        lane = (0.5 * self.town.lane_m - 0.1) * (-1 if self.town.left_hand else 1)
        s = JUNCTION_RADIUS + 8.0
        for _ in range(rng.integers(0, 3)):
            self._stand(piece, s, lane, np.pi, vehicles.car(rng, self.lit), own=True, lift=0.0, upright=False)
            s += rng.uniform(6, 9)


def _raise_crown(parts: Parts) -> None:
    """Lift a street tree's crown above people and cars, and keep it clear of the lane."""
    crown = [r for r in parts.rows if r[15] == 2]
    low = min(r[CENTRE][2] - r[HALF][2] for r in crown)
    reach = max(np.hypot(*r[CENTRE][:2]) + r[HALF][0] for r in crown)
    for r in crown:
        k = min(1.0, 2.6 / reach)
        r[CENTRE][:2] *= k
        r[HALF] *= k
        r[CENTRE][2] += max(0.0, 2.7 - low)
    trunk = parts.rows[0]
    trunk[HALF][2] += max(0.0, 2.7 - low) / 2
    trunk[CENTRE][2] += max(0.0, 2.7 - low) / 2


def _mirrored(table: np.ndarray) -> np.ndarray:
    """Return an upright table with y negated."""
    out = table.copy()
    out[:, 1] *= -1
    return out


def _overlaps(rect: np.ndarray, others: np.ndarray) -> bool:
    """Whether a rectangle (x, y, yaw, half x, half y) overlaps any of the others [n, 5]."""
    near = others[np.hypot(others[:, 0] - rect[0], others[:, 1] - rect[1])
                  < np.hypot(rect[3], rect[4]) + np.hypot(others[:, 3], others[:, 4])] if len(others) else others
    if not len(near):
        return False
    gap = np.zeros((len(near), 4))
    delta = near[:, :2] - rect[:2]
    relative = near[:, 2] - rect[2]
    c, n = np.abs(np.cos(relative)), np.abs(np.sin(relative))
    for k, (yaw, own, other) in enumerate(((rect[2], rect[3:5], near[:, 3:5]), (near[:, 2], near[:, 3:5], rect[3:5]))):
        u = np.abs(delta[:, 0] * np.cos(yaw) + delta[:, 1] * np.sin(yaw))
        v = np.abs(-delta[:, 0] * np.sin(yaw) + delta[:, 1] * np.cos(yaw))
        own, other = np.broadcast_to(own, (len(near), 2)), np.broadcast_to(other, (len(near), 2))
        gap[:, 2 * k] = u - own[:, 0] - other[:, 0] * c - other[:, 1] * n
        gap[:, 2 * k + 1] = v - own[:, 1] - other[:, 0] * n - other[:, 1] * c
    return bool((gap.max(1) < -0.02).any())

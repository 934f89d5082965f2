"""What lies behind the sidewalk: houses, front gardens, walls, fences, hedges, trees."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semdepth_ros.world import buildings, plants
from semdepth_ros.world.site import Site
from semdepth_ros.world.streets import Piece
from semdepth_ros.world.town import Town

# shares of wall, fence, hedge, guard rail at the sidewalk where no house stands; the rest is open
CLOSURES = {'city': (0.4, 0.25, 0.15, 0.0), 'suburb': (0.2, 0.35, 0.3, 0.0), 'park': (0.05, 0.2, 0.3, 0.12),
            'works': (0.35, 0.45, 0.05, 0.1), 'country': (0.08, 0.15, 0.1, 0.35)}
REPETITIVE = (0.4, 0.5, 0.0, 0.0)       # in a town whose fences repeat themselves, whatever the district
MAKERS = (buildings.wall, buildings.fence, buildings.hedge, buildings.guard_rail)


@dataclass(frozen=True)
class Lot:
    """A house to be: width along the street, depth, distance to the sidewalk, gap to the next [m], storeys, roof."""

    wide: float
    deep: float
    setback: float
    gap: float
    floors: int
    gable: bool


def random_lot(rng: np.random.Generator, town: Town, district: str) -> Lot:
    """Return a lot as it is usual in a district."""
    u = rng.uniform
    if district == 'city':
        floors = int(rng.integers(town.floors[0], town.floors[1] + 1))
        return Lot(u(9, 20), u(10, 14), 0.06, 0.0 if rng.random() < 0.8 else u(4, 12), floors, rng.random() < 0.3)
    if district == 'suburb':
        return Lot(u(8, 13), u(8, 11), u(2.5, 8), u(3, 10), int(rng.integers(1, 4)), rng.random() < 0.85)
    if district == 'works':
        return Lot(u(15, 34), u(14, 20), u(3, 12), u(3, 14), int(rng.integers(1, 3)), rng.random() < 0.3)
    return Lot(16.0, 0.0, 0.0, 0.0, 0, False)


def build_lots(site: Site, piece: Piece, side: int, begin: float, rng: np.random.Generator) -> None:
    """Line one side of a street piece (side 1: left) with lots."""
    s = begin + rng.uniform(0, 2)
    while s < piece.length - 2:
        lot = random_lot(rng, site.town, piece.district)
        wide = min(lot.wide, max(piece.length - s, 8.0))
        built = bool(lot.floors) and _house(site, piece, side, s + wide / 2, lot, wide, rng)
        if not built or lot.setback > 2:
            _front(site, piece, side, s + wide / 2, wide + lot.gap, rng, yard=not built)
        elif lot.gap > 3:
            _front(site, piece, side, s + wide + lot.gap / 2, lot.gap, rng, yard=True)
        s += wide + lot.gap


def close_end(site: Site, piece: Piece, rng: np.random.Generator) -> None:
    """Close a side street with a house or trees, so that no street leads into nothing."""
    x, y, heading = (float(v) for v in piece.at(piece.length + 1.5))
    wide = 2 * piece.half_width + 6
    if site.reserve(x, y, heading + np.pi, 12.0, wide):
        parts = buildings.house(rng, site.town, wide, 12.0, int(rng.integers(2, 5)), False, False)
        site.stand(piece, piece.length + 1.5, 0.0, np.pi, parts)
    for d in np.arange(-14, 15, 4.5):
        _plant(site, piece, piece.length + rng.uniform(2, 7), d + rng.uniform(-1, 1), rng, bush=False)


def _house(site: Site, piece: Piece, side: int, s: float, lot: Lot, wide: float, rng: np.random.Generator) -> bool:
    d = piece.half_width + piece.sidewalk + lot.setback
    if piece.curvature * side < 0:      # outside a bend the middle of a straight front would stick out
        d += abs(piece.curvature) * (wide / 2) ** 2 / 2
    x, y, heading = (float(v) for v in piece.at(s, side * d))
    for width in (wide, 0.75 * wide, 0.55 * wide):
        if width >= 6 and site.reserve(x, y, heading - side * np.pi / 2, lot.deep, width):
            shop = piece.district == 'city' and rng.random() < 0.45 and not site.town.windowless
            parts = buildings.house(rng, site.town, width, lot.deep, lot.floors, lot.gable, shop)
            site.stand(piece, s, side * d, -side * np.pi / 2, parts)
            return True
    return False


def _front(site: Site, piece: Piece, side: int, s: float, length: float, rng: np.random.Generator, yard: bool) -> None:
    """Close the sidewalk off with a wall, fence or hedge, and plant what is behind."""
    edge = piece.half_width + piece.sidewalk
    along = s + np.linspace(-0.5, 0.5, 5) * (length - 0.5)
    points = np.stack(piece.at(along, side * (edge + 0.15))[:2], axis=1).tolist()
    straight = abs(piece.curvature) * length ** 2 / 8 < 0.6
    if straight and all(site.clearance(*p)[0] > -0.02 and not site.inside_house(*p, 0.7) for p in points):
        shares = REPETITIVE if site.town.repetitive else CLOSURES[piece.district]
        choice = rng.choice(5, p=(*shares, 1 - sum(shares)))
        if choice < 4:
            parts = MAKERS[choice](rng, site.town, length - 0.6)
            site.stand(piece, s, side * (edge + 0.15), -side * np.pi / 2, parts)
    plenty = {'park': 2.0, 'country': 1.2}.get(piece.district, 1.0)
    for _ in range(rng.poisson((2.2 + length * 0.12 if yard else 1.2) * plenty)):
        out = rng.uniform(1.8, 22 if yard else 6)
        _plant(site, piece, s + rng.uniform(-0.5, 0.5) * length, side * (edge + out), rng, bush=rng.random() < 0.45)


def _plant(site: Site, piece: Piece, s: float, d: float, rng: np.random.Generator, bush: bool) -> None:
    x, y, _ = (float(v) for v in piece.at(s, d))
    if site.clearance(x, y)[0] > (0.8 if bush else 1.2) and not site.inside_house(x, y, 1.4):
        site.stand(piece, s, d, rng.uniform(0, 2 * np.pi), (plants.bush if bush else plants.tree)(rng, site.town))

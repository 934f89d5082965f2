"""What stands along the kerb: lamps, trees, signs, signals, parked vehicles, people who wait."""
from __future__ import annotations

import numpy as np

from semdepth_ros.world import furniture, heavy_vehicles, plants, vehicles
from semdepth_ros.world.people import pedestrian
from semdepth_ros.world.primitives import Parts
from semdepth_ros.world.shadows import extent
from semdepth_ros.world.site import Site
from semdepth_ros.world.streets import JUNCTION_RADIUS, Junction, Piece

KERB_SIDE, LAMP_SPACING = 0.45, 26.0    # how far behind the kerb things stand; from lamp to lamp [m]
# things a metre, whether they are movable objects of their own, how far behind KERB_SIDE they stand [m], maker
EXTRAS = ((0.030, False, 0.1, furniture.sign), (0.008, False, 1.0, furniture.direction_board),
          (0.016, False, 0.1, furniture.bollard), (0.010, False, 0.1, furniture.cabinet),
          (0.010, True, 0.1, vehicles.bicycle), (0.007, True, 0.1, lambda rng: vehicles.motorcycle(rng, 0.0)),
          (0.014, True, 0.1, pedestrian))


def furnish(site: Site, piece: Piece, side: int, begin: float, lit: float, rng: np.random.Generator) -> None:
    """Furnish one side of a street piece (side 1: left)."""
    taken = _lamps(site, piece, side, begin, lit)
    if rng.random() < site.town.tree_share and piece.sidewalk > 1.9:
        taken += _trees(site, piece, side, begin, taken, rng)
    _extras(site, piece, side, begin, taken, rng)
    if piece.parking[(side + 1) // 2]:
        _parked(site, piece, side, begin, rng)


def wait_at_junction(site: Site, piece: Piece, lit: float, rng: np.random.Generator) -> None:
    """Let cars wait at the junction end of a side street."""
    lane = (0.5 * site.town.lane_m - 0.1) * (-1 if site.town.left_hand else 1)
    s = JUNCTION_RADIUS + 8.0
    for _ in range(rng.integers(0, 3)):
        site.stand(piece, s, lane, np.pi, vehicles.car(rng, lit), own=True, lift=0.0, upright=False)
        s += rng.uniform(6, 9)


def furnish_junction(site: Site, junction: Junction, rng: np.random.Generator) -> None:
    """Place signals or signs at the ends of the streets that meet, and people who wait."""
    left = 1 if site.town.left_hand else -1
    approach = site.streets.pieces[site.streets.piece_index(junction.enters - 1)]
    ends = [(approach, junction.enters - approach.s - 1.2, 1)]
    ends += [(arm, JUNCTION_RADIUS + 1.2, -1) for arm in junction.arms]
    for piece, s, way in ends:
        kerb, towards = left * way * (piece.half_width + KERB_SIDE), np.pi if way > 0 else 2 * np.pi
        if not junction.signalled:
            site.stand(piece, s, kerb, towards, furniture.sign(rng))
            continue
        reach = piece.half_width * 0.55 + KERB_SIDE if rng.random() < 0.6 else 0.0
        for d, arm in ((kerb, reach), (-kerb, 0.0)):
            site.stand(piece, s, d, towards, furniture.traffic_light(arm), flip=d * way < 0)
    for way in (-1, 1):
        for _ in range(rng.integers(0, 3)):
            d = way * (approach.half_width + rng.uniform(0.7, max(0.8, approach.sidewalk - 0.4)))
            site.stand(approach, junction.enters - approach.s - rng.uniform(0.5, 4), d, rng.uniform(0, 2 * np.pi),
                       pedestrian(rng), own=True)


def _lamps(site: Site, piece: Piece, side: int, begin: float, lit: float) -> list[float]:
    kerb = side * (piece.half_width + KERB_SIDE)
    taken = []
    for s in np.arange(begin + (6 if side > 0 else 6 + LAMP_SPACING / 2), piece.length - 1, LAMP_SPACING):
        if site.on_sidewalk(piece, s, kerb):
            site.stand(piece, s, kerb, 0.0, furniture.lamp(site.town, lit), flip=side > 0)
            site.lamps.append(tuple(float(v) for v in piece.at(s, kerb - side * 1.5)[:2]))
            taken.append(s)
    return taken


def _trees(site: Site, piece: Piece, side: int, begin: float, taken: list[float],
           rng: np.random.Generator) -> list[float]:
    planted, d = [], side * (piece.half_width + KERB_SIDE + 0.2)
    for s in np.arange(begin + rng.uniform(1, 6), piece.length - 1, rng.uniform(8, 14)):
        if rng.random() < 0.85 and all(abs(s - o) > 2.0 for o in taken) and site.on_sidewalk(piece, s, d):
            site.stand(piece, s, d, rng.uniform(0, 2 * np.pi), plants.street_tree(rng, site.town))
            planted.append(s)
    return planted


def _extras(site: Site, piece: Piece, side: int, begin: float, taken: list[float], rng: np.random.Generator) -> None:
    with_traffic = side == (1 if site.town.left_hand else -1)
    for density, movable, behind, make in EXTRAS:
        for _ in range(rng.poisson(density * (piece.length - begin))):
            s = rng.uniform(begin + 1, max(begin + 2, piece.length - 1))
            d = side * (piece.half_width + KERB_SIDE + behind)
            parts: Parts = make(rng)
            turn = rng.choice((0.2, 2.9, 1.6, -1.4)) if movable else np.pi if with_traffic else 0.0
            if all(abs(s - o) > 1.6 for o in taken) and site.on_sidewalk(piece, s, d):
                taken.append(s)
                site.stand(piece, s, d, turn, parts, own=movable)


def _parked(site: Site, piece: Piece, side: int, begin: float, rng: np.random.Generator) -> None:
    town, s, d = site.town, begin + rng.uniform(2, 6), side * (piece.half_width - 1.12)
    turn = 0.0 if (side > 0) == town.left_hand else np.pi
    on_route = piece.role == 'street'
    zebras = [z - piece.s for z in site.streets.zebras] if on_route else piece.zebras
    makers = (vehicles.car, vehicles.van, heavy_vehicles.truck, vehicles.motorcycle)
    while s < piece.length - 2.5:
        parts = makers[rng.choice(4, p=(0.82, 0.09, 0.03, 0.06))](rng, 0.0)
        low, high, *_ = extent(parts.table())
        s += (high - low) / 2
        fits = s + (high - low) / 2 < piece.length and all(abs(z - s) > 6 for z in zebras)
        if rng.random() < town.car_share and fits and site.off_other_streets(piece, s, d):
            site.stand(piece, s, d + rng.normal(0, 0.06), turn + rng.normal(0, 0.015), parts, own=True, lift=0.0,
                       upright=False)
        s += (high - low) / 2 + rng.uniform(0.7, 2.0)

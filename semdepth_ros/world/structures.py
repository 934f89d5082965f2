"""What spans the road or closes the view: bridges, sign gantries, central barriers, hills (x along the street)."""
from __future__ import annotations

import numpy as np

from semdepth_ros.world.buildings import CELLAR
from semdepth_ros.world.furniture import BLUE, STEEL, WHITE
from semdepth_ros.world.primitives import Parts
from semdepth_ros.world.site import Site
from semdepth_ros.world.streets import Piece

CONCRETES = ((0.34, 0.33, 0.31), (0.22, 0.21, 0.20), (0.42, 0.40, 0.36), (0.20, 0.11, 0.08), (0.12, 0.16, 0.15))
GREEN = (0.01, 0.16, 0.06)
SLOPES = ((0.26, 0.19, 0.09), (0.10, 0.13, 0.04), (0.05, 0.08, 0.03), (0.17, 0.14, 0.07))
ABUTMENT_M = 7.0
SPAN_END_M = 12.0       # what spans the road keeps this far from the ends of its piece [m]


def bridge(rng: np.random.Generator, half: float, deep: float) -> Parts:
    """Return a bridge over a road that is `half` m wide to either side, sidewalks included; `deep` m along the road."""
    p, colour = Parts(), np.array(CONCRETES[rng.integers(len(CONCRETES))]) * rng.uniform(0.7, 1.2)
    clear, thick = rng.uniform(4.4, 6.2), rng.uniform(0.85, 1.6)
    long, top = 2 * half + 2 * ABUTMENT_M, clear + thick
    p.box((0, 0, clear + thick / 2), (deep, long, thick), colour, 'building', material='plaster', period=9)
    for x in np.linspace(-deep / 2 + 0.6, deep / 2 - 0.6, max(2, int(deep / 2.5))):
        p.box((x, 0, clear - 0.25), (0.45, long, 0.5), colour * 0.7, 'building', material='plaster', period=9)
    open_rail = rng.random() < 0.6
    for side in (-1, 1):
        p.box((side * (deep / 2 - 0.1), 0, top + 0.55), (0.08 if open_rail else 0.25, long, 1.1), colour * 0.6,
              'building', pattern='slats' if open_rail else 'plain', parameters=(0.3, 0, 0, 0), material='plaster',
              period=6)
        p.box((0, side * (half + ABUTMENT_M / 2), (clear - CELLAR) / 2), (deep + 0.8, ABUTMENT_M, clear + CELLAR),
              colour * 0.9, 'building', material='brick' if rng.random() < 0.3 else 'plaster', period=5)
    return p


def gantry(rng: np.random.Generator, half: float, left_hand: bool) -> Parts:
    """Return a portal with signs for the lanes below it; traffic on the own side comes along +x."""
    p, tall = Parts(), rng.uniform(5.6, 6.8)
    for y in (-half - 0.5, half + 0.5):
        p.box((0, y, tall / 2), (0.28, 0.28, tall + 0.4), STEEL, 'pole')
    p.box((0, 0, tall), (0.35, 2 * half + 1.2, 0.45), STEEL, 'pole', pattern='slats', parameters=(0.6, 0, 0, 0))
    own = 1 if left_hand else -1
    for way in (-1, 1):
        for _ in range(rng.integers(0, 3)):
            wide, high = rng.uniform(1.8, 3.6), rng.uniform(1.2, 2.4)
            y = own * -way * rng.uniform(1.5, max(1.6, half - wide / 2))
            colour = (BLUE, GREEN, (0.03, 0.03, 0.03), (0.7, 0.7, 0.68))[rng.integers(4)]
            ink = (0.03, 0.03, 0.03) if colour[0] > 0.5 else WHITE
            p.box((way * 0.25, y, tall + rng.uniform(-0.2, 0.3)), (0.08, wide, high), colour, 'traffic sign',
                  pattern='sign', parameters=(3, *ink), seed=rng.uniform(0, 9))
    return p


def barrier(colour, length: float, steel: bool) -> Parts:
    """Return a piece of central barrier along x: concrete, or a steel rail on posts."""
    p = Parts()
    if steel:
        p.box((0, 0, 0.62), (length, 0.22, 0.30), (0.40, 0.41, 0.42), 'fence', period=3)
        p.box((0, 0, 0.33), (0.12, 0.12, 0.66), (0.33, 0.34, 0.35), 'fence')
    else:
        p.box((0, 0, 0.15), (length, 0.55, 0.30), colour, 'wall', material='plaster', period=5)
        p.box((0, 0, 0.5), (length, 0.26, 1.0), colour, 'wall', material='plaster', period=5)
    return p


def hill(rng: np.random.Generator, long: float, wide: float, tall: float) -> Parts:
    """Return a grassy or wooded hill."""
    p, wooded = Parts(), rng.random() < 0.4
    colour = np.array(SLOPES[rng.integers(len(SLOPES))]) * rng.uniform(0.7, 1.2)
    p.ellipsoid((0, 0, -0.2 * tall), (long, wide, 2.4 * tall), colour * (0.6 if wooded else 1.0),
                'vegetation' if wooded else 'terrain', material='foliage' if wooded else 'grass', period=17)
    return p


def span(site: Site, piece: Piece, rng: np.random.Generator) -> None:
    """Build bridges and gantries over a street piece, as often as its town has them."""
    for over, per_km in zip((_bridge, _gantry), site.town.bridges):
        if piece.length > 2 * SPAN_END_M + 1 and rng.random() < per_km * piece.length / 1000:
            over(site, piece, rng.uniform(SPAN_END_M, piece.length - SPAN_END_M), rng)


def _bridge(site: Site, piece: Piece, s: float, rng: np.random.Generator) -> None:
    half, deep, free = piece.half_width + piece.sidewalk + 0.3, rng.uniform(3.0, 13.0), True
    for side in (-1, 1):
        x, y, heading = (float(v) for v in piece.at(s, side * half))
        free = free and site.reserve(x, y, heading - side * np.pi / 2, ABUTMENT_M, deep + 1)
    if free and abs(piece.curvature) < 1 / 60:
        site.stand(piece, s, 0.0, 0.0, bridge(rng, half, deep), lift=0.0)


def _gantry(site: Site, piece: Piece, s: float, rng: np.random.Generator) -> None:
    site.stand(piece, s, 0.0, 0.0, gantry(rng, piece.half_width, site.town.left_hand), lift=0.0)


def divide(site: Site, piece: Piece) -> None:
    """Divide the two ways of a wide country road by a barrier."""
    if piece.lanes < 2 or piece.district != 'country' or piece.role != 'street':
        return
    parts, step = barrier(CONCRETES[0], 5.15, steel=site.town.lane_m > 3.25), 5.0
    for s in np.arange(step / 2, piece.length - 0.1, step):
        site.stand(piece, s, 0.0, 0.0, parts, lift=0.0, upright=False)


def raise_hills(site: Site, piece: Piece, rng: np.random.Generator) -> None:
    """Raise hills beside a country road, clear of all streets."""
    if piece.district != 'country':
        return
    for side in (-1, 1):
        long, wide, tall = rng.uniform(60, 170), rng.uniform(30, 90), rng.uniform(4, 26)
        s, d = rng.uniform(0, piece.length), side * (piece.half_width + max(long, wide) / 2 + rng.uniform(8, 60))
        x, y, _ = (float(v) for v in piece.at(s, d))
        reach = np.hypot(site.middles[:, 0] - x, site.middles[:, 1] - y) - site.radii
        if rng.random() < 0.5 and reach.min() > max(long, wide) / 2:
            site.stand(piece, s, d, rng.uniform(0, 2 * np.pi), hill(rng, long, wide, tall), lift=0.0)

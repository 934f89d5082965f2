"""Houses, walls and fences (x points to the street, y along it; the front is the plane x = 0)."""
from __future__ import annotations

import numpy as np

from semdepth_ros.world.primitives import Parts, rotation

BOARDS_M, PALES_M = (0.5, 1.4), (0.25, 0.7)     # from one to the next, of fronts and fences that repeat themselves
CELLAR = 2.5    # how far bodies reach below the ground, so that slopes never show their underside


def _wall_colour(rng: np.random.Generator, town) -> tuple[np.ndarray, str]:
    material = 'brick' if rng.random() < town.brick_share else 'plaster'
    table = town.bricks if material == 'brick' else town.plasters
    colour = np.array(table[rng.integers(len(table))]) * rng.uniform(0.62, 1.0) * (1 + rng.normal(0, 0.03, 3))
    if material == 'plaster' and rng.random() < 0.15:
        colour, material = np.full(3, rng.uniform(0.55, 0.82)) * (1, 0.99, 0.96), 'plaster'
    elif material == 'plaster' and rng.random() < 0.15:
        material = 'slabs'      # courses of stone
    return np.clip(colour, 0.02, 0.85), material


def _gable(p: Parts, rng: np.random.Generator, wide: float, deep: float, top: float, colour) -> None:
    rise = rng.uniform(0.28, 0.5) * deep
    slope = np.hypot(rise, deep / 2)
    for side in (-1, 1):
        tilt = rotation(pitch=side * np.arctan2(rise, deep / 2))
        centre = (-deep / 2 + side * deep / 4 * 1.04, 0, top + rise / 2 - 0.02)
        p.box(centre, (slope * 1.10, wide + 0.5, 0.22), colour, 'building', axes=tilt, material='roof', period=6)
    for step in range(4):
        low, high = rise * step / 4, rise * (step + 1) / 4
        inset = deep * (high / rise) * 0.98
        p.box((-deep / 2, 0, top + (low + high) / 2), (deep - inset, wide - 0.1, high - low), colour * 0.9 + 0.03,
              'building', material='plaster', period=6)
    p.box((-deep * 0.62, wide * rng.uniform(-0.3, 0.3), top + rise), (0.6, 0.6, 1.6), (0.20, 0.10, 0.07),
          'building', material='brick', period=4)


def house(rng: np.random.Generator, town, wide: float, deep: float, floors: int, gable: bool, shop: bool) -> Parts:
    """Return a building of `floors` storeys, `wide` m along the street and `deep` m away from it."""
    p, (colour, material) = Parts(), _wall_colour(rng, town)
    storey = rng.uniform(*town.storey_m)
    top = floors * storey + 0.6
    window = (rng.uniform(*town.window_spacing), storey, rng.uniform(*town.window_share), float(rng.integers(4)))
    pattern = ('glass' if rng.random() < 0.45 else 'plain') if town.plain else 'facade'
    if town.plain:
        window, material = (0, 0.55, 0, 0), 'paint'
        colour = np.array((0.03, 0.04, 0.05)) if pattern == 'glass' else colour
    elif town.repetitive:       # a blank wall, or upright boards all alike
        pattern, material = 'slats' if rng.random() < 0.5 else 'plain', 'paint'
        window = (rng.uniform(*BOARDS_M), 0, 0, 0)
    p.box((-deep / 2, 0, (top - CELLAR) / 2), (deep, wide, top + CELLAR), colour, 'building', material=material,
          period={'brick': 2.8, 'slabs': 5.0}.get(material, 8.0), pattern=pattern, parameters=window,
          seed=rng.uniform(0, 99))
    p.box((-deep / 2, 0, 0.0), (deep + 0.10, wide + 0.02, 1.1), colour * 0.55, 'building', material='plaster', period=6)
    trim = np.clip(colour * rng.choice([0.6, 1.35]), 0, 0.8)
    if gable:
        roofs = np.array(town.roofs[rng.integers(len(town.roofs))])
        _gable(p, rng, wide, deep, top, roofs * rng.uniform(0.8, 1.2))
    else:
        p.box((-deep / 2, 0, top + 0.15), (deep + 0.5, wide + 0.06, 0.35), trim, 'building', material='plaster',
              period=6)
        if rng.random() < 0.5:
            p.box((-deep * 0.6, wide * 0.15, top + 1.2), (deep * 0.3, wide * 0.3, 2.4), colour * 0.7, 'building',
                  material='plaster', period=6)
    if shop:
        p.box((0.02, 0, 1.62), (0.12, wide - 1.0, 2.5), GLASSY, 'building', pattern='shop', seed=rng.uniform(0, 99),
              parameters=(rng.uniform(2.2, 3.6), 0, 0, 0))
        p.box((0.10, 0, 3.15), (0.35, wide - 0.6, 0.55), rng.uniform(0.03, 0.5, 3), 'building', material='paint',
              pattern='sign', parameters=(3, *rng.choice([0.04, 0.7], 1).repeat(3)), seed=rng.uniform(0, 9))
        if rng.random() < 0.4:
            p.box((0.75, 0, 2.95), (1.5, wide * 0.7, 0.06), rng.uniform(0.05, 0.5, 3), 'building', material='cloth',
                  axes=rotation(pitch=0.28))
    elif floors > 2 and rng.random() < town.balconies and not town.windowless:
        for floor in range(1, floors):
            for y in (-0.28 * wide, 0.28 * wide):
                p.box((0.55, y, floor * storey + 0.25), (1.1, 2.4, 0.12), trim, 'building', material='plaster')
                p.box((1.05, y, floor * storey + 0.72), (0.06, 2.4, 0.85), trim * 0.6, 'building', material='plaster')
    return p


GLASSY = (0.05, 0.06, 0.07)


def wall(rng: np.random.Generator, town, length: float) -> Parts:
    """Return a free-standing wall along y."""
    p, (colour, material) = Parts(), _wall_colour(rng, town)
    material, tall = 'paint' if town.repetitive else material, rng.uniform(1.0, 2.4)
    p.box((-0.15, 0, (tall - 1) / 2), (0.3, length, tall + 1), colour * 0.9, 'wall', material=material, period=2.8)
    p.box((-0.15, 0, tall + 0.04), (0.42, length, 0.10), colour * 0.7, 'wall', material='plaster', period=5)
    return p


def fence(rng: np.random.Generator, town, length: float) -> Parts:
    """Return a board fence, or rails on posts, along y."""
    p, tall = Parts(), rng.uniform(0.9, 1.8)
    boards = rng.uniform(*PALES_M) if town.repetitive else 0.14
    if town.repetitive or rng.random() < 0.5:
        colour = np.array(((0.22, 0.14, 0.08), (0.45, 0.44, 0.42), (0.10, 0.14, 0.10))[rng.integers(3)])
        p.box((-0.05, 0, tall / 2), (0.05, length, tall), colour, 'fence', material='wood', period=3.2, pattern='slats',
              parameters=(boards, 0, 0, 0))
    else:
        colour = np.array(((0.30, 0.31, 0.32), (0.03, 0.04, 0.03), (0.50, 0.50, 0.50))[rng.integers(3)])
        for z in (tall - 0.08, tall * 0.55, 0.22):
            p.box((-0.05, 0, z), (0.06, length, 0.09), colour, 'fence')
    for y in np.linspace(-length / 2, length / 2, max(2, int(length / 2.2) + 1)):
        p.box((-0.05, y, tall / 2), (0.10, 0.10, tall + 0.12), colour * 0.8, 'fence', material='wood', period=3)
    return p


def hedge(rng: np.random.Generator, town, length: float) -> Parts:
    """Return a trimmed hedge along y."""
    p, tall, colour = Parts(), rng.uniform(0.7, 2.0), np.asarray(town.leaf) * rng.uniform(0.6, 0.95)
    p.box((-0.4, 0, tall / 2 - 0.2), (0.8, length, tall + 0.4), colour, 'vegetation', material='foliage', period=4)
    return p


def guard_rail(rng: np.random.Generator, town, length: float) -> Parts:
    """Return a steel guard rail along y."""
    p = Parts()
    p.box((-0.05, 0, 0.60), (0.08, length, 0.30), (0.40, 0.41, 0.42), 'fence', period=3)
    for y in np.linspace(-length / 2, length / 2, max(2, int(length / 3) + 1)):
        p.box((-0.14, y, 0.33), (0.10, 0.12, 0.75), (0.33, 0.34, 0.35), 'fence')
    return p

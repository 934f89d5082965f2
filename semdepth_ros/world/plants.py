"""Trees, bushes and hedges."""
from __future__ import annotations

import numpy as np

from semdepth_ros.world.primitives import CENTRE, HALF, Parts

BARK = (0.10, 0.075, 0.055)
FREE_HEIGHT_M, REACH_M = 2.7, 2.6       # of a street tree's crown: above the sidewalk, and around its trunk


def _leaf(rng: np.random.Generator, town) -> np.ndarray:
    return np.asarray(town.leaf) * rng.uniform(0.75, 1.3) * (1 + rng.normal(0, 0.06, 3))


def _crown(p: Parts, rng: np.random.Generator, z: float, wide: float, tall: float, colour, lumps: int) -> None:
    p.ellipsoid((0, 0, z), (wide * 0.86, wide * 0.86, tall * 0.9), colour * 0.85, 'vegetation', material='foliage',
                period=5)
    for i in range(lumps):
        angle, level = 2 * np.pi * (i + rng.uniform(-0.3, 0.3)) / lumps, rng.uniform(-0.26, 0.30)
        r, size = wide * rng.uniform(0.24, 0.34), wide * rng.uniform(0.40, 0.56)
        p.ellipsoid((r * np.cos(angle), r * np.sin(angle), z + level * tall), (size, size, size * 0.85),
                    colour * rng.uniform(0.8, 1.25), 'vegetation', material='foliage', period=5, seed=rng.uniform(0, 9))


def broadleaf(rng: np.random.Generator, town) -> Parts:
    """Return a tree with a lumpy crown on a trunk."""
    p, tall = Parts(), rng.uniform(*town.tree_height)
    wide, trunk = tall * rng.uniform(0.5, 0.75), max(2.1, tall * rng.uniform(0.26, 0.36))
    girth = 0.16 + 0.03 * tall
    p.cylinder((0, 0, trunk / 2 + 0.2), (girth, girth, trunk + 1.4), BARK, 'vegetation', material='bark', period=2)
    _crown(p, rng, trunk + (tall - trunk) / 2, wide, tall - trunk, _leaf(rng, town), 7)
    return p


def conifer(rng: np.random.Generator, town) -> Parts:
    """Return a tree that narrows towards the top."""
    p, tall, colour = Parts(), rng.uniform(*town.tree_height) * 1.1, _leaf(rng, town) * 0.6
    p.cylinder((0, 0, 0.8), (0.3, 0.3, 2.2), BARK, 'vegetation', material='bark', period=2)
    for i, (level, width) in enumerate(((0.28, 0.42), (0.45, 0.34), (0.62, 0.25), (0.79, 0.16))):
        p.ellipsoid((0, 0, level * tall), (width * tall, width * tall, 0.40 * tall), colour * (0.85 + 0.1 * i),
                    'vegetation', material='foliage', period=5, seed=i)
    return p


def column_tree(rng: np.random.Generator, town) -> Parts:
    """Return a slim, tall tree (poplar, cypress)."""
    p, tall, colour = Parts(), rng.uniform(*town.tree_height) * 1.1, _leaf(rng, town) * 0.75
    p.cylinder((0, 0, 0.6), (0.3, 0.3, 2.0), BARK, 'vegetation', material='bark', period=2)
    p.ellipsoid((0, 0, 0.52 * tall), (0.26 * tall, 0.26 * tall, 0.94 * tall), colour, 'vegetation', material='foliage',
                period=5)
    return p


def bush(rng: np.random.Generator, town) -> Parts:
    """Return a low clump of leaves."""
    p, colour = Parts(), _leaf(rng, town) * 0.9
    for _ in range(3):
        size = rng.uniform(0.8, 1.7)
        p.ellipsoid((*rng.uniform(-0.6, 0.6, 2), size * 0.36), (size, size, size * 0.9), colour * rng.uniform(0.8, 1.2),
                    'vegetation', material='foliage', period=5, seed=rng.uniform(0, 9))
    return p


def tree(rng: np.random.Generator, town) -> Parts:
    """Return a tree of one of the town's kinds."""
    return (broadleaf, conifer, column_tree)[rng.choice(3, p=town.tree_kinds)](rng, town)


def street_tree(rng: np.random.Generator, town) -> Parts:
    """Return a tree whose crown begins above people and cars and does not reach over the lane."""
    parts = tree(rng, town)
    trunk, *crown = parts.rows
    lift = max(0.0, FREE_HEIGHT_M - min(r[CENTRE][2] - r[HALF][2] for r in crown))
    narrow = min(1.0, REACH_M / max(np.hypot(*r[CENTRE][:2]) + r[HALF][0] for r in crown))
    for row in crown:
        row[CENTRE][:2] *= narrow
        row[HALF] *= narrow
        row[CENTRE][2] += lift
    top = max(crown[0][CENTRE][2], trunk[CENTRE][2] + trunk[HALF][2])
    low = trunk[CENTRE][2] - trunk[HALF][2]
    trunk[CENTRE][2], trunk[HALF][2] = (top + low) / 2, (top - low) / 2
    return parts

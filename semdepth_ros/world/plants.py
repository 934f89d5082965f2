"""Trees, bushes and hedges."""
from __future__ import annotations

import numpy as np

from semdepth_ros.world.primitives import Parts, along

BARKS = ((0.10, 0.075, 0.055), (0.055, 0.045, 0.04), (0.17, 0.15, 0.13), (0.30, 0.28, 0.25))
TWIGS = ((0.11, 0.085, 0.065), (0.07, 0.055, 0.05), (0.16, 0.13, 0.11))
AUTUMN = ((0.30, 0.17, 0.03), (0.26, 0.09, 0.02), (0.20, 0.045, 0.02), (0.34, 0.25, 0.05), (0.14, 0.08, 0.035))
FREE_HEIGHT_M, REACH_M = 2.7, 2.6       # of a street tree's crown: above the sidewalk, and around its trunk
OVERHANG_M = 4.3                        # a crown that reaches over the lane begins here
BARE = {'summer': 0.03, 'autumn': 0.15, 'winter': 0.8}
LEAF_M, TWIG_M = 0.15, 0.10             # size of the holes' grain


def _leaf(rng: np.random.Generator, town) -> np.ndarray:
    colour = np.asarray(town.leaf) * rng.uniform(0.45, 1.2) * (1 + rng.normal(0, 0.12, 3))
    if town.season == 'autumn' and rng.random() < 0.65:
        colour = np.array(AUTUMN[rng.integers(len(AUTUMN))]) * rng.uniform(0.6, 1.2)
    return np.clip(colour, 0.008, 0.6)


def _pick(rng: np.random.Generator, table) -> np.ndarray:
    return np.array(table[rng.integers(len(table))]) * rng.uniform(0.8, 1.2)


def _wood(p: Parts, start, end, girth: float, colour) -> None:
    axes, length = along(start, end)
    p.cylinder((np.asarray(start, float) + end) / 2, (girth, girth, length + girth / 2), colour, 'vegetation',
               axes=axes, material='bark', period=2)


def _leaves(p: Parts, centre, size, colour, holes: float, rng, grain: float = LEAF_M, material='foliage') -> None:
    p.crown(centre, size, np.clip(colour, 0.004, 0.7), 'vegetation', material=material, period=5,
            seed=rng.uniform(0, 9), parameters=(holes, grain, *rng.uniform(0, 64, 2)))


def _crowned(rng, tall: float, low: float, wide: float, bark, colour, holes: float, lumps: int, bare: bool) -> Parts:
    """Return a trunk that forks into boughs, each of which bears a clump of leaves or twigs."""
    p, girth = Parts(), 0.10 + 0.026 * tall
    deep = max(tall - low, 1.5)
    fork, middle = low + 0.12 * deep, low + deep / 2
    lean = rng.normal(0, 0.02, 2) * tall
    _wood(p, (0, 0, -0.5), (*lean * 0.3, fork), girth, bark)
    _wood(p, (*lean * 0.3, fork), (*lean, low + 0.75 * deep), girth * 0.6, bark)
    grain, material = (TWIG_M, 'bark') if bare else (LEAF_M, 'foliage')
    _leaves(p, (*lean, middle), (wide * 0.74, wide * 0.74, deep * 0.8), colour * 0.75, min(holes + 0.12, 0.9), rng,
            grain, material)
    turn = rng.uniform(0, 2 * np.pi)
    for i in range(lumps):
        angle, level = turn + 2 * np.pi * (i + rng.uniform(-0.35, 0.35)) / lumps, rng.uniform(-0.34, 0.36)
        size = wide * rng.uniform(0.30, 0.55)
        r = max(min(wide * rng.uniform(0.22, 0.42), (wide - size) / 2 + 0.05 * wide), 0)
        at = np.array((*(lean + r * np.array((np.cos(angle), np.sin(angle)))), middle + level * deep))
        if bare or i % 2 == 0:
            _wood(p, (*lean * 0.3, fork + 0.1 * deep * (i % 3)), at, girth * rng.uniform(0.2, 0.4), bark)
        _leaves(p, at, (size, size, size * rng.uniform(0.6, 0.95)), colour * rng.uniform(0.75, 1.25),
                np.clip(holes + rng.normal(0, 0.08), 0.05, 0.9), rng, grain, material)
    return p


def broadleaf(rng: np.random.Generator, town, low: float, reach: float) -> Parts:
    """Return a tree with a crown of many clumps on a trunk; without leaves where the season has it so."""
    tall = rng.uniform(*town.tree_height) * rng.uniform(0.8, 1.25)
    low = max(low, tall * rng.uniform(0.16, 0.34))
    tall = max(tall, low + 2.5)
    wide, bark = min(tall * rng.uniform(0.45, 0.85), 2 * reach), _pick(rng, BARKS)
    if rng.random() < BARE[town.season]:
        return _crowned(rng, tall, low, wide, bark * 0.8, _pick(rng, TWIGS), rng.uniform(0.70, 0.84), 6, True)
    return _crowned(rng, tall, low, wide, bark, _leaf(rng, town), rng.uniform(0.28, 0.62), int(rng.integers(4, 8)),
                    False)


def conifer(rng: np.random.Generator, town, low: float, reach: float) -> Parts:
    """Return a tree that narrows towards the top."""
    p, tall = Parts(), max(rng.uniform(*town.tree_height) * rng.uniform(0.9, 1.5), low + 4)
    colour = np.asarray(town.leaf) * rng.uniform(0.25, 0.6) * (0.9, 1.0, 1.3)
    _wood(p, (0, 0, -0.5), (0, 0, tall * 0.8), 0.16 + 0.012 * tall, _pick(rng, BARKS))
    wide, holes = min(tall * rng.uniform(0.3, 0.46), 2 * reach), rng.uniform(0.15, 0.4)
    low = max(low, 0.06 * tall)
    levels = 6
    for i in range(levels):
        share = i / levels
        centre = low + (tall - low) * (share + 0.5 / levels)
        width = wide * (1 - 0.86 * share)
        _leaves(p, (*rng.normal(0, 0.04 * wide, 2), centre), (width, width, (tall - low) / levels * 1.9),
                colour * rng.uniform(0.7, 1.2), holes, rng)
    return p


def column_tree(rng: np.random.Generator, town, low: float, reach: float) -> Parts:
    """Return a slim, tall tree (poplar, cypress)."""
    p, tall = Parts(), max(rng.uniform(*town.tree_height) * 1.2, low + 3)
    colour, low = _leaf(rng, town) * 0.75, max(low, 0.04 * tall)
    _wood(p, (0, 0, -0.5), (0, 0, tall * 0.7), 0.3, _pick(rng, BARKS))
    wide = min(0.24 * tall, 2 * reach)
    for share, width in ((0.3, 1.0), (0.55, 0.9), (0.78, 0.6)):
        _leaves(p, (*rng.normal(0, 0.05 * wide, 2), low + share * (tall - low)),
                (wide * width, wide * width, 0.62 * (tall - low)), colour * rng.uniform(0.8, 1.2), 0.25, rng)
    return p


def bush(rng: np.random.Generator, town) -> Parts:
    """Return a low clump of leaves, or of twigs."""
    p, bare = Parts(), rng.random() < 0.7 * BARE[town.season]
    colour = _pick(rng, TWIGS) if bare else _leaf(rng, town) * 0.9
    holes, big = rng.uniform(0.55, 0.75) if bare else rng.uniform(0.05, 0.45), rng.uniform(0.7, 1.6)
    for _ in range(3):
        size = rng.uniform(0.7, 1.7) * big
        _leaves(p, (*rng.uniform(-0.6, 0.6, 2) * big, size * 0.36), (size, size, size * 0.9),
                colour * rng.uniform(0.7, 1.25), holes, rng, TWIG_M, 'bark' if bare else 'foliage')
    return p


def tree(rng: np.random.Generator, town, low: float = 0.0, reach: float = 9.0) -> Parts:
    """Return a tree of one of the town's kinds.

    :param low: its crown begins no lower [m]; reach: nor does it reach farther from the trunk [m]
    """
    return (broadleaf, conifer, column_tree)[rng.choice(3, p=town.tree_kinds)](rng, town, low, reach)


def street_tree(rng: np.random.Generator, town) -> Parts:
    """Return a tree whose crown begins above people and cars, and above trucks where it reaches over the lane."""
    if rng.random() < town.overhang:
        return broadleaf(rng, town, OVERHANG_M, 6.0)
    return tree(rng, town, FREE_HEIGHT_M, REACH_M)

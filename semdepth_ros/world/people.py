"""Pedestrians and riders (x forward, z up, feet on the ground)."""
from __future__ import annotations

import numpy as np

from semdepth_ros.world.primitives import Parts, rotation
from semdepth_ros.world.vehicles import bicycle, motorcycle

SKINS = ((0.52, 0.33, 0.24), (0.42, 0.26, 0.18), (0.25, 0.14, 0.09), (0.12, 0.065, 0.045))
CLOTHES = ((0.03, 0.03, 0.04), (0.05, 0.07, 0.15), (0.30, 0.04, 0.04), (0.45, 0.44, 0.40), (0.08, 0.14, 0.10),
           (0.20, 0.16, 0.11), (0.40, 0.28, 0.05), (0.10, 0.18, 0.32), (0.25, 0.10, 0.18), (0.12, 0.12, 0.13))
SHOE = (0.03, 0.028, 0.026)
HAIRS = ((0.015, 0.012, 0.01), (0.06, 0.035, 0.02), (0.22, 0.15, 0.07), (0.30, 0.30, 0.29))


def _pick(rng: np.random.Generator, table) -> np.ndarray:
    return np.array(table[rng.integers(len(table))]) * rng.uniform(0.85, 1.15)


def _limb(p: Parts, top, length: float, width: float, pitch: float, colour, cls: str) -> None:
    axes = rotation(pitch=pitch)
    p.cylinder(np.asarray(top) - axes[:, 2] * length / 2, (width, width, length), colour, cls, axes=axes,
               material='cloth', period=1.0)


def pedestrian(rng: np.random.Generator) -> Parts:
    """Return a walking person, 1.15 to 1.9 m tall."""
    p, tall = Parts(), float(np.clip(rng.normal(1.70, 0.12), 1.15, 1.92))
    k = tall / 1.75
    coat, trousers, skin = _pick(rng, CLOTHES), _pick(rng, CLOTHES), _pick(rng, SKINS)
    stride = rng.uniform(0.12, 0.45)
    for side, swing in ((-1, stride), (1, -stride)):
        _limb(p, (0, side * 0.10 * k, 0.92 * k), 0.90 * k / np.cos(stride) * 0.985, 0.16 * k, swing, trousers, 'person')
        _limb(p, (0, side * 0.26 * k, 1.42 * k), 0.62 * k, 0.11 * k, -0.8 * swing, coat, 'person')
    p.ellipsoid((0, 0, 1.17 * k), (0.32 * k, 0.48 * k, 0.72 * k), coat, 'person', material='cloth', period=1.0)
    if rng.random() < 0.35:
        p.cylinder((0, 0, 0.84 * k), (0.34 * k, 0.44 * k, 0.55 * k), coat, 'person', material='cloth', period=1.0)
    p.ellipsoid((0.01, 0, 1.63 * k), (0.20 * k, 0.17 * k, 0.25 * k), skin, 'person')
    p.ellipsoid((-0.025 * k, 0, 1.67 * k), (0.21 * k, 0.19 * k, 0.20 * k), _pick(rng, HAIRS), 'person')
    for side, swing in ((-1, stride), (1, -stride)):
        p.ellipsoid((-0.90 * k * np.sin(swing) + 0.06, side * 0.10 * k, 0.05), (0.29 * k, 0.11, 0.12), SHOE, 'person')
        p.ellipsoid((0.62 * k * np.sin(0.8 * swing), side * 0.26 * k, 0.80 * k), (0.10, 0.09, 0.14), skin, 'person')
    _carried(p, rng, k, coat)
    return p


def _carried(p: Parts, rng: np.random.Generator, k: float, coat) -> None:
    """Append a rucksack, a bag in the hand, an umbrella, a hood, or nothing."""
    what = rng.choice(5, p=(0.22, 0.2, 0.03, 0.15, 0.4))
    if what == 0:
        p.box((-0.22 * k, 0, 1.25 * k), (0.18, 0.30, 0.42), _pick(rng, CLOTHES), 'person', material='cloth', period=1.0)
    elif what == 1:
        p.box((0, rng.choice((-1, 1)) * 0.32 * k, 0.62 * k), (0.34, 0.14, rng.uniform(0.2, 0.4)), _pick(rng, CLOTHES),
              'person', material='cloth', period=1.0)
    elif what == 2:
        p.ellipsoid((0.1, 0, 2.0 * k), (1.1, 1.1, 0.3), _pick(rng, CLOTHES), 'person', material='cloth')
    elif what == 3:
        p.ellipsoid((-0.03, 0, 1.64 * k), (0.26 * k, 0.24 * k, 0.32 * k), coat, 'person', material='cloth', period=1.0)


def _seated(p: Parts, rng: np.random.Generator, hip: float, lean: float, helmet: bool) -> None:
    coat, trousers, skin = _pick(rng, CLOTHES), _pick(rng, CLOTHES), _pick(rng, SKINS)
    torso = rotation(pitch=lean)
    chest = np.array((-0.20, 0, hip)) + torso[:, 2] * 0.32
    p.ellipsoid(chest, (0.28, 0.42, 0.70), coat, 'rider', axes=torso, material='cloth', period=1.0)
    neck = np.array((-0.20, 0, hip)) + torso[:, 2] * 0.78
    p.ellipsoid(neck, (0.21, 0.18, 0.26), skin, 'rider')
    p.ellipsoid(neck + (0, 0, 0.06), (0.27, 0.23, 0.20), _pick(rng, CLOTHES) if helmet else _pick(rng, HAIRS), 'rider')
    for side in (-1, 1):
        shoulder = np.array((-0.20, side * 0.20, hip)) + torso[:, 2] * 0.55
        _limb(p, shoulder, 0.58, 0.10, -0.75 + lean * 0.2, coat, 'rider')
        _limb(p, (-0.18, side * 0.12, hip), 0.50, 0.15, -1.05 - 0.15 * side, trousers, 'rider')
        _limb(p, (0.24, side * 0.12, hip - 0.20 + 0.06 * side), 0.50, 0.12, 0.35, trousers, 'rider')


def cyclist(rng: np.random.Generator) -> Parts:
    """Return a bicycle with its rider."""
    p = bicycle(rng)
    _seated(p, rng, 0.95, rng.uniform(0.15, 0.55), rng.random() < 0.5)
    return p


def motorcyclist(rng: np.random.Generator, lit: float) -> Parts:
    """Return a motorcycle with its rider."""
    p = motorcycle(rng, lit)
    _seated(p, rng, 0.88, rng.uniform(0.1, 0.35), True)
    return p

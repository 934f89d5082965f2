"""Trucks, tank lorries, lorries with trailers and buses (x forward, z up)."""
from __future__ import annotations

import numpy as np

from semdepth_ros.world.primitives import Parts, along, rotation
from semdepth_ros.world.vehicles import CHROME, GLASS, TYRE, lamps, paint_of, plate, wheels

LENGTHWAYS = rotation(pitch=np.pi / 2)
BODIES = ((0.65, 0.65, 0.63), (0.70, 0.70, 0.68), (0.30, 0.31, 0.32), (0.10, 0.18, 0.36), (0.45, 0.30, 0.06),
          (0.12, 0.24, 0.12), (0.36, 0.04, 0.03), (0.05, 0.05, 0.06))
WARNING = ((0.60, 0.03, 0.02), (0.70, 0.50, 0.02))


def _body_colour(rng: np.random.Generator) -> np.ndarray:
    return np.array(BODIES[rng.integers(len(BODIES))]) * rng.uniform(0.7, 1.1)


def _cab(p: Parts, rng: np.random.Generator, a: float, width: float, tall: float, lit: float) -> None:
    """Append a cab whose front is at x = a."""
    paint, w = paint_of(rng), width / 2
    p.box((a - 0.95, 0, (0.55 + tall) / 2), (1.9, width - 0.08, tall - 0.55), paint, 'truck', pattern='panels',
          parameters=(0.5, -0.5, -5, 0))
    p.cylinder((a - 0.9, 0, tall), (1.75, 0.5, width - 0.14), paint, 'truck', axes=rotation(roll=np.pi / 2))
    p.box((a - 0.01, 0, tall * 0.67), (0.06, width - 0.25, 0.85), GLASS, 'truck', pattern='glass')
    p.box((a - 0.72, 0, tall * 0.67), (0.9, width - 0.05, 0.66), GLASS, 'truck', pattern='glass')
    p.box((a, 0, tall * 0.36), (0.07, width * 0.7, 0.5), TYRE, 'truck', material='slabs', period=1.0)
    p.box((a, 0, 0.55), (0.12, width - 0.1, 0.45), paint * 0.4, 'truck')
    lamps(p, rng, a + 0.06, a - 1.8, w, 0.62, 'truck', lit)
    for side in (-1, 1):
        p.box((a - 0.15, side * (w + 0.16), tall * 0.7), (0.12, 0.22, 0.42), TYRE, 'truck')


def _chassis(p: Parts, rng: np.random.Generator, front: float, rear: float, width: float, axles, lit: float) -> None:
    """Append frame, axles, side guards and the rear end of a lorry or trailer."""
    p.box(((front + rear) / 2, 0, 0.82), (front - rear, 0.95, 0.34), TYRE, 'truck')
    wheels(p, axles, width / 2, 0.50, 'truck', CHROME, arch=False)
    for side in (-1, 1):
        p.box(((front + rear) / 2 + 0.6, side * (width / 2 - 0.06), 0.70), ((front - rear) * 0.35, 0.05, 0.32), CHROME,
              'truck', material='slabs', period=2.0)
        p.box((rear + 0.03, side * (width / 2 - 0.35), 0.86), (0.06, 0.5, 0.14), (0.26, 0.008, 0.008), 'truck',
              glow=0.1 + 1.3 * lit + 2.2 * (rng.random() < 0.3))
    p.box((rear + 0.06, 0, 0.55), (0.10, width - 0.1, 0.14), CHROME, 'truck')
    plate(p, rng, rear - 0.005, 0.86, 'truck')


def _writing(p: Parts, rng: np.random.Generator, x: float, z: float, long: float, width: float) -> None:
    """Append a firm's name on both sides."""
    p.box((x, 0, z), (long, width, rng.uniform(0.5, 1.1)), rng.uniform(0.02, 0.7, 3), 'truck', pattern='sign',
          seed=rng.uniform(0, 9), parameters=(2, *rng.choice((0.04, 0.7), 1).repeat(3)))


def _box_load(p: Parts, rng: np.random.Generator, front: float, rear: float, width: float, top: float) -> None:
    body, middle, long = _body_colour(rng), (front + rear) / 2, front - rear
    p.box((middle, 0, (1.0 + top) / 2), (long, width, top - 1.0), body, 'truck', material='slabs',
          period=rng.uniform(5, 9))
    for y in (-0.45, 0.0, 0.45):
        p.box((rear, y, (1.05 + top) / 2), (0.05, 0.04, top - 1.15), body * 0.4, 'truck')
    if rng.random() < 0.6:
        _writing(p, rng, middle, (1 + top) / 2 + 0.2, long * rng.uniform(0.4, 0.8), width + 0.02)


def _tilt_load(p: Parts, rng: np.random.Generator, front: float, rear: float, width: float, top: float) -> None:
    """Append drop sides under a tarpaulin that may be open at the rear, with warning stripes."""
    tarp, middle, long = _body_colour(rng) * 0.9, (front + rear) / 2, front - rear
    for side in (-1, 1):
        p.box((middle, side * (width / 2 - 0.04), 1.25), (long, 0.06, 0.5), CHROME, 'truck', material='slabs', period=3)
        p.box((middle, side * (width / 2 - 0.05), (1.5 + top) / 2), (long, 0.05, top - 1.5), tarp, 'truck',
              material='cloth', period=3)
    p.box((front, 0, (1 + top) / 2), (0.08, width, top - 1), tarp * 0.7, 'truck', material='cloth')
    p.box((middle, 0, 1.02), (long, width, 0.1), TYRE, 'truck')
    p.cylinder((middle, 0, top - 0.02), (width * 0.16, width - 0.02, long), tarp, 'truck', axes=LENGTHWAYS,
               material='cloth')
    p.box((rear, 0, 1.22), (0.06, width, 0.42), CHROME, 'truck')
    if rng.random() < 0.5:
        p.box((rear + 0.3, 0, (1.4 + top) / 2), (0.06, width - 0.1, top - 1.4), tarp * 0.8, 'truck', material='cloth')
    for i in range(10):
        p.box((rear - 0.02, (i - 4.5) * width / 10, 1.08), (0.05, width / 10, 0.16), WARNING[i % 2], 'truck')


def _tank_load(p: Parts, rng: np.random.Generator, front: float, rear: float, width: float, top: float) -> None:
    """Append a tank, its tubes and ladder."""
    colour = np.array((0.62, 0.62, 0.60)) * rng.uniform(0.5, 1.15) * (1 + rng.normal(0, 0.05, 3))
    middle, long, round_ = (front + rear) / 2, front - rear, min(top - 1.15, width)
    z = top - round_ / 2
    p.cylinder((middle, 0, z), (round_, width, long - 0.7), colour, 'truck', axes=LENGTHWAYS, seed=1)
    for end in (front - 0.4, rear + 0.4):
        p.ellipsoid((end, 0, z), (0.8, width * 0.99, round_ * 0.99), colour * 0.95, 'truck')
    for x in np.linspace(rear + 0.6, front - 0.6, 4):
        p.cylinder((x, 0, z), (round_ + 0.03, width + 0.03, 0.06), colour * 0.6, 'truck', axes=LENGTHWAYS)
    _writing(p, rng, middle, z, long * 0.5, width * 1.002)
    for side in (-1, 1):
        p.cylinder((middle, side * (width / 2 - 0.15), 1.15), (0.24, 0.24, long * 0.8), TYRE, 'truck', axes=LENGTHWAYS)
    for y in (-0.2, 0.2):
        axes, tall = along((rear - 0.02, y, 1.0), (rear + 0.05, y, top))
        p.cylinder((rear + 0.02, y, (1.0 + top) / 2), (0.04, 0.04, tall), CHROME, 'truck', axes=axes)
    for z in np.arange(1.1, top, 0.3):
        p.box((rear + 0.01, 0, z), (0.03, 0.4, 0.03), CHROME, 'truck')


def truck(rng: np.random.Generator, lit: float) -> Parts:
    """Return a lorry with a box, a tarpaulin or a tank, in one piece or with a trailer."""
    p, trailer = Parts(), rng.random() < 0.35
    load = (_box_load, _tilt_load, _tank_load)[rng.choice(3, p=(0.45, 0.3, 0.25))]
    length, width = rng.uniform(11.0, 14.0) if trailer else rng.uniform(5.8, 9.0), rng.uniform(2.3, 2.5)
    top, a = rng.uniform(3.0, 3.9) if trailer else rng.uniform(2.6, 3.6), length / 2
    tall = min(rng.uniform(2.4, 3.3), top + 0.3)
    _cab(p, rng, a, width, tall, lit)
    front = a - (2.9 if trailer else 2.1)
    axles = (a - 1.2, a - 3.6, -a + 1.6, -a + 2.8, -a + 4.0)
    axles = axles if trailer else (a - 1.2, -a + 1.5, -a + 2.6)[:2 + (length > 8)]
    _chassis(p, rng, a - 0.6, -a, width, axles, lit)
    load(p, rng, front, -a + 0.02, width, top)
    return p


def bus(rng: np.random.Generator, lit: float) -> Parts:
    """Return a city bus."""
    p = Parts()
    paint = np.array(((0.45, 0.03, 0.03), (0.60, 0.45, 0.05), (0.05, 0.16, 0.40), (0.60, 0.60, 0.58))[rng.integers(4)])
    length, width, height = rng.uniform(10, 12), 2.5, 3.05
    a, w = length / 2, width / 2
    p.box((0, 0, (0.30 + height) / 2), (length, width, height - 0.30), paint, 'bus')
    p.box((-0.1, 0, 1.95), (length - 0.8, width + 0.03, 1.0), GLASS, 'bus', pattern='glass', parameters=(1.6, 0, 0, 0))
    for x in (a, -a):
        p.box((x, 0, 1.85), (0.05, width - 0.25, 1.25), GLASS, 'bus', pattern='glass')
    p.box((a, 0, 2.72), (0.07, width - 0.8, 0.25), (0.02, 0.02, 0.02), 'bus', glow=0.0)
    p.box((0, 0, height + 0.06), (length * 0.6, width * 0.7, 0.16), paint * 0.8, 'bus')
    p.box((-a, 0, 0.92), (0.06, width - 0.9, 0.42), TYRE, 'bus', material='slabs', period=1.2)
    p.box((-a - 0.01, 0, 2.68), (0.05, 0.7, 0.26), (0.02, 0.02, 0.02), 'bus', pattern='sign',
          parameters=(3, 0.70, 0.40, 0.03), seed=2.0)
    plate(p, rng, -a - 0.02, 0.52, 'bus')
    wheels(p, (a - 2.6, -a + 3.0), w, 0.48, 'bus')
    lamps(p, rng, a + 0.01, -a - 0.01, w, 0.75, 'bus', lit)
    return p

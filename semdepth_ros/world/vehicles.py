"""Cars, vans, trucks, buses, motorcycles and bicycles, put together from a few primitives each (x forward, z up)."""
from __future__ import annotations

import numpy as np

from semdepth_ros.world.primitives import Parts, along, rotation

TYRE, GLASS, CHROME = (0.018, 0.018, 0.02), (0.03, 0.04, 0.05), (0.45, 0.45, 0.47)
CAR_PAINTS = ((0.55, 0.56, 0.57), (0.72, 0.72, 0.70), (0.03, 0.03, 0.035), (0.10, 0.11, 0.12), (0.22, 0.23, 0.25),
              (0.30, 0.02, 0.02), (0.03, 0.06, 0.20), (0.05, 0.12, 0.28), (0.28, 0.22, 0.15), (0.04, 0.14, 0.08),
              (0.45, 0.22, 0.03))
_SHARES = np.array((0.17, 0.18, 0.16, 0.15, 0.12, 0.06, 0.05, 0.05, 0.03, 0.02, 0.01))
_SIDEWAYS = rotation(roll=np.pi / 2)


def paint_of(rng: np.random.Generator) -> np.ndarray:
    """Return a vehicle's paint; greys, white and black are the most common."""
    return np.array(CAR_PAINTS[rng.choice(len(CAR_PAINTS), p=_SHARES)]) * rng.uniform(0.8, 1.2)


def _wheel(parts: Parts, x: float, y: float, radius: float, width: float, cls: str) -> None:
    parts.cylinder((x, y, radius), (2 * radius, 2 * radius, width), TYRE, cls, axes=_SIDEWAYS, material='paint')
    parts.cylinder((x, y * 1.012, radius), (1.2 * radius, 1.2 * radius, width), CHROME, cls, axes=_SIDEWAYS)


def _wheels(parts: Parts, xs, half_width: float, radius: float, cls: str) -> None:
    for x in xs:
        for side in (-1, 1):
            _wheel(parts, x, side * (half_width - 0.10), radius, 0.22, cls)


def _lamps(parts: Parts, front: float, rear: float, half_width: float, z: float, cls: str, lit: float) -> None:
    for side in (-1, 1):
        y = side * (half_width - 0.22)
        parts.box((front, y, z), (0.06, 0.34, 0.15), (0.75, 0.75, 0.70), cls, glow=6.0 * lit)
        parts.box((rear, y, z + 0.08), (0.06, 0.30, 0.18), (0.40, 0.01, 0.01), cls, glow=0.15 + 1.3 * lit)


def _plate(parts: Parts, x: float, z: float, cls: str) -> None:
    parts.box((x, 0, z), (0.04, 0.50, 0.12), (0.75, 0.75, 0.70), cls)


def car(rng: np.random.Generator, lit: float) -> Parts:
    """Return a passenger car; its shape, size and paint are drawn from `rng`."""
    p, paint = Parts(), paint_of(rng)
    shape = rng.choice(3, p=[0.4, 0.35, 0.25])     # saloon, hatchback, tall
    length = (4.6, 4.0, 4.6)[shape] * rng.uniform(0.93, 1.06)
    width, height = rng.uniform(1.70, 1.86), (1.44, 1.48, 1.68)[shape] * rng.uniform(0.97, 1.03)
    clear, belt = 0.20, 0.90 + 0.25 * (height - 1.44)
    a, w = length / 2, width / 2
    p.box((0, 0, (clear + 0.62) / 2), (length, width, 0.62 - clear), paint, 'car', seed=1)
    nose, tail = 0.30 * length, (0.20, 0.06, 0.04)[shape] * length
    p.box(((tail - nose) / 2, 0, (belt + 0.55) / 2), (length - nose - tail, width - 0.04, belt - 0.55), paint, 'car')
    hood = rotation(pitch=np.arctan2(belt - 0.74, nose))
    p.box((a - nose / 2, 0, (belt + 0.74) / 2 - 0.13), (nose * 1.03, width - 0.08, 0.24), paint, 'car', axes=hood)
    p.box((-a + tail / 2, 0, belt - 0.19), (tail, width - 0.08, 0.32), paint, 'car')
    front, back = a - nose * 0.98, -a + tail * 1.05
    lean_f, lean_b = (0.75, 0.62, 0.50)[shape], (0.62, 0.26, 0.16)[shape]
    top_f, top_b = front - lean_f, back + lean_b
    p.box(((top_f + top_b) / 2, 0, (belt + height) / 2), (top_f - top_b, width - 0.30, height - belt), GLASS, 'car',
          pattern='glass')
    p.box(((top_f + top_b) / 2, 0, height - 0.03), (top_f - top_b + 0.14, width - 0.24, 0.07), paint, 'car')
    for x0, x1 in ((top_f, front), (top_b, back)):
        slope = np.hypot(x1 - x0, height - belt)
        tilt = rotation(pitch=np.arctan2(height - belt, x1 - x0)) if x1 > x0 else \
            rotation(pitch=np.arctan2(height - belt, x1 - x0) + np.pi)
        inward = np.sign(x0 - x1) * 0.10
        p.box(((x0 + x1) / 2 + inward, 0, (belt + height) / 2 - 0.02), (slope, width - 0.26, 0.10), GLASS, 'car',
              axes=tilt, pattern='glass')
    middle = (top_f + top_b) / 2 + 0.05
    p.box((middle, 0, (belt + height) / 2), (0.09, width - 0.27, height - belt), paint * 0.6, 'car')
    _wheels(p, (a - 0.80, -a + 0.82), w, 0.32, 'car')
    _lamps(p, a + 0.005, -a - 0.005, w, 0.58, 'car', lit)
    p.box((a - 0.01, 0, 0.40), (0.08, width * 0.55, 0.16), TYRE, 'car')
    p.box((-a + 0.01, 0, 0.33), (0.08, width * 0.8, 0.14), TYRE, 'car')
    _plate(p, a + 0.025, 0.42, 'car')
    _plate(p, -a - 0.01, 0.52, 'car')
    for side in (-1, 1):
        p.box((front - 0.35, side * (w + 0.08), belt + 0.05), (0.10, 0.18, 0.13), paint * 0.7, 'car')
    return p


def van(rng: np.random.Generator, lit: float) -> Parts:
    """Return a delivery van (class car, as Cityscapes has it)."""
    p, paint = Parts(), np.array((0.70, 0.70, 0.68)) * rng.uniform(0.4, 1.05)
    length, width, height = rng.uniform(4.9, 5.9), 1.98, rng.uniform(1.95, 2.5)
    a, w = length / 2, width / 2
    p.box((-0.45, 0, (0.25 + height) / 2), (length - 0.9, width, height - 0.25), paint, 'car')
    p.box((a - 0.55, 0, 0.68), (1.10, width - 0.06, 0.86), paint, 'car')
    slope = np.hypot(0.75, height - 1.25)
    p.box((a - 0.72, 0, (height + 1.15) / 2 - 0.03), (slope, width - 0.16, 0.10), GLASS, 'car', pattern='glass',
          axes=rotation(pitch=np.arctan2(height - 1.25, 0.75)))
    p.box((a - 1.35, 0, height * 0.72), (0.75, width + 0.02, 0.55), GLASS, 'car', pattern='glass')
    p.box((-a + 0.0, 0, height * 0.74), (0.06, width * 0.72, 0.50), GLASS, 'car', pattern='glass')
    _wheels(p, (a - 0.85, -a + 0.95), w, 0.34, 'car')
    _lamps(p, a + 0.01, -a - 0.01, w, 0.72, 'car', lit)
    _plate(p, -a - 0.01, 0.55, 'car')
    _plate(p, a + 0.03, 0.45, 'car')
    p.box((-a - 0.01, 0, (0.5 + height) / 2), (0.05, 0.03, height - 0.65), paint * 0.25, 'car')
    for x in (a, -a):
        p.box((x, 0, 0.36), (0.14, width - 0.04, 0.22), TYRE, 'car')
    p.box((-0.9, 0, height * 0.55), (0.03, width + 0.02, height * 0.75), paint * 0.3, 'car')
    return p


def truck(rng: np.random.Generator, lit: float) -> Parts:
    """Return a box truck."""
    p, cab = Parts(), paint_of(rng)
    body = np.array(((0.65, 0.65, 0.63), (0.12, 0.22, 0.40), (0.50, 0.35, 0.08), (0.20, 0.30, 0.16))[rng.integers(4)])
    length, width, height = rng.uniform(6.5, 9.0), 2.40, rng.uniform(2.9, 3.5)
    a, w = length / 2, width / 2
    p.box((-1.0, 0, (1.0 + height) / 2), (length - 2.1, width, height - 1.0), body, 'truck', material='slabs', period=9)
    p.box((-0.3, 0, 0.78), (length - 0.8, 0.9, 0.40), TYRE, 'truck')
    p.box((a - 0.85, 0, 1.40), (1.7, width - 0.1, 2.0), cab, 'truck')
    p.box((a - 0.01, 0, 1.86), (0.06, width - 0.3, 0.80), GLASS, 'truck', pattern='glass')
    p.box((a - 0.70, 0, 1.86), (0.8, width - 0.07, 0.60), GLASS, 'truck', pattern='glass')
    p.box((a, 0, 0.55), (0.12, width - 0.1, 0.40), TYRE, 'truck')
    p.box((-a + 0.02, 0, 0.62), (0.10, width - 0.1, 0.16), CHROME, 'truck')
    for y in (-0.45, 0.0, 0.45):
        p.box((-a + 0.04, y, (1.05 + height) / 2), (0.05, 0.04, height - 1.15), body * 0.4, 'truck')
    _plate(p, -a - 0.01, 0.86, 'truck')
    _wheels(p, (a - 1.2, -a + 1.4, -a + 2.5)[:2 + int(length > 8)], w, 0.48, 'truck')
    _lamps(p, a + 0.04, -a - 0.01, w, 0.75, 'truck', lit)
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
    _plate(p, -a - 0.02, 0.52, 'bus')
    _wheels(p, (a - 2.6, -a + 3.0), w, 0.48, 'bus')
    _lamps(p, a + 0.01, -a - 0.01, w, 0.75, 'bus', lit)
    return p


def _tube(parts: Parts, start, end, width: float, colour, cls: str) -> None:
    axes, length = along(start, end)
    parts.box((np.asarray(start, float) + end) / 2, (width, width, length + width), colour, cls, axes=axes)


def bicycle(rng: np.random.Generator) -> Parts:
    """Return a bicycle without its rider."""
    p, paint = Parts(), paint_of(rng) + 0.03
    for x in (-0.52, 0.52):
        p.cylinder((x, 0, 0.34), (0.68, 0.68, 0.05), TYRE, 'bicycle', axes=_SIDEWAYS)
        p.cylinder((x, 0, 0.34), (0.58, 0.58, 0.054), (0.20, 0.20, 0.20), 'bicycle', axes=_SIDEWAYS)
    seat, crank, head, rear = (-0.22, 0, 0.88), (-0.08, 0, 0.32), (0.36, 0, 0.82), (-0.52, 0, 0.34)
    for start, end in ((crank, seat), (crank, head), (seat, head), (rear, crank), (rear, (-0.18, 0, 0.75)),
                       ((0.52, 0, 0.34), (0.33, 0, 0.98))):
        _tube(p, start, end, 0.045, paint, 'bicycle')
    p.box((0.33, 0, 1.0), (0.05, 0.55, 0.04), TYRE, 'bicycle')
    p.box((-0.24, 0, 0.93), (0.26, 0.14, 0.06), TYRE, 'bicycle')
    return p


def motorcycle(rng: np.random.Generator, lit: float) -> Parts:
    """Return a motorcycle without its rider."""
    p, paint = Parts(), paint_of(rng) + 0.02
    for x in (-0.68, 0.70):
        p.cylinder((x, 0, 0.32), (0.64, 0.64, 0.16), TYRE, 'motorcycle', axes=_SIDEWAYS)
        p.cylinder((x, 0, 0.32), (0.36, 0.36, 0.17), CHROME, 'motorcycle', axes=_SIDEWAYS)
    p.box((0, 0, 0.48), (0.75, 0.34, 0.36), (0.08, 0.08, 0.08), 'motorcycle')
    p.ellipsoid((0.18, 0, 0.82), (0.62, 0.36, 0.34), paint, 'motorcycle')
    p.box((-0.42, 0, 0.78), (0.70, 0.28, 0.12), TYRE, 'motorcycle')
    p.box((-0.70, 0, 0.70), (0.30, 0.24, 0.22), paint, 'motorcycle')
    _tube(p, (0.70, 0, 0.32), (0.42, 0, 0.98), 0.09, CHROME, 'motorcycle')
    p.box((0.42, 0, 1.02), (0.06, 0.70, 0.05), TYRE, 'motorcycle')
    p.box((0.55, 0, 0.86), (0.12, 0.20, 0.20), (0.7, 0.7, 0.66), 'motorcycle', glow=4.0 * lit)
    p.box((-0.86, 0, 0.72), (0.05, 0.18, 0.10), (0.40, 0.01, 0.01), 'motorcycle', glow=0.2 + lit)
    return p

"""Cars, vans, motorcycles and bicycles, put together from a few dozen primitives each (x forward, z up)."""
from __future__ import annotations

import numpy as np

from semdepth_ros.world.primitives import Parts, along, rotation

TYRE, GLASS, CHROME = (0.018, 0.018, 0.02), (0.016, 0.02, 0.023), (0.45, 0.45, 0.47)
SHADE = (0.006, 0.006, 0.006)
CAR_PAINTS = ((0.55, 0.56, 0.57), (0.72, 0.72, 0.70), (0.03, 0.03, 0.035), (0.10, 0.11, 0.12), (0.22, 0.23, 0.25),
              (0.30, 0.02, 0.02), (0.03, 0.06, 0.20), (0.05, 0.12, 0.28), (0.28, 0.22, 0.15), (0.04, 0.14, 0.08),
              (0.45, 0.22, 0.03))
_SHARES = np.array((0.17, 0.18, 0.16, 0.15, 0.12, 0.06, 0.05, 0.05, 0.03, 0.02, 0.01))
SIDEWAYS = rotation(roll=np.pi / 2)


def paint_of(rng: np.random.Generator) -> np.ndarray:
    """Return a vehicle's paint; greys, white and black are the most common."""
    return np.array(CAR_PAINTS[rng.choice(len(CAR_PAINTS), p=_SHARES)]) * rng.uniform(0.8, 1.2)


RIMS = ((0.45, 0.45, 0.47), (0.30, 0.30, 0.31), (0.12, 0.12, 0.13), (0.03, 0.03, 0.03))
PLATES = ((0.75, 0.75, 0.72), (0.75, 0.75, 0.72), (0.72, 0.55, 0.06))
BRAKING = 0.35      # share of vehicles whose brake lights are on


def wheels(parts: Parts, xs, half_width: float, radius: float, cls: str, rim=RIMS[0], arch: bool = True) -> None:
    """Append wheels at xs on both sides, in dark arches where the body has them."""
    for x in xs:
        for side in (-1, 1):
            y = side * (half_width - 0.10)
            if arch:
                parts.cylinder((x, y, radius + 0.02), (2 * radius + 0.16, 2 * radius + 0.16, 0.206), SHADE, cls,
                               axes=SIDEWAYS, material='cloth')
            parts.cylinder((x, y, radius), (2 * radius, 2 * radius, 0.22), TYRE, cls, axes=SIDEWAYS, material='cloth')
            parts.cylinder((x, y * 1.012, radius), (1.25 * radius, 1.25 * radius, 0.22), rim, cls, axes=SIDEWAYS,
                           material='cloth', period=0.6)


def lamps(parts: Parts, rng: np.random.Generator, front: float, rear: float, half_width: float, z: float, cls: str,
          lit: float) -> None:
    """Append head lamps at height z, and tail lamps of one of many shapes, above them; they may brake."""
    wide, tall = ((0.36, 0.16), (0.28, 0.24), (0.14, 0.42), (0.20, 0.30), (0.46, 0.12))[rng.integers(5)]
    brake = 2.2 * (rng.random() < BRAKING)
    for side in (-1, 1):
        parts.box((front, side * (half_width - 0.25), z), (0.06, rng.uniform(0.30, 0.42), 0.15), (0.65, 0.65, 0.62),
                  cls, glow=6.0 * lit, pattern='glass')
        parts.box((rear, side * (half_width - wide / 2 - 0.05), z + 0.20), (0.07, wide, tall), (0.26, 0.008, 0.008),
                  cls, glow=0.1 + 1.3 * lit + brake)


def plate(parts: Parts, rng: np.random.Generator, x: float, z: float, cls: str) -> None:
    """Append a number plate."""
    parts.box((x, 0, z), (0.04, 0.52, 0.12), PLATES[rng.integers(3)], cls, pattern='sign', seed=rng.uniform(0, 9),
              parameters=(2, 0.03, 0.03, 0.04))


# length, height, nose, tail (shares of the length), lean of windscreen and rear window [m], share of all cars
_BODIES = ((4.65, 1.44, 0.29, 0.19, 0.80, 0.62, 0.24), (4.05, 1.48, 0.25, 0.05, 0.66, 0.24, 0.26),
           (4.70, 1.47, 0.28, 0.03, 0.78, 0.30, 0.16), (4.55, 1.68, 0.25, 0.04, 0.60, 0.22, 0.16),
           (3.60, 1.50, 0.21, 0.03, 0.60, 0.20, 0.10), (4.40, 1.63, 0.17, 0.03, 0.85, 0.22, 0.08))


def car(rng: np.random.Generator, lit: float) -> Parts:
    """Return a passenger car (saloon, hatchback, estate, off-roader, small car, people carrier)."""
    p, paint = Parts(), paint_of(rng)
    body = _BODIES[rng.choice(len(_BODIES), p=[b[-1] for b in _BODIES])]
    length, height = body[0] * rng.uniform(0.94, 1.06), body[1] * rng.uniform(0.97, 1.03)
    nose, tail, width = body[2] * length, body[3] * length, rng.uniform(1.66, 1.86)
    clear, belt = 0.19 + 0.12 * (height - 1.44), 0.90 + 0.3 * (height - 1.44) + rng.uniform(-0.03, 0.05)
    a, w, low = length / 2, width / 2, 0.62 + 0.2 * (height - 1.44)
    front, back = a - nose * 0.97, -a + tail * 1.04
    top_f, top_b = front - body[4], back + body[5]
    doors = front - 0.45, (front + back) / 2 - 0.15, back + 0.55        # where their gaps are
    p.box((0, 0, (clear + low) / 2), (length - 0.36, width, low - clear), paint, 'car', pattern='panels',
          parameters=(*doors, 0))
    for end, depth in ((a, 0.62), (-a, 0.5)):
        p.cylinder((end - np.sign(end) * depth / 2, 0, (clear + low) / 2 + 0.06),
                   (depth, low - clear + 0.16, width - 0.03), paint, 'car', axes=SIDEWAYS)
    x = (tail - nose) / 2
    p.box((x, 0, (belt + low) / 2 - 0.04), (length - nose - tail, width - 0.05, belt - low + 0.08), paint, 'car',
          pattern='panels', parameters=(*(np.array(doors) - x), 0))
    hood = rotation(pitch=np.arctan2(belt - 0.74, nose))
    p.box((a - nose / 2 - 0.06, 0, (belt + 0.76) / 2 - 0.14), (nose * 0.94, width - 0.10, 0.24), paint, 'car',
          axes=hood)
    p.box((-a + tail / 2 + 0.03, 0, belt - 0.21), (max(tail - 0.06, 0.1), width - 0.10, 0.36), paint, 'car')
    _greenhouse(p, paint, width, height, belt, (front, top_f, top_b, back))
    wheels(p, (a - 0.80, -a + 0.82), w, rng.uniform(0.30, 0.345), 'car', RIMS[rng.integers(4)])
    lamps(p, rng, a - 0.03, -a + 0.01, w, low + 0.02, 'car', lit)
    p.box((a - 0.02, 0, 0.42), (0.08, width * rng.uniform(0.4, 0.7), rng.uniform(0.14, 0.26)), TYRE, 'car')
    p.box((-a + 0.02, 0, 0.32), (0.08, width * 0.8, 0.14), TYRE, 'car')
    plate(p, rng, a + 0.015, 0.42, 'car')
    plate(p, rng, -a - 0.005, rng.choice((0.52, 0.78)), 'car')
    for side in (-1, 1):
        p.ellipsoid((front - 0.38, side * (w + 0.07), belt + 0.06), (0.16, 0.22, 0.15), paint * 0.7, 'car')
    if rng.random() < 0.2:
        for side in (-1, 1):
            p.box(((top_f + top_b) / 2, side * (w - 0.24), height + 0.03), (top_f - top_b, 0.04, 0.05), TYRE, 'car')
    return p


def _greenhouse(p: Parts, paint, width: float, height: float, belt: float, xs) -> None:
    """Append windows between pillars, and a bent roof: xs are the feet and tops of windscreen and rear window."""
    front, top_f, top_b, back = xs
    middle, tall, w = (top_f + top_b) / 2, height - belt, width / 2
    p.box((middle, 0, belt + tall / 2 - 0.03), (top_f - top_b, width - 0.40, tall - 0.08), GLASS, 'car',
          pattern='glass')
    for side in (-1, 1):
        lean = rotation(roll=side * 0.24)
        p.box((middle, side * (w - 0.135), belt + tall / 2 - 0.02), (top_f - top_b + 0.1, 0.05, tall), GLASS, 'car',
              axes=lean, pattern='glass')
        for x in (middle + 0.08, top_b + 0.1):
            p.box((x, side * (w - 0.128), belt + tall / 2 - 0.02), (0.10, 0.055, tall), paint * 0.6, 'car', axes=lean)
    p.cylinder((middle, 0, height - 0.14), ((top_f - top_b) * 1.22, 0.28, width - 0.34), paint, 'car', axes=SIDEWAYS)
    for x0, x1 in ((top_f, front), (top_b, back)):
        slope = np.hypot(x1 - x0, tall)
        tilt = rotation(pitch=np.arctan2(tall, x1 - x0) + (0 if x1 > x0 else np.pi))
        inward = np.sign(x0 - x1) * 0.10
        centre = ((x0 + x1) / 2 + inward, 0, belt + tall / 2 - 0.03)
        p.box(centre, (slope, width - 0.24, 0.08), paint * 0.8, 'car', axes=tilt)
        p.box(centre, (slope - 0.04, width - 0.42, 0.11), GLASS, 'car', axes=tilt, pattern='glass')


def van(rng: np.random.Generator, lit: float) -> Parts:
    """Return a delivery van or minibus (class car, as Cityscapes has it)."""
    p = Parts()
    paint = np.array((0.70, 0.70, 0.68)) * rng.uniform(0.5, 1.05) if rng.random() < 0.6 else paint_of(rng)
    length, width, height = rng.uniform(4.6, 5.9), rng.uniform(1.86, 2.05), rng.uniform(1.9, 2.6)
    a, w = length / 2, width / 2
    p.box((-0.45, 0, (0.25 + height) / 2 - 0.05), (length - 0.9, width, height - 0.35), paint, 'car', pattern='panels',
          parameters=(a - 1.2, 0.1, -a + 1.6, 0))
    p.cylinder((-0.45, 0, height - 0.16), (length - 0.95, 0.32, width - 0.04), paint, 'car', axes=SIDEWAYS)
    p.box((a - 0.55, 0, 0.68), (1.06, width - 0.06, 0.86), paint, 'car')
    slope = np.hypot(0.75, height - 1.25)
    p.box((a - 0.72, 0, (height + 1.15) / 2 - 0.05), (slope, width - 0.16, 0.10), GLASS, 'car', pattern='glass',
          axes=rotation(pitch=np.arctan2(height - 1.25, 0.75)))
    for x, wide in ((a - 1.35, 0.75), *(((-0.3, 1.2), (-a + 0.9, 1.1)) if rng.random() < 0.4 else ())):
        p.box((x, 0, height * 0.72), (wide, width + 0.02, 0.50), GLASS, 'car', pattern='glass')
    if rng.random() < 0.7:
        p.box((-a + 0.0, 0, height * 0.72), (0.06, width * 0.76, 0.48), GLASS, 'car', pattern='glass')
    wheels(p, (a - 0.85, -a + 0.95), w, 0.34, 'car', RIMS[rng.integers(4)])
    lamps(p, rng, a + 0.01, -a - 0.01, w, 0.76, 'car', lit)
    plate(p, rng, -a - 0.01, 0.55, 'car')
    plate(p, rng, a + 0.03, 0.45, 'car')
    p.box((-a - 0.01, 0, (0.5 + height) / 2), (0.05, 0.03, height - 0.65), paint * 0.25, 'car')
    for x in (a, -a):
        p.box((x, 0, 0.36), (0.14, width - 0.04, 0.22), TYRE, 'car')
    if rng.random() < 0.35:
        p.box((-1.0, 0, height * 0.6), (1.8, width + 0.02, 0.5), rng.uniform(0.02, 0.6, 3), 'car', pattern='sign',
              seed=rng.uniform(0, 9), parameters=(3, *rng.choice((0.04, 0.7), 1).repeat(3)))
    return p


def _tube(parts: Parts, start, end, width: float, colour, cls: str) -> None:
    axes, length = along(start, end)
    parts.box((np.asarray(start, float) + end) / 2, (width, width, length + width), colour, cls, axes=axes)


def bicycle(rng: np.random.Generator) -> Parts:
    """Return a bicycle without its rider."""
    p, paint = Parts(), paint_of(rng) + 0.03
    for x in (-0.52, 0.52):
        p.cylinder((x, 0, 0.34), (0.68, 0.68, 0.05), TYRE, 'bicycle', axes=SIDEWAYS)
        p.cylinder((x, 0, 0.34), (0.58, 0.58, 0.054), (0.20, 0.20, 0.20), 'bicycle', axes=SIDEWAYS)
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
        p.cylinder((x, 0, 0.32), (0.64, 0.64, 0.16), TYRE, 'motorcycle', axes=SIDEWAYS)
        p.cylinder((x, 0, 0.32), (0.36, 0.36, 0.17), CHROME, 'motorcycle', axes=SIDEWAYS)
    p.box((0, 0, 0.48), (0.75, 0.34, 0.36), (0.08, 0.08, 0.08), 'motorcycle')
    p.ellipsoid((0.18, 0, 0.82), (0.62, 0.36, 0.34), paint, 'motorcycle')
    p.box((-0.42, 0, 0.78), (0.70, 0.28, 0.12), TYRE, 'motorcycle')
    p.box((-0.70, 0, 0.70), (0.30, 0.24, 0.22), paint, 'motorcycle')
    _tube(p, (0.70, 0, 0.32), (0.42, 0, 0.98), 0.09, CHROME, 'motorcycle')
    p.box((0.42, 0, 1.02), (0.06, 0.70, 0.05), TYRE, 'motorcycle')
    p.box((0.55, 0, 0.86), (0.12, 0.20, 0.20), (0.7, 0.7, 0.66), 'motorcycle', glow=4.0 * lit)
    p.box((-0.86, 0, 0.72), (0.05, 0.18, 0.10), (0.40, 0.01, 0.01), 'motorcycle', glow=0.2 + lit)
    return p

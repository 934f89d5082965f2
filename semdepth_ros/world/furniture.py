"""What stands along a street: lamps, signs, traffic lights, bollards, cabinets (x faces the traffic it serves)."""
from __future__ import annotations

import numpy as np

from semdepth_ros.world.primitives import Parts, rotation

STEEL, DARK = (0.28, 0.29, 0.30), (0.04, 0.045, 0.045)
WHITE, RED, BLUE, YELLOW = (0.78, 0.78, 0.76), (0.50, 0.02, 0.02), (0.02, 0.10, 0.42), (0.65, 0.45, 0.02)

# face, symbol, size [m], shape (1 round, 0 square)
SIGNS = ((WHITE, RED, 0.70, 1), (WHITE, RED, 0.70, 1), (BLUE, WHITE, 0.66, 1), (YELLOW, DARK, 0.66, 0),
         (BLUE, WHITE, 0.64, 0), (RED, WHITE, 0.70, 1))


def lamp(town, lit: float) -> Parts:
    """Return a street lamp whose arm reaches along +y."""
    p, tall = Parts(), town.lamp_height
    colour = town.pole_colour
    p.cylinder((0, 0, tall / 2), (0.16, 0.16, tall), colour, 'pole', period=2)
    p.cylinder((0, 0, 0.4), (0.26, 0.26, 0.9), colour, 'pole', period=2)
    p.box((0, 0.8, tall), (0.10, 1.8, 0.09), colour, 'pole')
    p.box((0, 1.5, tall - 0.06), (0.22, 0.7, 0.12), (0.6, 0.6, 0.55), 'pole', glow=8.0 * lit)
    return p


def post(tall: float, width: float = 0.09, colour=STEEL) -> Parts:
    """Return a bare pole."""
    p = Parts()
    p.cylinder((0, 0, tall / 2), (width, width, tall), colour, 'pole', period=2)
    return p


def sign(rng: np.random.Generator) -> Parts:
    """Return a traffic sign on its pole, facing +x: a disc, square, diamond or triangle, or two of them."""
    tall = rng.uniform(2.2, 3.2)
    p = post(tall + 0.25, rng.uniform(0.06, 0.10))
    for z in (tall, tall - 0.85)[:1 + (rng.random() < 0.2)]:
        _face(p, rng, z, rng.uniform(0.85, 1.25))
    if rng.random() < 0.3:
        p.box((0.06, 0, tall - 0.62), (0.03, 0.55, 0.30), WHITE, 'traffic sign', pattern='sign', parameters=(2, *DARK))
    return p


def _face(p: Parts, rng: np.random.Generator, z: float, scale: float) -> None:
    kind = int(rng.integers(len(SIGNS) + 3))
    if kind >= len(SIGNS) + 1:
        return _triangle(p, z, 0.9 * scale, -1 if kind == len(SIGNS) + 2 and rng.random() < 0.4 else 1)
    if kind == len(SIGNS):
        return p.box((0.06, 0, z), (0.03, 0.62 * scale, 0.62 * scale), YELLOW, 'traffic sign', pattern='sign',
                     axes=rotation(roll=np.pi / 4), parameters=(0, *DARK), seed=kind)
    colour, inner, size, shape = SIGNS[kind]
    size *= scale
    params = (shape, *inner)
    if shape:
        axes = np.array([[0, 0, 1.0], [1, 0, 0], [0, 1, 0]])
        p.cylinder((0.06, 0, z), (size, size, 0.03), colour, 'traffic sign', axes=axes, pattern='sign',
                   parameters=params, seed=kind)
    else:
        p.box((0.06, 0, z), (0.03, size, size * rng.choice((1.0, 1.0, 1.4))), colour, 'traffic sign', pattern='sign',
              parameters=params, seed=kind)


def _triangle(p: Parts, z: float, side: float, way: int) -> None:
    """Append a warning sign of strips; way -1 stands it on its tip."""
    rows, tall = 8, 0.866 * side
    for i in range(rows):
        wide, level = side * (1 - (i + 0.5) / rows), z + way * tall * ((i + 0.5) / rows - 0.4)
        p.box((0.06, 0, level), (0.03, wide, tall / rows), RED, 'traffic sign')
        if 0 < i < rows - 2:
            p.box((0.065, 0, level), (0.03, wide - 0.24 * side, tall / rows), WHITE, 'traffic sign')
    p.box((0.07, 0, z - way * 0.08 * side), (0.03, 0.07 * side, 0.26 * side), DARK, 'traffic sign')


def direction_board(rng: np.random.Generator) -> Parts:
    """Return a large direction sign on two posts, facing +x."""
    p, wide, tall = Parts(), rng.uniform(2.0, 3.2), rng.uniform(1.0, 1.7)
    for y in (-wide / 3, wide / 3):
        p.cylinder((0, y, 1.7), (0.10, 0.10, 3.4), STEEL, 'pole', period=2)
    colour = (BLUE, (0.02, 0.20, 0.08), (0.70, 0.55, 0.03))[rng.integers(3)]
    p.box((0.08, 0, 2.4 + tall / 2), (0.05, wide, tall), colour, 'traffic sign', pattern='sign', parameters=(3, *WHITE),
          seed=rng.uniform(0, 9))
    return p


def _head(p: Parts, x: float, y: float, z: float) -> None:
    p.box((x, y, z), (0.22, 0.36, 1.02), DARK, 'traffic light')
    p.box((x - 0.04, y, z), (0.03, 0.62, 1.28), (0.02, 0.02, 0.02), 'traffic light')
    for level, colour in ((0.31, (0.5, 0.02, 0.01)), (0.0, (0.45, 0.28, 0.01)), (-0.31, (0.02, 0.40, 0.18))):
        p.box((x + 0.12, y, z + level), (0.03, 0.23, 0.23), colour, 'traffic light', pattern='signal',
              parameters=(level, 0, 0, 0))


def traffic_light(reach: float) -> Parts:
    """Return a traffic light facing +x; with reach > 0 [m] a second head hangs over the road (towards +y)."""
    p = post(3.3 if reach <= 0 else 5.9, 0.14, DARK)
    _head(p, 0.10, 0.05, 2.75)
    if reach > 0:
        p.box((0, reach / 2, 5.75), (0.11, reach, 0.11), DARK, 'pole')
        _head(p, 0.10, reach - 0.2, 5.4)
    return p


def bollard(rng: np.random.Generator) -> Parts:
    """Return a low post."""
    p = Parts()
    p.cylinder((0, 0, 0.45), (0.14, 0.14, 0.9), DARK, 'pole', period=2)
    p.cylinder((0, 0, 0.78), (0.15, 0.15, 0.10), WHITE, 'pole', period=2)
    return p


def cabinet(rng: np.random.Generator) -> Parts:
    """Return a cable cabinet or a bin (class building, as the nearest to it)."""
    p = Parts()
    colour = ((0.10, 0.14, 0.10), (0.30, 0.30, 0.28), (0.20, 0.16, 0.10))[rng.integers(3)]
    p.box((0, 0, 0.55), (0.45, rng.uniform(0.5, 1.3), 1.1), colour, 'building', material='plaster', period=4)
    return p

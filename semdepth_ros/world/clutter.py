"""Things that cannot be: objects that float over the street, looks drawn at random; with exact truth all the same.

What a network learns from them is to see distance where nothing has its usual look (domain randomisation, Tobin et al.
2017; form ours).
"""
from __future__ import annotations

import numpy as np

from semdepth_ros.classes import TRAIN_ID, UNLABELLED
from semdepth_ros.world.primitives import (BOX, CLASS, COLOUR, KIND, MATERIAL_ID, PATTERN, PATTERNS, PERIOD, Parts,
                                             rotation)
from semdepth_ros.world.site import Site
from semdepth_ros.world.streets import Piece
from semdepth_ros.world.textures import MATERIALS

FLOATERS_PER_M = 0.10
CLEAR_M, ABOVE_M = 2.2, 3.6     # they keep this far from the lanes' middles, or above this height


def floaters(site: Site, piece: Piece, rng: np.random.Generator) -> None:
    """Hang objects of any shape beside and above a street piece; they have no class."""
    lane = 0.5 * site.town.lane_m
    for _ in range(rng.poisson(FLOATERS_PER_M * piece.length)):
        size, d = rng.uniform(0.2, 2.6, 3), rng.uniform(-1, 1) * (piece.half_width + 6)
        reach, z = float(np.linalg.norm(size)) / 2, rng.uniform(0.3, 6.5)
        if abs(abs(d) - lane) > reach + CLEAR_M - lane / 2 or z - reach > ABOVE_M:
            parts = Parts()
            parts.add(int(rng.integers(3)), (0, 0, 0), size, rng.uniform(0.02, 0.8, 3), 'building',
                      material=str(rng.choice(MATERIALS)), period=rng.uniform(0.5, 6),
                      axes=rotation(*rng.uniform(-np.pi, np.pi, 3)), seed=rng.uniform(0, 9),
                      pattern=str(rng.choice(('plain', 'sign', 'slats'))),
                      parameters=(rng.uniform(0.1, 2), *rng.uniform(0, 0.8, 3)))
            parts.rows[0][CLASS] = UNLABELLED
            site.stand(piece, rng.uniform(0, piece.length), d, rng.uniform(0, 2 * np.pi), parts, lift=z)


def repainted(table: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a table of which half the rows have a colour and a texture of any kind; signs and lights keep theirs."""
    out, n = table.copy(), len(table)
    free = np.isin(table[:, PATTERN], (PATTERNS['plain'], PATTERNS['facade'], PATTERNS['panels']))
    chosen = free & (table[:, CLASS] != TRAIN_ID['traffic light']) & (rng.random(n) < 0.5)
    out[chosen, COLOUR] = rng.uniform(0.01, 0.8, (n, 3))[chosen]
    boxes = chosen & (table[:, KIND] == BOX)
    out[boxes, MATERIAL_ID] = rng.integers(len(MATERIALS), size=n)[boxes]
    out[boxes, PERIOD] = rng.uniform(0.6, 9.0, n)[boxes]
    return out

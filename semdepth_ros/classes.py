"""The 19 Cityscapes training classes, by train id."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

UNLABELLED = 255


@dataclass(frozen=True)
class SemanticClass:
    """One class: its name, display colour (r, g, b), train id, and what the geometry may assume of it."""

    name: str
    colour: tuple[int, int, int]
    train_id: int
    movable: bool = False
    ground: bool = False


_TABLE = (
    ('road', (128, 64, 128), 'ground'), ('sidewalk', (244, 35, 232), 'ground'), ('building', (70, 70, 70), ''),
    ('wall', (102, 102, 156), ''), ('fence', (190, 153, 153), ''), ('pole', (153, 153, 153), ''),
    ('traffic light', (250, 170, 30), ''), ('traffic sign', (220, 220, 0), ''), ('vegetation', (107, 142, 35), ''),
    ('terrain', (152, 251, 152), 'ground'), ('sky', (70, 130, 180), ''), ('person', (220, 20, 60), 'movable'),
    ('rider', (255, 0, 0), 'movable'), ('car', (0, 0, 142), 'movable'), ('truck', (0, 0, 70), 'movable'),
    ('bus', (0, 60, 100), 'movable'), ('train', (0, 80, 100), 'movable'), ('motorcycle', (0, 0, 230), 'movable'),
    ('bicycle', (119, 11, 32), 'movable'),
)
CITYSCAPES = tuple(SemanticClass(name, colour, i, kind == 'movable', kind == 'ground')
                   for i, (name, colour, kind) in enumerate(_TABLE))
TRAIN_ID = {c.name: c.train_id for c in CITYSCAPES}
SKY = TRAIN_ID['sky']
MOVABLE = tuple(c.train_id for c in CITYSCAPES if c.movable)
GROUND = tuple(c.train_id for c in CITYSCAPES if c.ground)
THIN = tuple(TRAIN_ID[name] for name in ('pole', 'traffic light', 'traffic sign'))


def untaught(count: int) -> tuple[SemanticClass, ...]:
    """Return what the scores of a network stand for that nothing taught classes: none of those known, sky above all."""
    return tuple(SemanticClass(f'untaught {i}', (0, 0, 0), UNLABELLED - count + i) for i in range(count))


def palette(classes: tuple[SemanticClass, ...] = CITYSCAPES) -> np.ndarray:
    """Return the display colour of every uint8 label, uint8 [256, 3]; labels without a class are black."""
    colours = np.zeros((256, 3), dtype=np.uint8)
    for c in classes:
        colours[c.train_id] = c.colour
    return colours


def expect_train_ids(labels: np.ndarray) -> None:
    """Raise ValueError where labels, uint8 of any shape, hold anything but train ids and UNLABELLED."""
    strange = labels[(labels >= len(CITYSCAPES)) & (labels != UNLABELLED)]
    if strange.size:
        raise ValueError(f'label is {strange[0]}, expected train ids 0 to {len(CITYSCAPES) - 1}, or {UNLABELLED} for '
                         f'unlabelled')

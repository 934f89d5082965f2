"""True labels made wrong the way a segmentation network is wrong, at known rates."""
from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from semdepth_ros.classes import CITYSCAPES, TRAIN_ID, UNLABELLED

# what a component of a class is taken for; road and sky are never taken for anything else as a whole
CONFUSED_WITH = {TRAIN_ID[name]: tuple(TRAIN_ID[other] for other in others) for name, others in {
    'sidewalk': ('road', 'terrain'), 'building': ('wall', 'fence'), 'wall': ('building', 'fence'),
    'fence': ('wall', 'vegetation'), 'pole': ('building', 'traffic sign'), 'traffic light': ('traffic sign', 'pole'),
    'traffic sign': ('building', 'traffic light'), 'vegetation': ('terrain', 'building'),
    'terrain': ('vegetation', 'sidewalk'), 'person': ('rider', 'pole'), 'rider': ('person', 'bicycle'),
    'car': ('truck', 'bus'), 'truck': ('car', 'bus'), 'bus': ('truck', 'train'), 'train': ('bus', 'truck'),
    'motorcycle': ('bicycle', 'car'), 'bicycle': ('motorcycle', 'rider')}.items()}
OBJECTS = {c.train_id for c in CITYSCAPES if c.movable or c.name in ('pole', 'traffic light', 'traffic sign')}


class NoisyLabels(NamedTuple):
    """Wrong labels, uint8 [H, W], and a network's confidence in them, uint8 [H, W] (255 = certain)."""

    labels: np.ndarray
    confidence: np.ndarray


class Region(NamedTuple):
    """Pixels that share a fate: their class, the rows and columns they fill, the mask in these, what draws the fate."""

    train_id: int
    box: tuple[slice, slice]
    mask: np.ndarray
    rng: np.random.Generator


def corrupt_labels(labels: np.ndarray, flip_rate: float = 0.08, missing_rate: float = 0.08, border_rate: float = 0.7,
                   border_px: tuple[int, int] = (3, 9), smallest_px: int = 12, seed: int = 0,
                   objects: np.ndarray | None = None) -> NoisyLabels:
    """Return labels with errors at known rates.

    Every region draws its fate by itself: it gets a class it is easily taken for (flip_rate; not road and sky), or, if
    it is an object, is missing (missing_rate), its pixels going to what is beside it. A share border_rate of all
    regions of at least smallest_px pixels (road and sky again left out) also grows or shrinks by a whole number of
    pixels drawn from border_px; where both neighbours of a border do, it moves twice.
    Confidence is lower, but not always, where a region is wrong, and near borders.

    Without `objects` regions are connected components of at least smallest_px pixels, whose fates are new in every
    image. With them a region is what one object shows of itself, however little, and its fate is a function of seed,
    class and object alone: in every frame of a drive the same object is taken for the same wrong class, or is missing,
    and its border is off by as much to the same side.

    :param labels: uint8 [H, W]; UNLABELLED stays as it is
    :param objects: number of what each pixel belongs to, int64 [H, W], not negative: see `persistent_objects`
    :raises ValueError: a rate outside 0..1, rates that add up to more than 1, an empty range of pixels
    """
    for name, rate in (('flip_rate', flip_rate), ('missing_rate', missing_rate), ('border_rate', border_rate)):
        if not 0 <= rate <= 1:
            raise ValueError(f'{name} is {rate}, expected 0 to 1')
    if flip_rate + missing_rate > 1:
        raise ValueError(f'flip_rate {flip_rate} and missing_rate {missing_rate} add up to more than 1')
    if not 0 < border_px[0] <= border_px[1]:
        raise ValueError(f'border_px is {border_px}, expected two growing positive numbers')
    drawn = np.random.default_rng([seed, 41])
    noisy, wrong = labels.copy(), np.zeros(labels.shape, bool)
    sure = None if objects is None else np.ones(labels.shape, np.float32)
    regions = _components(labels, smallest_px, drawn) if objects is None else _objects(labels, objects, seed)
    for cls, box, mask, rng in regions:
        fate, moves, grows, pick = rng.random(4)
        radius = int(rng.integers(border_px[0], border_px[1] + 1))
        if sure is not None:
            lost = cls in CONFUSED_WITH and fate < flip_rate or cls in OBJECTS and fate < flip_rate + missing_rate
            sure[box][mask] = _certainty(rng, float(lost))
        window = _window(box, radius + 1, labels.shape)
        inside = np.zeros(labels.shape, np.uint8)[window]
        inside[tuple(slice(b.start - w.start, b.stop - w.start) for b, w in zip(box, window))] = mask
        target, bad = noisy[window], wrong[window]
        if cls in CONFUSED_WITH and fate < flip_rate:
            cls = CONFUSED_WITH[cls][int(pick * len(CONFUSED_WITH[cls]))]
            target[inside > 0], bad[inside > 0] = cls, True
        elif cls in OBJECTS and fate < flip_rate + missing_rate:
            bad[inside > 0] = True
            _give_away(target, inside, inside > 0, labels[window])
            continue
        if moves < border_rate and cls in CONFUSED_WITH and mask.sum() >= smallest_px:
            _move_border(target, inside, cls, radius if grows < 0.5 else -radius, labels[window])
    noisy[labels == UNLABELLED] = UNLABELLED
    return NoisyLabels(noisy, _confidence(noisy, sure if sure is not None else _component_certainty(noisy, wrong, drawn)))


def _objects(labels: np.ndarray, objects: np.ndarray, seed: int) -> Iterator[Region]:
    """Yield what every object shows of itself, by class and number, with a generator of the object's own."""
    keys = labels.astype(np.int64) << 48 | objects
    unique, region = np.unique(keys, return_inverse=True)
    region = region.reshape(labels.shape)
    order = np.argsort(region, axis=None, kind='stable')
    first = np.searchsorted(region.reshape(-1)[order], np.arange(len(unique) + 1))
    rows, columns = np.divmod(order, labels.shape[1])
    for n, key in enumerate(unique.tolist()):
        train_id, number = key >> 48, key & (1 << 48) - 1
        if train_id == UNLABELLED:
            continue
        r, c = rows[first[n]:first[n + 1]], columns[first[n]:first[n + 1]]
        box = slice(int(r[0]), int(r[-1]) + 1), slice(int(c.min()), int(c.max()) + 1)
        yield Region(train_id, box, region[box] == n, np.random.default_rng([seed, 41, train_id, number]))


def _components(labels: np.ndarray, smallest_px: int, rng: np.random.Generator) -> Iterator[Region]:
    """Yield every connected component; all draw from one generator."""
    for cls in np.unique(labels):
        if cls == UNLABELLED:
            continue
        count, numbers, stats, _ = cv2.connectedComponentsWithStats((labels == cls).astype(np.uint8), connectivity=8)
        for number in range(1, count):
            left, top, width, height, area = stats[number]
            if area >= smallest_px:
                box = slice(top, top + height), slice(left, left + width)
                yield Region(int(cls), box, numbers[box] == number, rng)


def _window(box: tuple[slice, slice], margin: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    return tuple(slice(max(b.start - margin, 0), min(b.stop + margin, n)) for b, n in zip(box, shape))


def _give_away(target: np.ndarray, inside: np.ndarray, lost: np.ndarray, labels: np.ndarray) -> None:
    """Give lost pixels the label of the nearest pixel outside the component."""
    if inside.all():
        return
    _, nearest = cv2.distanceTransformWithLabels(inside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    outside = np.zeros(nearest.max() + 1, labels.dtype)
    outside[nearest[inside == 0]] = labels[inside == 0]
    target[lost] = outside[nearest[lost]]


def _move_border(target: np.ndarray, inside: np.ndarray, cls: int, pixels: int, labels: np.ndarray) -> None:
    """Let a component grow (pixels > 0) or shrink by so many pixels; what would vanish stays."""
    if pixels > 0:
        target[cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5) <= pixels + 0.01] = cls
        return
    depth = cv2.distanceTransform(np.pad(inside, 1, mode='edge'), cv2.DIST_L2, 5)[1:-1, 1:-1]
    if depth.max() > -pixels:
        _give_away(target, inside, (inside > 0) & (depth <= -pixels + 0.01), labels)


def _certainty(rng: np.random.Generator, wrong: float) -> float:
    return rng.beta(12, 1.5) * (1 - wrong) + rng.beta(5, 3.5) * wrong


def _component_certainty(noisy: np.ndarray, wrong: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return one draw for every component, lower by its wrong share, float32 [H, W]."""
    level = np.ones(noisy.shape, np.float32)
    for _, box, mask, _ in _components(noisy, 1, rng):
        level[box][mask] = _certainty(rng, wrong[box][mask].mean())
    return level


def _confidence(noisy: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Return a plausible confidence, uint8 [H, W]: that of each region, less near borders."""
    edges = np.zeros(noisy.shape, np.uint8)
    edges[:, 1:] |= noisy[:, 1:] != noisy[:, :-1]
    edges[1:] |= noisy[1:] != noisy[:-1]
    distance = cv2.distanceTransform(1 - edges, cv2.DIST_L2, 5)
    level = level * (0.55 + 0.45 * np.clip(distance / 5, 0, 1))
    level[noisy == UNLABELLED] = 0
    return np.round(level * 255).astype(np.uint8)

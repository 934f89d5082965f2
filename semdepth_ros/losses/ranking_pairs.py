"""Pairs of points that depth is to keep apart, across the border of objects, and together, on one side of it."""
from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from semdepth_ros.losses.class_border import ClassBorder, among, find_border
from semdepth_ros.losses.pair_sampling import GROUND, SAID_AT, PairSampling

# in how many parts the way between two points is searched for image edges
_PARTS = 6


class Pairs(NamedTuple):
    """Pairs of points, equally many in every image.

    :param index: row times width plus column of both points, int64 [B, N, 2]
    :param on_object: which of them lie on an object, bool [B, N, 2]
    :param valid: which pairs count, bool [B, N]
    """

    index: Tensor
    on_object: Tensor
    valid: Tensor

    @property
    def apart(self) -> Tensor:
        """Which pairs lie across the border, bool [B, N]; the points of the others are to stay together."""
        return self.on_object[..., 0] != self.on_object[..., 1]


class _Anchors(NamedTuple):
    """Border pixels and the unit vectors towards the object, float [B, N, 1]; valid: which there are, bool [B, N]."""

    row: Tensor
    column: Tensor
    down: Tensor
    right: Tensor
    valid: Tensor


class _Points(NamedTuple):
    """Points around anchors, [B, N, K]: index and on_object as in Pairs, train id, whether a point may lie there."""

    index: Tensor
    on_object: Tensor
    labels: Tensor
    usable: Tensor


def draw_pairs(labels: Tensor, seen: Tensor, image: Tensor, how: PairSampling) -> tuple[Pairs, Pairs]:
    """Draw pairs around the border: those of quadruples of points a, b, c, d on a line across it, and couples.

    A quadruple is the pairs (a, b), (b, c) and (c, d), b and c on either side of the border. Draws are torch's; nothing
    waits for the device.

    :param labels: train ids, uint8 [B, H, W]; UNLABELLED (255) where there is none
    :param seen: false where the input shows nothing, where no point lies, bool [B, H, W]
    :param image: float [B, 3, H, W] in 0..1
    :return: the pairs of quadruples [B, 3 J], and the couples [B, K]
    After Li et al. 2021 with the points of Xian et al. 2020; the couples, and what is left out, are form ours.
    """
    scale = labels.shape[-1] / SAID_AT
    border = find_border(labels, seen, image, how)
    numbers = border.pixels.flatten(1).cumsum(dim=1, dtype=torch.int32)
    four, two = (_anchors(border, numbers, math.ceil(count * scale)) for count in (how.quadruples, how.couples))
    return _quadruples(border, four, how, scale), _couples(border, two, how, scale)


def _anchors(border: ClassBorder, numbers: Tensor, count: int) -> _Anchors:
    """Draw border pixels evenly along the border's rows; where there are fewer than count, each is drawn once.

    :param numbers: how many border pixels there are up to each pixel, int32 [B, H W]
    """
    total = numbers[:, -1:]
    taken = total.clamp(max=count)
    place = torch.arange(count, device=numbers.device) + torch.rand(len(numbers), count, device=numbers.device)
    wanted = torch.minimum((place * (total / taken.clamp(min=1))).int() + 1, total)
    index = torch.searchsorted(numbers, wanted).clamp(max=numbers.shape[1] - 1)
    right, down = (each.flatten(1).gather(1, index) for each in (border.right, border.down))
    length = torch.hypot(right, down)
    valid = (torch.arange(count, device=numbers.device) < taken) & (length > 0)
    length = length.clamp(min=torch.finfo(length.dtype).tiny)
    width = border.labels.shape[-1]
    row, column = torch.div(index, width, rounding_mode='floor'), index % width
    return _Anchors(*(each[..., None] for each in (row, column, down / length, right / length)), valid)


def _quadruples(border: ClassBorder, anchors: _Anchors, how: PairSampling, scale: float) -> Pairs:
    """Return the pairs (a, b), (b, c), (c, d): a and b behind the object, c and d on it, if labels agree."""
    first, second = (_distances(anchors, 2, how.least, how.farthest, scale) for _ in range(2))      # [B, J, 2]
    near, far = torch.minimum(first, second), torch.maximum(first, second)
    at = torch.stack((-far[..., 0], -near[..., 0], near[..., 1], far[..., 1]), dim=-1)              # [B, J, 4]
    points = _points(border, anchors, at)
    a, b, c, d = points.usable.unbind(dim=-1)
    kept = anchors.valid & a & b & c & d
    if how.robust:
        a, b, c, d = points.on_object.unbind(dim=-1)
        kept &= (a == b) & (c == d) & (b != c)
        a, b, c, d = points.index.unbind(dim=-1)
        kept &= (a != b) & (c != d)
    valid = kept[..., None].repeat(1, 1, 3)
    if how.looks_for_edges:
        valid[..., 0::2] &= ~_edges_between(border, anchors, at[..., 0::2], at[..., 1::2])
    return _paired(points, valid, how)


def _couples(border: ClassBorder, anchors: _Anchors, how: PairSampling, scale: float) -> Pairs:
    """Return the pairs of a point behind the object and one on it; a thin object is trusted in its middle."""
    behind, inside = _distances(anchors, 2, how.least, how.farthest, scale).unbind(dim=-1)
    if how.robust:
        inside = torch.minimum(inside, _extent(border, anchors, 2 * how.farthest * scale) / 2)
    points = _points(border, anchors, torch.stack((-behind, inside), dim=-1))
    valid = anchors.valid & points.usable[..., 0] & points.usable[..., 1]
    valid &= points.on_object[..., 0] != points.on_object[..., 1]
    return _paired(points, valid[..., None], how)


def _paired(points: _Points, valid: Tensor, how: PairSampling) -> Pairs:
    """Return the pairs of neighbouring points [B, N, K], without those on the ground or, together, of two classes."""
    index, labels, on_object = (torch.stack((each[..., :-1], each[..., 1:]), dim=-1)
                                for each in (points.index, points.labels, points.on_object))
    valid = valid & (index[..., 0] != index[..., 1])
    if not how.ground:
        ground = among(labels, GROUND)
        valid &= ~(ground[..., 0] | ground[..., 1])
    if how.robust:
        valid &= (on_object[..., 0] != on_object[..., 1]) | (labels[..., 0] == labels[..., 1])
    return Pairs(index.flatten(1, 2), on_object.flatten(1, 2), valid.flatten(1))


def _distances(anchors: _Anchors, points: int, least: float, most: float, scale: float) -> Tensor:
    """Draw distances evenly between two [px at SAID_AT]: float [B, N, points] px."""
    return (least + (most - least) * torch.rand(*anchors.valid.shape, points, device=anchors.valid.device)) * scale


def _points(border: ClassBorder, anchors: _Anchors, at: Tensor) -> _Points:
    """Return the points at these distances from the anchors, negative ones away from the object.

    :param at: float [B, N, K] px
    """
    index, inside = _pixels(border, anchors, at)
    on_object, labels, usable = (_looked_up(each, index) for each in (border.objects, border.labels, border.usable))
    return _Points(index, on_object, labels, usable & inside)


def _pixels(border: ClassBorder, anchors: _Anchors, at: Tensor) -> tuple[Tensor, Tensor]:
    """Return the nearest pixels within the image, int64 [B, N, K], and whether that is where they should be."""
    height, width = border.labels.shape[-2:]
    row, column = (anchors.row + at * anchors.down).round(), (anchors.column + at * anchors.right).round()
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    return row.clamp(0, height - 1).long() * width + column.clamp(0, width - 1).long(), inside


def _edges_between(border: ClassBorder, anchors: _Anchors, first: Tensor, second: Tensor) -> Tensor:
    """Return whether the image has an edge on the way from one distance to the other, bool [B, N, K]."""
    found = torch.zeros_like(first, dtype=torch.bool)
    for part in range(_PARTS + 1):
        found |= _looked_up(border.edges, _pixels(border, anchors, torch.lerp(first, second, part / _PARTS))[0])
    return found


def _extent(border: ClassBorder, anchors: _Anchors, most: float) -> Tensor:
    """Return how far the object goes on from the anchors without a break, at most as far as told, int64 [B, N] px."""
    steps = torch.arange(1, math.ceil(most) + 1, device=anchors.right.device)
    index, inside = _pixels(border, anchors, steps)
    return (inside & _looked_up(border.objects, index)).long().cumprod(dim=-1).sum(dim=-1)


def _looked_up(maps: Tensor, index: Tensor) -> Tensor:
    return maps.flatten(1).gather(1, index.flatten(1)).view_as(index)

"""The border between objects and what is behind them, on the map of classes and in the image."""
from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from semdepth_ros.classes import UNLABELLED
from semdepth_ros.losses.pair_sampling import GROUND, SAID_AT, PairSampling


class ClassBorder(NamedTuple):
    """Maps of a batch, all [B, H, W].

    :param labels: train ids, uint8
    :param objects: which of them are objects
    :param usable: where points may lie
    :param pixels: the border
    :param right, down: what points across the border and towards the object, of any length
    :param edges: where the image has an edge; None where that is not looked for
    """

    labels: Tensor
    objects: Tensor
    usable: Tensor
    pixels: Tensor
    right: Tensor
    down: Tensor
    edges: Tensor | None


def find_border(labels: Tensor, seen: Tensor, image: Tensor, how: PairSampling) -> ClassBorder:
    """Return the pixels that have both an object and something behind it among their 3x3 neighbours.

    Ground is nothing behind an object where pairs on it do not count.

    :param labels: uint8 [B, H, W]
    :param seen: bool [B, H, W]
    :param image: float [B, 3, H, W] in 0..1
    After Li et al. 2021 the border is that of a binary map; its pixels and directions are form ours.
    """
    objects = among(labels, how.objects)
    framed = F.pad(seen, (1, 1, 1, 1))
    whole = ~any3x3(~framed)[:, 1:-1, 1:-1]                 # neither the frame nor padding beside the pixel
    usable = whole & (labels != UNLABELLED) if how.robust else seen
    behind = usable & ~objects
    if not how.ground:
        behind = behind & ~among(labels, GROUND)
    pixels, edges = any3x3(objects & usable) & any3x3(behind), None
    right, down = sobel(_blurred(objects.to(image.dtype)))
    if how.looks_for_edges:
        edges = image_edges(image, whole, how.edge_share)
        pixels = pixels & _dilated(edges, max(round(how.edge_reach * labels.shape[-1] / SAID_AT), 1))
    if how.direction == 'image':
        along_row, along_column = sobel(_blurred(image.mean(dim=1)))
        towards = torch.where(right * along_row + down * along_column < 0, -1, 1)
        right, down = along_row * towards, along_column * towards
    return ClassBorder(labels, objects, usable, pixels, right, down, edges)


def image_edges(image: Tensor, mask: Tensor, share: float) -> Tensor:
    """Return where the gradient of the grey image is above a share of its largest within the mask, bool [B, H, W].

    Xian et al. 2020 (structure-guided ranking loss), whose share is a tenth.
    """
    right, down = sobel(image.mean(dim=1))
    strength = (right.square() + down.square()) * mask
    return strength > share ** 2 * strength.amax(dim=(1, 2), keepdim=True)


def among(labels: Tensor, train_ids: tuple[int, ...]) -> Tensor:
    """Return where labels are one of the train ids, bool of their shape."""
    found = torch.zeros_like(labels, dtype=torch.bool)
    for train_id in train_ids:
        found |= labels == train_id
    return found


def any3x3(mask: Tensor) -> Tensor:
    """Return where one of the 3x3 neighbours is set, bool [B, H, W]."""
    wide = F.pad(mask, (1, 1, 1, 1))
    rows = wide[:, :-2] | wide[:, 1:-1] | wide[:, 2:]
    return rows[..., :-2] | rows[..., 1:-1] | rows[..., 2:]


def sobel(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return Sobel's gradient to the right and down of maps [B, H, W]; beyond the border the border repeats."""
    wide = _widened(maps)
    rows = wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]
    columns = wide[..., :-2] + 2 * wide[..., 1:-1] + wide[..., 2:]
    return rows[..., 2:] - rows[..., :-2], columns[:, 2:] - columns[:, :-2]


def _blurred(maps: Tensor) -> Tensor:
    """Return nine times the mean over 3x3 pixels."""
    wide = _widened(maps)
    rows = wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]
    return rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]


def _widened(maps: Tensor) -> Tensor:
    return F.pad(maps[:, None], (1, 1, 1, 1), mode='replicate')[:, 0]


def _dilated(mask: Tensor, reach: int) -> Tensor:
    for _ in range(reach):
        mask = any3x3(mask)
    return mask

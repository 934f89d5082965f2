"""Points on semantic edges: how much of an edge there is, which pixels are taken, and what maps hold there."""
from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

STEPS = 2 ** 20  # in which edges are told apart


def edge_strength(foreground: Tensor, known: Tensor | None = None, stride: int = 1) -> Tensor:
    """Return the morphological gradient: the largest less the smallest value of a cell and the pixels around it.

    :param foreground: probability, or 0 and 1, [B, H, W]
    :param known: which pixels count, bool [B, H, W]; None for all
    :param stride: of the cells
    :return: [B, H / stride, W / stride] in 0..1; 0 where a cell knows no two pixels that differ
    """
    both = torch.stack((foreground, 1 - foreground), 1)
    if known is not None:
        both = both * known[:, None]
    return (F.max_pool2d(both, stride + 2, stride, padding=1).sum(1) - 1).clamp(min=0)


def uncertainty(foreground: Tensor) -> Tensor:
    """Return 1 - |2 q - 1| of probabilities q, which is largest on the border (Kirillov et al. 2020, PointRend)."""
    return 1 - (2 * foreground - 1).abs()


def strongest_points(strength: Tensor, count: int) -> Tensor:
    """Return the pixels with the strongest edges: the same ones whenever this is asked, each once.

    Of equal ones those come first that spread over the map.

    :param strength: [B, N] in 0..1
    :param count: at most N
    :return: indices of pixels, int64 [B, count]
    """
    pixels = strength.shape[1]
    turn = torch.arange(pixels, device=strength.device) * pow(_scattering(pixels), -1, pixels) % pixels
    return ((strength * STEPS).long() * pixels + pixels - 1 - turn).topk(count).indices


def drawn_points(strength: Tensor, count: int, candidates: int, share: float) -> Tensor:
    """Return pixels drawn by their importance, each once.

    So many times as many candidates are drawn, of which the strongest edges make up a share; the rest is drawn from all
    pixels (Kirillov et al. 2020, PointRend, section 3.1, on pixels instead of anywhere).

    :param strength, count: as in `strongest_points`
    """
    pixels = strength.shape[1]
    order = torch.rand(strength.shape, device=strength.device)
    drawn = order.topk(min(candidates * count, pixels)).indices
    important = drawn.gather(1, strength.gather(1, drawn).topk(round(share * count)).indices)
    rest = order.scatter(1, important, 2.0).topk(count - important.shape[1], largest=False).indices
    return torch.cat((important, rest), 1)


def at_points(maps: Tensor, points: Tensor, size: tuple[int, int]) -> Tensor:
    """Return what maps of any size hold at pixels of a map of this size, bilinear, [B, N, C].

    :param maps: [B, C, h, w]
    :param points: indices of pixels, int64 [B, N]
    :param size: (height, width) that the pixels are of
    """
    if maps.shape[-2:] == size:
        return _rows(maps).gather(1, points[..., None].expand(-1, -1, maps.shape[1]))
    (height, width), exact = size, torch.promote_types(maps.dtype, torch.float32)  # in half precision places are off
    x = (2 * (points % width) + 1).to(exact) / width - 1
    y = (2 * (points // width) + 1).to(exact) / height - 1
    places = torch.stack((x, y), -1)[:, :, None]
    with torch.autocast(maps.device.type, enabled=False):
        values = F.grid_sample(maps.to(exact), places, padding_mode='border', align_corners=False)
    return values[..., 0].transpose(1, 2).to(maps.dtype)


def written_at(maps: Tensor, points: Tensor, values: Tensor) -> Tensor:
    """Return maps with these values at some of their pixels, [B, C, H, W], channels last as convolutions like it.

    :param maps: [B, C, H, W]
    :param points: indices of pixels, int64 [B, N], each once
    :param values: [B, N, C]
    """
    rows = _rows(maps).scatter(1, points[..., None].expand(-1, -1, maps.shape[1]), values)
    return rows.unflatten(1, maps.shape[-2:]).permute(0, 3, 1, 2)


def _rows(maps: Tensor) -> Tensor:
    """Return the pixels of maps one after the other, [B, H W, C]."""
    return maps.permute(0, 2, 3, 1).flatten(1, 2)


def _scattering(pixels: int) -> int:
    """Return a step that, taken again and again around so many pixels, reaches each once and never soon a near one."""
    step = max(round(pixels * (math.sqrt(5) - 1) / 2), 1)
    while math.gcd(step, pixels) > 1:
        step += 1
    return step

"""What the components of a map of classes, and the road, agree on about their depth."""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from semdepth_ros.losses.refinement.components import connected_components, numbered
from semdepth_ros.losses.refinement.robust_fit import (Planes, fit_planes, relative_residual, segment_median,
                                                       segment_sum)

# a plane is fitted to one of so many by so many pixels
EVERY = 2
# a road stands for the ground where it fills this share of an image
LEAST_ROAD = 0.01
# so many pixels there are for every component that is fitted; of noise only the first are
PIXELS = 16


class Shapes(NamedTuple):
    """Which pixels are of what shape, bool [B, H, W] each: an image's one road, planes, things of one depth."""

    road: Tensor
    planar: Tensor
    compact: Tensor


class SceneFit(NamedTuple):
    """Maps of a batch, [B, H, W] but for the road.

    :param component: number of each pixel's component, int64
    :param inverse: of the plane or the one depth of the pixel's component, or of the road [1/m]
    :param usual: median over that of the relative residual
    :param pixels: how many it has; 0 where it was not fitted
    :param road: the plane of every image, places being those of `places`; without pixels where there is none
    """

    component: Tensor
    inverse: Tensor
    usual: Tensor
    pixels: Tensor
    road: Planes


def fit_scene(inverse: Tensor, labels: Tensor, shapes: Shapes) -> SceneFit:
    """Return what every component, and the road of every image as if it were one, agrees on.

    :param inverse: inverse depth, positive [B, H, W] 1/m
    :param labels: classes [B, H, W]
    """
    component, flat, place = connected_components(labels), inverse.flatten(), places(labels.shape, inverse)
    # what has no number of its own is one segment; after it come the roads of images
    rest, images = -(-labels.numel() // PIXELS), len(labels)
    roads = rest + 1 + torch.arange(images, device=labels.device)
    segment, segments = torch.where(shapes.road, roads[:, None, None], numbered(component, rest)), rest + 1 + images
    planes = _planes(inverse, place, segment, segments, shapes)
    segment = segment.flatten()
    fit = torch.where(shapes.compact.flatten(), segment_median(flat, segment, segments)[segment],
                      planes.at(segment, place.flatten(0, 2)))
    usual = segment_median(relative_residual(flat, fit), segment, segments)
    sizes = segment_sum(torch.ones_like(segment), segment, segments)
    sizes[rest] = 0
    road = Planes(planes.rise[roads], planes.level[roads], sizes[roads])
    return SceneFit(component, *(values.view(labels.shape) for values in (fit, usual[segment], sizes[segment])), road)


def places(shape: torch.Size, like: Tensor) -> Tensor:
    """Return column and row of every pixel from the middle of the image, in half widths of it, [B, H, W, 2]."""
    batch, height, width = shape
    column, row = (torch.arange(n, dtype=like.dtype, device=like.device) - (n - 1) / 2 for n in (width, height))
    row, column = torch.meshgrid(row, column, indexing='ij')
    return (torch.stack([column, row], dim=-1) * (2 / width)).expand(batch, -1, -1, -1)


def standing_depth(labels: Tensor, ground: Tensor, road: Planes, like: Tensor) -> Tensor:
    """Return the inverse depth of the road at the foot of what stands on the ground, [B, H, W]; 0 where nothing does.

    The foot of a pixel is the lower edge of the run of its label in its column, where the pixel below is ground: an
    upright thing is where its foot is, whatever else is merged with it in a component (after the stixels of Badino et al.
    2009; form ours).

    :param labels: classes [B, H, W], and which of them are ground, bool [B, H, W]
    :param road: the plane of every image
    :param like: a tensor of the floating type wanted
    """
    batch, height, width = labels.shape
    row = torch.arange(height, device=labels.device)[:, None].expand(labels.shape)
    ends = torch.ones_like(ground)
    ends[:, :-1] = labels[:, 1:] != labels[:, :-1]
    foot = torch.where(ends, row, height).flip(1).cummin(dim=1).values.flip(1)
    below = torch.zeros_like(ground)
    below[:, :-1] = ground[:, 1:]
    image = torch.arange(batch, device=labels.device)[:, None, None].expand(labels.shape)
    place = torch.stack([places(labels.shape, like)[..., 0], (foot + 0.5 - (height - 1) / 2) * (2 / width)], dim=-1)
    stands = below.gather(1, foot) & (road.pixels >= LEAST_ROAD * height * width)[image] & ~ground
    return torch.where(stands, road.at(image, place), 0.0)


def _planes(inverse: Tensor, place: Tensor, segment: Tensor, segments: int, shapes: Shapes) -> Planes:
    chosen = ..., slice(None, None, EVERY), slice(None, None, EVERY)
    counted = (shapes.road | shapes.planar)[chosen].flatten()
    return fit_planes(inverse[chosen].flatten(), place[:, ::EVERY, ::EVERY].flatten(0, 2), counted,
                      segment[chosen].flatten(), segments)

"""Pseudo-depth from semantics: what the shape of things says of their depth."""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from semdepth_ros.classes import GROUND, SKY
from semdepth_ros.losses.class_border import among
from semdepth_ros.losses.pair_sampling import SAID_AT
from semdepth_ros.losses.refinement.border_snapping import filled_from_inside, near_border
from semdepth_ros.losses.refinement.class_names import expect_class_names, named
from semdepth_ros.losses.refinement.robust_fit import relative_residual
from semdepth_ros.losses.refinement.scene_fit import Shapes, fit_scene, standing_depth
from semdepth_ros.settings import between

# where a pixel's pseudo-depth comes from, the later before the earlier
KINDS = ('none', 'sky', 'border', 'plane', 'road', 'compact', 'foot')
# planes have so many times the pixels of the smallest compact component
PLANE_PIXELS = 10
CLASS_SETS = 'road', 'planar', 'compact', 'snapped', 'standing'


@dataclass(frozen=True)
class DepthRefinement:
    """What is made of depth and a map of classes. Lengths and areas are of an image 640 px wide.

    :param road: classes of the one plane that an image's road is
    :param planar: classes whose components are a plane each
    :param compact: classes whose components have one depth each
    :param snapped: classes whose components have the depth of their inside near their border, beside compact ones
    :param standing: classes of what is as far as the road is at its foot
    :param sky: whether sky is as far as depth goes
    :param outlier: pixels are refined whose relative residual is over so many times the median of their component
    :param least_residual: which is taken for at least this
    :param off_foot: pixels that stand are refined whose relative residual is over this: feet are less certain
    :param border_px: how near a border is; 0 leaves borders alone
    :param smallest_px: smaller compact components are left alone, and planes of less than ten times as many
    """

    road: tuple[str, ...] = ('road',)
    planar: tuple[str, ...] = ('sidewalk', 'building', 'wall', 'fence', 'car', 'truck', 'bus', 'train')
    compact: tuple[str, ...] = ('pole', 'traffic light', 'traffic sign', 'person', 'rider', 'motorcycle', 'bicycle')
    snapped: tuple[str, ...] = ('vegetation',)
    standing: tuple[str, ...] = ('wall', 'pole', 'traffic sign', 'car')
    sky: bool = True
    outlier: float = 3.0
    least_residual: float = 0.02
    off_foot: float = 0.2
    border_px: float = 5.0
    smallest_px: float = 40.0

    def __post_init__(self):
        expect_class_names(self, *CLASS_SETS)
        between(self, 0, math.inf, 'outlier', 'least_residual', 'off_foot', 'border_px', 'smallest_px')


class PseudoDepth(NamedTuple):
    """Refined depth.

    :param depth: float32 [B, H, W] m; where there is none, the depth that it was made from
    :param kind: where it comes from, a place in KINDS, uint8 [B, H, W]
    """

    depth: Tensor
    kind: Tensor


@torch.no_grad()
def pseudo_depth(depth: Tensor, labels: Tensor, farthest: Tensor, how: DepthRefinement = DepthRefinement()
                 ) -> PseudoDepth:
    """Return what a map of classes makes of depth; nothing is drawn at random, and a device is not waited for.

    Of KINDS the later comes before the earlier: sky is far; near its border a component has the depth of its inside; a
    pixel off the plane of its component, or of the road, lies on that; one off the median of a compact component has
    that; and what stands on the ground is where its foot is.

    :param depth: float32 [B, H, W] m, positive
    :param labels: classes, uint8 or int64 [B, H, W]
    :param farthest: how far depth goes in every image, [B] m
    After Lin et al. 2023; the paper's form could not be read, this one is ours.
    """
    of = {name: named(labels, getattr(how, name)) for name in CLASS_SETS}
    inverse, least = depth.reciprocal(), farthest.reciprocal()[:, None, None].expand_as(depth)
    shapes, scale = Shapes(of['road'], of['planar'], of['compact']), labels.shape[-1] / SAID_AT
    fit = fit_scene(inverse, labels, shapes)
    large = fit.pixels >= how.smallest_px * scale ** 2 * torch.where(shapes.compact, 1, PLANE_PIXELS)
    off = relative_residual(inverse, fit.inverse) > how.outlier * fit.usual.clamp(min=how.least_residual)
    refined = off & large & (fit.inverse > least)
    reach = max(round(how.border_px * scale), 1) if how.border_px else 0
    found = {'sky': (labels == SKY if how.sky else torch.zeros_like(off), least),
             'border': _snapped(inverse, fit.component, shapes, off, of['snapped'], reach),
             'plane': (shapes.planar & refined, fit.inverse), 'road': (shapes.road & refined, fit.inverse),
             'compact': (shapes.compact & refined, fit.inverse)}
    foot = standing_depth(labels, among(labels, GROUND), fit.road, inverse)
    found['foot'] = of['standing'] & (foot > least) & (relative_residual(inverse, foot) > how.off_foot), foot
    return _in_order(found, inverse)


def _snapped(inverse: Tensor, component: Tensor, shapes: Shapes, off: Tensor, snapped: Tensor, reach: int
             ) -> tuple[Tensor, Tensor]:
    near = near_border(component, reach)
    sound = ~(off & (shapes.road | shapes.planar | shapes.compact))
    values, there = filled_from_inside(inverse, sound & ~near, component, 2 * reach)
    return there & near & (snapped | shapes.compact), values


def _in_order(found: dict[str, tuple[Tensor, Tensor]], inverse: Tensor) -> PseudoDepth:
    result, kind = inverse, torch.zeros_like(inverse, dtype=torch.uint8)
    for name, (where, values) in found.items():
        result, kind = torch.where(where, values, result), kind.masked_fill(where, KINDS.index(name))
    return PseudoDepth(result.reciprocal(), kind)

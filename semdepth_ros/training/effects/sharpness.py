"""What lenses, shutters and scalers do to edges: defocus, motion blur, sharpening, lost resolution."""
from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from semdepth_ros.training.effects.transfer import columns, sent
from semdepth_ros.training.recipe import MOST_MOTION_PX, Augmentation

# half size of the kernels [px]; a motion of twice as much just fits
RADIUS = MOST_MOTION_PX // 2


def draw_defocus(knobs: Augmentation, rng: np.random.Generator) -> list[float]:
    """Draw the standard deviation of the blur [px]."""
    return [rng.uniform(0.3, 1) * knobs.defocus_px]


def defocus(images: Tensor, numbers: Tensor) -> Tensor:
    """Blur triplets with a Gaussian."""
    return _convolved(images, _gaussian(sent(numbers[:, 0], images)))


def draw_motion_blur(knobs: Augmentation, rng: np.random.Generator) -> list[float]:
    """Draw the length of the smear [px], and its direction [rad], rather sideways than up or down."""
    return [rng.uniform(0.25, 1) * knobs.motion_px, rng.normal(scale=0.3)]


def motion_blur(images: Tensor, numbers: Tensor) -> Tensor:
    """Smear triplets along a line: turning cameras do, and shaking ones."""
    length, angle = sent(numbers, images)[:, :, None, None].unbind(dim=1)
    x = torch.arange(-RADIUS, RADIUS + 1, device=images.device, dtype=images.dtype)
    y = x[:, None]
    along, beside = (x * angle.cos() + y * angle.sin()).abs(), (y * angle.cos() - x * angle.sin()).abs()
    line = (length / 2 + 0.5 - along).clamp(0, 1) * (1 - beside).clamp(0, 1)
    return _convolved(images, line / line.sum(dim=(1, 2), keepdim=True))


def draw_sharpening(knobs: Augmentation, rng: np.random.Generator) -> list[float]:
    """Draw how much is added of what a Gaussian takes away, and its standard deviation [px]."""
    return [rng.uniform(0.1, 1) * knobs.sharpening_amount, rng.uniform(0.6, 1.2)]


def sharpening(images: Tensor, numbers: Tensor) -> Tensor:
    """Mask triplets unsharp: edges get the halos that cameras give them."""
    amount, sigma = columns(numbers, images)
    soft = _convolved(images, _gaussian(sigma.flatten()))
    return torch.lerp(soft, images, 1 + amount).clamp(0, 1)


def draw_resolution(knobs: Augmentation, rng: np.random.Generator) -> list[float]:
    """Draw by what factor resolution falls."""
    return [rng.uniform(1, knobs.resolution_factor)]


def resolution(images: Tensor, numbers: Tensor) -> Tensor:
    """Shrink triplets to whole pixels by area, and enlarge them linearly again."""
    (height, width), factor = images.shape[-2:], sent(numbers[:, 0], images)
    across = (images.flatten(1, 3) @ _through_fewer(width, factor).transpose(1, 2)).view_as(images)
    return torch.einsum('rij,rncjw->rnciw', _through_fewer(height, factor), across).clamp(0, 1)


def _gaussian(sigma: Tensor) -> Tensor:
    """Return kernels [R, 2 RADIUS + 1, 2 RADIUS + 1]."""
    offset = torch.arange(-RADIUS, RADIUS + 1, device=sigma.device, dtype=sigma.dtype)
    line = torch.softmax(-0.5 * (offset / sigma[:, None]) ** 2, dim=1)
    return line[:, :, None] * line[:, None, :]


def _convolved(images: Tensor, kernels: Tensor) -> Tensor:
    """Return the images, each triplet convolved with a symmetric kernel of its own; the border repeats."""
    count = images.shape[1] * images.shape[2]
    padded = F.pad(images.flatten(0, 2)[None], (RADIUS,) * 4, mode='replicate')
    weights = kernels.repeat_interleave(count, dim=0, output_size=len(kernels) * count)[:, None]
    return F.conv2d(padded, weights, groups=len(weights)).view_as(images).clamp(0, 1)


def _through_fewer(size: int, factor: Tensor) -> Tensor:
    """Return matrices [R, size, size]: rows of pixels averaged into round(size / factor) cells, then interpolated."""
    cells = (size / factor).round()[:, None, None]
    index = torch.arange(size, device=factor.device, dtype=factor.dtype)
    cell, step = index[:, None], size / cells
    overlap = (torch.minimum(index + 1, (cell + 1) * step) - torch.maximum(index, cell * step)).clamp(min=0)
    shrink = overlap / step                                                               # [R, cell, pixel]
    place = ((index[:, None] + 0.5) / step - 0.5).clamp(min=0).minimum(cells - 1)
    return (1 - (place - index).abs()).clamp(min=0) @ shrink

"""What JPEG leaves of an image: 8x8 blocks, coarse frequencies, chroma at half the resolution."""
from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from semdepth_ros.training.effects.transfer import sent
from semdepth_ros.training.recipe import Augmentation

# ITU-T T.81, tables K.1 and K.2: the steps of quality 50, by row
LUMA_STEPS = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99)
CHROMA_STEPS = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99, *(99,) * 32)
# JFIF; chroma is centred on 0 here
TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
FROM_YCC = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))
BEST_QUALITY = 95


def draw_jpeg(knobs: Augmentation, rng: np.random.Generator) -> list[float]:
    """Draw the quality."""
    return [rng.uniform(knobs.jpeg_quality, BEST_QUALITY)]


def jpeg(images: Tensor, numbers: Tensor) -> Tensor:
    """Return triplets as a decoder gives them: 4:2:0, the quality scale of the Independent JPEG Group.

    ITU-T T.81 without its entropy coding, which loses nothing.
    """
    height, width = images.shape[-2:]
    padding = (0, -width % 16, 0, -height % 16)
    ycc = torch.einsum('ij,rnjhw->rnihw', sent(torch.tensor(TO_YCC) * 255, images), images)
    ycc = F.pad(ycc.flatten(0, 1), padding, mode='replicate').unflatten(0, images.shape[:2])
    luma, chroma = ycc[:, :, :1] - 128, F.avg_pool2d(ycc[:, :, 1:].flatten(0, 1), 2).unflatten(0, images.shape[:2])
    luma = _quantised(luma, _steps(LUMA_STEPS, numbers[:, 0])) + 128
    chroma = _quantised(chroma, _steps(CHROMA_STEPS, numbers[:, 0]))
    chroma = F.interpolate(chroma.flatten(0, 1), scale_factor=2, mode='bilinear').unflatten(0, images.shape[:2])
    whole = torch.cat([luma, chroma], dim=2)[..., :height, :width]
    return torch.einsum('ij,rnjhw->rnihw', sent(torch.tensor(FROM_YCC) / 255, images), whole).clamp(0, 1)


def _steps(table: tuple[int, ...], quality: Tensor) -> Tensor:
    """Return quantisation steps [R, 64] for qualities of 1 to 100."""
    percent = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)[:, None]
    return ((torch.tensor(table) * percent + 50) / 100).floor().clamp(1, 255)


def _quantised(planes: Tensor, steps: Tensor) -> Tensor:
    """Return planes [R, N, C, H, W] with each 8x8 block's cosine transform rounded to multiples of steps [R, 64].

    Values are whole before and after, as those of coders are.
    """
    transform = sent(_cosine_transform(), planes)
    across, down = planes.shape[-1] // 8, planes.shape[-2] // 8
    blocks = planes.round().unflatten(-1, (across, 8)).unflatten(-3, (down, 8)).transpose(-3, -2).flatten(-2)
    steps = sent(steps, planes)[:, None, None, None, None]                      # [R, N, C, H/8, W/8, 64]
    blocks = ((blocks @ transform.T / steps).round() * steps) @ transform
    return blocks.round().unflatten(-1, (8, 8)).transpose(-3, -2).flatten(-2).flatten(-3, -2)


def _cosine_transform() -> Tensor:
    """Return the matrix [64, 64] from an 8x8 block's pixels to its frequencies, both by row; its inverse is its T."""
    k, x = torch.arange(8, dtype=torch.float64)[:, None], torch.arange(8, dtype=torch.float64)
    rows = torch.cos(math.pi * k * (2 * x + 1) / 16) / 2
    rows[0] /= math.sqrt(2)
    return torch.kron(rows, rows)

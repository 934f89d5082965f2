"""The noise of image sensors."""
from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from semdepth_ros.training.effects.transfer import columns
from semdepth_ros.training.recipe import Augmentation


def draw_sensor_noise(knobs: Augmentation, rng: np.random.Generator) -> list[float]:
    """Draw its standard deviation on white from shot noise alone, that on black, and how far neighbours share it."""
    return [rng.uniform(0, knobs.shot_noise), rng.uniform(0, knobs.read_noise), rng.uniform(0, 0.7)]


def sensor_noise(images: Tensor, numbers: Tensor) -> Tensor:
    """Add noise to every frame anew, of variance shot^2 x + read^2 at brightness x.

    White noise is smoothed with [c, 1, c] / sqrt(1 + 2 c^2) both ways, which keeps its variance: demosaicing and
    denoising leave it correlated over a pixel or two. Form ours.
    """
    shot, read, shared = columns(numbers, images)
    height, width = images.shape[-2:]
    noise = torch.randn(*images.shape[:-2], height + 2, width + 2, device=images.device, dtype=images.dtype)
    noise = noise[..., 1:-1] + shared * (noise[..., :-2] + noise[..., 2:])
    noise = noise[..., 1:-1, :] + shared * (noise[..., :-2, :] + noise[..., 2:, :])
    deviation = (shot ** 2 * images + read ** 2).sqrt() / (1 + 2 * shared ** 2)
    return (images + deviation * noise).clamp(0, 1)

"""What happens to light before it is measured: haze, bands of shadow and glare, fall-off to the corners, exposure."""
from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from semdepth_ros.training.effects.transfer import columns
from semdepth_ros.training.recipe import Augmentation

# a gain of light is less of one in displayed values; they are its 2.2th root
DISPLAY_GAMMA = 2.2


def draw_haze(knobs: Augmentation, rng: np.random.Generator) -> list[float]:
    """Draw a veil: its share, and its brightness."""
    return [rng.uniform(0, knobs.haze_share), rng.uniform(0.5, 0.95)]


def haze(images: Tensor, numbers: Tensor) -> Tensor:
    """Mix an even light grey into the images, as fog and glare do."""
    share, grey = columns(numbers, images)
    return torch.lerp(images, grey, share)


def draw_shadow(knobs: Augmentation, rng: np.random.Generator) -> list[float]:
    """Draw a band: direction [rad], place, half width and softness [half image widths], and relative change."""
    return [rng.uniform(0, math.pi), rng.uniform(-1, 1), rng.uniform(0.05, 0.6), rng.uniform(0.005, 0.1),
            rng.uniform(-1, 0.7) * knobs.shadow_depth]


def shadow(images: Tensor, numbers: Tensor) -> Tensor:
    """Darken or brighten a band across the images; it stays in place from frame to frame, as reflections do.

    The band's mask is sigmoid((half width - |x cos a + y sin a - place|) / softness), form ours.
    """
    angle, place, half_width, softness, change = columns(numbers, images)
    x, y = _centred_coordinates(images)
    across = (x * angle.cos() + y * angle.sin() - place).abs()
    return (images * (1 + change * torch.sigmoid((half_width - across) / softness))).clamp(0, 1)


def draw_vignetting(knobs: Augmentation, rng: np.random.Generator) -> list[float]:
    """Draw the loss at the corners."""
    return [rng.uniform(0, knobs.vignetting_corner)]


def vignetting(images: Tensor, numbers: Tensor) -> Tensor:
    """Darken towards the corners as 1 / (1 + a r^2)^2, the cos^4 law, a such that corners lose what was drawn."""
    loss, = columns(numbers, images)
    x, y = _centred_coordinates(images)
    corner = 1 + (images.shape[-2] / images.shape[-1]) ** 2
    strength = (1 - loss) ** -0.5 - 1
    return images / (1 + strength * (x * x + y * y) / corner) ** 2


def draw_exposure(knobs: Augmentation, rng: np.random.Generator) -> list[float]:
    """Draw the exposure of each frame [stops]: one for the triplet, and what its frames differ by."""
    return (rng.uniform(-1, 1) * knobs.exposure_stops + rng.uniform(-1, 1, 3) * knobs.exposure_jump).tolist()


def exposure(images: Tensor, numbers: Tensor) -> Tensor:
    """Change the light of each frame by 2^stops; highlights clip."""
    stops = torch.cat(columns(numbers, images), dim=1)                                    # [R, 3, 1, 1, 1]
    return (images * 2 ** (stops / DISPLAY_GAMMA)).clamp(0, 1)


def _centred_coordinates(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return x [W] in -1..1 at the outer edges, and y [H, 1] in the same units."""
    height, width = images.shape[-2:]
    x = torch.arange(width, device=images.device, dtype=images.dtype) + 0.5
    y = torch.arange(height, device=images.device, dtype=images.dtype) + 0.5
    return 2 * x / width - 1, (2 * y - height)[:, None] / width

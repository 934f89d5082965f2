"""What a camera makes of the measured light: white balance, colour, contrast curve, grey."""
from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from semdepth_ros.training.effects.transfer import columns, sent
from semdepth_ros.training.recipe import Augmentation

COLOUR_NAMES = ('brightness', 'contrast', 'saturation', 'hue', 'gamma', 'blur', 'noise')
COLOUR_NEUTRAL = (1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0)
# BT.601, as JPEG and NTSC have it
GREY = (0.299, 0.587, 0.114)
YIQ = (GREY, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))
# share of the white balance's spread that it drifts by from frame to frame
DRIFT = 0.1
# beyond so many standard deviations a normal draw is cut off
_MOST_DEVIATIONS = 2.5


def draw_white_balance(knobs: Augmentation, rng: np.random.Generator) -> list[float]:
    """Draw ln gain of each channel of each frame [3 x 3], normal; the channels' mean is 0: brightness stays."""
    drawn = rng.normal(size=(1, 3)) + DRIFT * rng.normal(size=(3, 3))
    drawn = drawn.clip(-_MOST_DEVIATIONS, _MOST_DEVIATIONS) * knobs.white_balance_spread
    return (drawn - drawn.mean(axis=1, keepdims=True)).ravel().tolist()


def white_balance(images: Tensor, numbers: Tensor) -> Tensor:
    """Multiply each channel of each frame."""
    return (images * sent(numbers.exp().unflatten(1, (3, 3)), images)[..., None, None]).clamp(0, 1)


def draw_colour_change(knobs: Augmentation, rng: np.random.Generator) -> list[float]:
    """Draw one colour change, in the order of COLOUR_NAMES."""
    drawn = rng.uniform(-1, 1, 7)
    drawn[-2:] = np.abs(drawn[-2:])
    return (np.array(COLOUR_NEUTRAL) + drawn * [getattr(knobs, name) for name in COLOUR_NAMES]).tolist()


def colour_change(images: Tensor, numbers: Tensor) -> Tensor:
    """Change brightness, contrast, saturation, hue, gamma and sharpness of triplets, and add noise to each frame."""
    brightness, contrast, _, _, gamma, blur, noise = columns(numbers, images)
    drawn = (numbers != torch.tensor(COLOUR_NEUTRAL)).any(dim=0).tolist()
    mean = grey(images.mean(dim=(1, 3, 4), keepdim=True), numbers)
    scale = numbers[:, :2].prod(dim=1)[:, None, None] * _colour_matrix(numbers[:, 2], numbers[:, 3])
    changed = torch.einsum('bij,bnjhw->bnihw', sent(scale, images), images) + brightness * (1 - contrast) * mean
    if drawn[COLOUR_NAMES.index('blur')]:
        soft = F.avg_pool2d(F.pad(changed.flatten(0, 2), (1, 1, 1, 1), mode='replicate'), 3, stride=1)
        changed = torch.lerp(changed, soft.view_as(changed), blur)
    changed = changed.clamp(0, 1)
    if drawn[COLOUR_NAMES.index('gamma')]:
        changed = changed.clamp(min=1e-4) ** gamma
    if drawn[COLOUR_NAMES.index('noise')]:
        changed = (changed + torch.randn_like(changed) * noise).clamp(0, 1)
    return changed


def draw_curve(knobs: Augmentation, rng: np.random.Generator) -> list[float]:
    """Draw a contrast curve: steepness, black point, white point.

    Cameras steepen more often than they flatten, and lose more to white than to black.
    """
    black, white = rng.uniform(0, 1, 2) * knobs.curve_clip
    return [rng.uniform(-0.4, 1) * knobs.curve_steepness, black / 3, 1 - white]


def curve(images: Tensor, numbers: Tensor) -> Tensor:
    """Stretch black..white to 0..1 and bend it: x - steepness sin(2 pi x) / (2 pi), an S with mid-grey kept.

    Shadows turn black and highlights white, as in harsh light. Form ours.
    """
    steepness, black, white = columns(numbers, images)
    stretched = ((images - black) / (white - black)).clamp(0, 1)
    return (stretched - steepness / (2 * math.pi) * (2 * math.pi * stretched).sin()).clamp(0, 1)


def grey(images: Tensor, numbers: Tensor) -> Tensor:
    """Take all colour away: every channel becomes the luma, as of a monochrome camera. Takes no numbers."""
    weights = sent(torch.tensor(GREY), images)[:, None, None]
    return (images * weights).sum(dim=2, keepdim=True).expand_as(images)


def draw_grey(knobs: Augmentation, rng: np.random.Generator) -> list[float]:
    """Draw nothing: there is one grey."""
    return []


def _colour_matrix(saturation: Tensor, hue: Tensor) -> Tensor:
    """Return rgb-to-rgb matrices [B, 3, 3]: the chroma plane of YIQ turned by hue and stretched by saturation."""
    to_yiq = torch.tensor(YIQ, dtype=torch.float64)
    angle = 2 * math.pi * hue.double()
    cosine, sine, zero = angle.cos() * saturation, angle.sin() * saturation, torch.zeros_like(angle)
    one = torch.ones_like(angle)
    turn = torch.stack([one, zero, zero, zero, cosine, -sine, zero, sine, cosine], dim=1).unflatten(1, (3, 3))
    return torch.linalg.inv(to_yiq) @ turn @ to_yiq

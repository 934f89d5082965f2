"""How the look of a frame is varied before the networks see it: colours, sharpness, noise."""
from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from semdepth_ros.training.recipe import Augmentation

# colour change: what a drawn vector of 7 means, and what leaves the image as it is
COLOUR_NAMES = ('brightness', 'contrast', 'saturation', 'hue', 'gamma', 'blur', 'noise')
COLOUR_NEUTRAL = (1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0)

GREY = (0.299, 0.587, 0.114)
YIQ = (GREY, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))


def draw_colour(knobs: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """Draw one colour change, float32 [7] in the order of COLOUR_NAMES."""
    drawn, applied = rng.uniform(-1, 1, 7), rng.random() < knobs.colour
    if not applied:
        return np.array(COLOUR_NEUTRAL, dtype=np.float32)
    ranges = np.array([getattr(knobs, name) for name in COLOUR_NAMES])
    drawn[-2:] = np.abs(drawn[-2:])
    return (np.array(COLOUR_NEUTRAL) + drawn * ranges).astype(np.float32)


def change_colours(images: Tensor, changes: Tensor) -> Tensor:
    """Return the images with brightness, contrast, saturation, hue, gamma, sharpness and noise changed.

    The frames of a triplet share their change; only the noise is drawn for every frame anew.

    :param images: [B, N, 3, H, W] in 0..1
    :param changes: [B, 7] as draw_colour gives them
    :return: the same shape, in 0..1
    """
    brightness, contrast, saturation, hue, gamma, blur, noise = changes.unbind(dim=1)
    mean = images.mean(dim=(1, 3, 4), keepdim=True)
    mean = (mean * images.new_tensor(GREY)[:, None, None]).sum(dim=2, keepdim=True)
    scale = (brightness * contrast)[:, None, None] * _colour_matrix(saturation, hue)
    offset = (brightness * (1 - contrast))[:, None, None, None, None] * mean
    changed = torch.einsum('bij,bnjhw->bnihw', scale, images) + offset
    if bool((blur > 0).any()):
        soft = F.avg_pool2d(F.pad(changed.flatten(0, 2), (1, 1, 1, 1), mode='replicate'), 3, stride=1)
        changed = torch.lerp(changed, soft.view_as(changed), blur[:, None, None, None, None])
    changed = changed.clamp(0, 1)
    if bool((gamma != 1).any()):
        changed = changed.clamp(min=1e-4) ** gamma[:, None, None, None, None]
    if bool((noise > 0).any()):
        changed = (changed + torch.randn_like(changed) * noise[:, None, None, None, None]).clamp(0, 1)
    return changed


def _colour_matrix(saturation: Tensor, hue: Tensor) -> Tensor:
    """Return rgb-to-rgb matrices [B, 3, 3]: the chroma plane of YIQ turned by hue and stretched by saturation."""
    to_yiq = torch.tensor(YIQ, dtype=torch.float64, device=hue.device)
    angle = 2 * math.pi * hue.double()
    cosine, sine, zero = angle.cos() * saturation, angle.sin() * saturation, torch.zeros_like(angle)
    one = torch.ones_like(angle)
    turn = torch.stack([one, zero, zero, zero, cosine, -sine, zero, sine, cosine], dim=1).unflatten(1, (3, 3))
    return (torch.linalg.inv(to_yiq) @ turn @ to_yiq).to(hue.dtype)

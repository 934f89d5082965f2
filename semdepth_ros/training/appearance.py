"""How the look of triplets is varied before the networks see them: drawn on the host, applied on the device."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from semdepth_ros.training.effects import colour, jpeg, light, sensor_noise, sharpness, style
from semdepth_ros.training.recipe import Augmentation


@dataclass(frozen=True)
class Effect:
    """One way in which the look of a triplet is varied.

    :param name: the knob that holds its probability
    :param width: how many numbers are drawn for it
    :param draw: draws them from the knobs
    :param apply: applies them, [R, width] on the host, to triplets [R, 3, 3, H, W] in 0..1
    :param mixes: whether the first number is a place in 0..1 among the rest of the batch, whose picture apply takes too
    """

    name: str
    width: int
    draw: Callable[[Augmentation, np.random.Generator], list[float]]
    apply: Callable[..., Tensor]
    mixes: bool = False


# in the order of light's way: textures, air, lens, sensor, processing, transmission; grey last, so that it is
EFFECTS = (
    Effect('amplitude_mix', 3, style.draw_amplitude_mix, style.amplitude_mix, mixes=True),
    Effect('random_convolution', 82, style.draw_random_convolution, style.random_convolution),
    Effect('haze', 2, light.draw_haze, light.haze),
    Effect('shadow', 5, light.draw_shadow, light.shadow),
    Effect('vignetting', 1, light.draw_vignetting, light.vignetting),
    Effect('exposure', 3, light.draw_exposure, light.exposure),
    Effect('defocus', 1, sharpness.draw_defocus, sharpness.defocus),
    Effect('motion_blur', 2, sharpness.draw_motion_blur, sharpness.motion_blur),
    Effect('sensor_noise', 3, sensor_noise.draw_sensor_noise, sensor_noise.sensor_noise),
    Effect('white_balance', 9, colour.draw_white_balance, colour.white_balance),
    Effect('colour', 7, colour.draw_colour_change, colour.colour_change),
    Effect('curve', 3, colour.draw_curve, colour.curve),
    Effect('sharpening', 2, sharpness.draw_sharpening, sharpness.sharpening),
    Effect('resolution', 1, sharpness.draw_resolution, sharpness.resolution),
    Effect('jpeg', 1, jpeg.draw_jpeg, jpeg.jpeg),
    Effect('grey', 0, colour.draw_grey, colour.grey),
)
# a drawn vector: for each effect whether it is applied, then the numbers of each; 0 leaves the images alone
WIDTH = len(EFFECTS) + sum(effect.width for effect in EFFECTS)


def draw_colour(knobs: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """Draw how the look of one triplet is changed, float32 [WIDTH]."""
    drawn, start = np.zeros(WIDTH, dtype=np.float32), len(EFFECTS)
    for i, (effect, chance) in enumerate(zip(EFFECTS, rng.random(start))):
        if chance < getattr(knobs, effect.name):
            drawn[i], drawn[start:start + effect.width] = 1, effect.draw(knobs, rng)
        start += effect.width
    return drawn


def change_colours(images: Tensor, changes: Tensor) -> Tensor:
    """Return the images with their look changed.

    Frames of a triplet share what a camera keeps from frame to frame; exposure, drift of the white balance and noise
    are each frame's own. Each effect is computed for the triplets that it was drawn for; which these are
    is read on the host, so changes should lie there: on another device they are waited for.

    :param images: float32 [B, 3, 3, H, W] in 0..1
    :param changes: float32 [B, WIDTH] as draw_colour gives them
    :return: the same shape, in 0..1
    """
    drawn = changes.cpu()
    if not bool(drawn[:, :len(EFFECTS)].any()):
        return images
    changed, start = images.clone(), len(EFFECTS)
    for i, effect in enumerate(EFFECTS):
        rows = drawn[:, i].nonzero().squeeze(dim=1)
        if len(rows):
            numbers = drawn[rows, start:start + effect.width]
            others = [images[_index(_partners(rows, numbers[:, 0], len(images)), images), 0]] if effect.mixes else []
            rows = _index(rows, images)
            changed[rows] = effect.apply(changed[rows], numbers, *others)
        start += effect.width
    return changed


def _partners(rows: Tensor, place: Tensor, count: int) -> Tensor:
    """Return for each of these of a batch another one of it: the one at a place in 0..1 among the others."""
    further = 1 + (place * (count - 1)).long().clamp(max=max(count - 2, 0))
    return (rows + further) % count


def _index(rows: Tensor, images: Tensor) -> Tensor:
    return rows.to(images.device, non_blocking=True)

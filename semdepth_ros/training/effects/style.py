"""What no camera does, but keeps shapes and changes textures: amplitudes of other pictures, random convolutions."""
from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from semdepth_ros.training.effects.transfer import columns, sent
from semdepth_ros.training.recipe import Augmentation


def draw_amplitude_mix(knobs: Augmentation, rng: np.random.Generator) -> list[float]:
    """Draw which other picture, the share of its amplitudes, and up to which frequency they are mixed in [of 1]."""
    place, low_only = rng.random(), rng.random() < 0.5
    return [place, rng.uniform(0, knobs.amplitude_share), rng.uniform(0.02, 0.15) if low_only else 1.0]


def amplitude_mix(images: Tensor, numbers: Tensor, others: Tensor) -> Tensor:
    """Mix the Fourier amplitudes of another picture into a triplet's, whose phases stay.

    Low frequencies after Yang & Soatto 2020 (FDA), all of them after Xu et al. 2021 (A Fourier-based framework for
    domain generalization); form ours: all frames take the same picture, and either is drawn half of the times.

    :param others: [R, 3, H, W], the other pictures
    """
    _, share, limit = columns(numbers, images)
    height, width = images.shape[-2:]
    down = torch.fft.fftfreq(height, 0.5, device=images.device).abs()[:, None]
    frequency = torch.maximum(down, torch.fft.rfftfreq(width, 0.5, device=images.device))
    spectrum, wanted = torch.fft.rfft2(images), torch.fft.rfft2(others).abs()[:, None]
    ratio = wanted / spectrum.abs().clamp(min=1e-6)
    mixed = spectrum * torch.lerp(torch.ones_like(ratio), ratio, share * (frequency <= limit))
    return torch.fft.irfft2(mixed, s=(height, width)).clamp(0, 1)


def draw_random_convolution(knobs: Augmentation, rng: np.random.Generator) -> list[float]:
    """Draw the share of the convolved image, and a kernel [3, 3, 3, 3] (out, in, rows, columns), half of them 1x1."""
    share, pointwise = rng.uniform(0, knobs.convolution_share), rng.random() < 0.5
    kernel = rng.normal(size=(3, 3, 3, 3)) / math.sqrt(27)
    if pointwise:
        kernel *= np.pad([[1.0]], 1)
    return [share, *kernel.ravel().tolist()]


def random_convolution(images: Tensor, numbers: Tensor) -> Tensor:
    """Mix triplets with a convolution of themselves whose kernel is random, but whose mean and contrast are theirs.

    Xu et al. 2021 (Robust and generalizable visual representation learning via random convolutions), the mixing
    form; matching the channels' mean and standard deviation, and turning kernels that make negatives, is ours.
    """
    share, kernels = columns(numbers[:, :1], images)[0], sent(numbers[:, 1:], images).unflatten(1, (3, 3, 3, 3))
    mean = images.mean(dim=(1, 3, 4), keepdim=True)
    contrast = images - mean
    frames = F.pad(contrast.transpose(0, 1).flatten(1, 2), (1, 1, 1, 1), mode='replicate')   # [N, R * 3, H + 2, W + 2]
    other = F.conv2d(frames, kernels.flatten(0, 1), groups=len(images)).unflatten(1, (-1, 3)).transpose(0, 1)
    other = other - other.mean(dim=(1, 3, 4), keepdim=True)
    other = other * (_deviation(contrast) / _deviation(other).clamp(min=1e-6))
    other = torch.where((contrast * other).mean(dim=(1, 2, 3, 4), keepdim=True) < 0, -other, other)
    return (mean + torch.lerp(contrast, other, share)).clamp(0, 1)


def _deviation(centred: Tensor) -> Tensor:
    return centred.square().mean(dim=(1, 3, 4), keepdim=True).sqrt()

"""How much a warped image differs from the image it should be, and which of several candidates counts."""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SSIM_C1, SSIM_C2 = 0.01 ** 2, 0.03 ** 2
SSIM_WEIGHT = 0.85
TIE_NOISE = 1e-5


def structural_dissimilarity(candidates: Tensor, target: Tensor) -> Tensor:
    """Return (1 - SSIM) / 2 clamped to [0, 1], one value for every pixel and channel.

    Means, variances and covariance are taken over 3x3 windows with equal weights, reflected at the border.

    :param candidates: [..., B, C, H, W] in 0..1; any number of leading dimensions
    :param target: [B, C, H, W] in 0..1
    :return: the shape of candidates
    Wang et al. 2004, eq. 13; window and clamping after Godard et al. 2019.
    """
    mean_target, mean_candidate = _mean3x3(target), _mean3x3(candidates)
    variance_target = _mean3x3(target * target) - mean_target.square()
    variance_candidate = _mean3x3(candidates * candidates) - mean_candidate.square()
    product = mean_candidate * mean_target
    covariance = _mean3x3(candidates * target) - product
    numerator = (2 * product + SSIM_C1) * (2 * covariance + SSIM_C2)
    denominator = ((mean_candidate.square() + mean_target.square() + SSIM_C1)
                   * (variance_candidate + variance_target + SSIM_C2))
    return (0.5 - 0.5 * numerator / denominator).clamp(0, 1)


def photometric_error(candidates: Tensor, target: Tensor) -> Tensor:
    """Return 0.85 (1 - SSIM) / 2 + 0.15 |difference|, averaged over the channels.

    :param candidates: [..., B, C, H, W] in 0..1
    :param target: [B, C, H, W] in 0..1
    :return: [..., B, H, W]
    Godard et al. 2019, eq. 2.
    """
    difference = (candidates - target).abs()
    error = SSIM_WEIGHT * structural_dissimilarity(candidates, target) + (1 - SSIM_WEIGHT) * difference
    return error.mean(dim=-3)


def minimum_reprojection(warped: Tensor, identity: Tensor | None = None) -> Tensor:
    """Return for every pixel the smallest error over the sources, and over the unwarped sources too.

    Where an unwarped source already matches best (a standing camera, an object that moves along) the result does not
    depend on depth or motion, so that such pixels are masked automatically. Noise of 1e-5 breaks ties in favour of
    neither.

    :param warped: photometric errors of the warped sources [..., S, B, H, W]
    :param identity: photometric errors of the same sources unwarped [S, B, H, W]; None switches the mask off
    :return: [..., B, H, W]
    Godard et al. 2019, eq. 4 and 5.
    """
    best = warped.amin(dim=-4)
    if identity is None:
        return best
    still = (identity + torch.randn_like(identity) * TIE_NOISE).amin(dim=-4)
    return torch.minimum(best, still.expand_as(best))


def _mean3x3(images: Tensor) -> Tensor:
    padded = F.pad(images.reshape(-1, 1, *images.shape[-2:]), (1, 1, 1, 1), mode='reflect')
    rows = padded[:, :, :-2] + padded[:, :, 1:-1] + padded[:, :, 2:]
    return ((rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]) * (1 / 9)).reshape(images.shape)

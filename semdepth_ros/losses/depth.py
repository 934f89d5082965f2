"""How far predicted depth is from true depth."""
from __future__ import annotations

import math

import torch
from torch import Tensor


def log_depth_error(depth: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of |ln d - ln d*| over the pixels of the mask.

    :param depth: predicted, positive [B, 1, H, W] m
    :param truth: [B, 1, H, W] m; anything outside the mask
    :param mask: bool [B, 1, H, W]
    :return: a scalar, 0 where the mask is empty
    Eigen et al. 2014 compare logarithms too, with squares; the form is ours.
    """
    return _mean(_residual(depth, truth, mask).abs(), mask)


def log_gradient_error(depth: Tensor, truth: Tensor, mask: Tensor, scales: int = 4) -> Tensor:
    """Return the mean gradient of ln d - ln d*, across and down, between pixels 1, 2, 4 ... apart, averaged over these.

    It is 0 for depth that is wrong by one factor everywhere; it asks for borders where the truth has them and for none
    elsewhere.

    :param depth, truth, mask: as in log_depth_error; a difference counts where both its pixels are in the mask
    :param scales: how many distances
    :return: a scalar, 0 where nothing counts
    After Li and Snavely 2018 (MegaDepth), eq. 4, who halve the image instead.
    """
    residual = _residual(depth, truth, mask)
    total = residual.new_zeros(())
    for k in range(scales):
        for dim in (2, 3):
            length = mask.shape[dim] - 2 ** k
            if length > 0:
                both = mask.narrow(dim, 0, length) & mask.narrow(dim, 2 ** k, length)
                difference = residual.narrow(dim, 2 ** k, length) - residual.narrow(dim, 0, length)
                total = total + _mean(difference.abs(), both)
    return total / scales


def nearness(depth: Tensor, mask: Tensor, least_m: float) -> Tensor:
    """Return the mean of max(0, ln(least_m) - ln d) over the pixels of the mask: how much too near the sky is.

    :param depth: predicted, positive [B, 1, H, W] m
    :param mask: bool [B, 1, H, W]
    :return: a scalar, 0 where the mask is empty. Form ours.
    """
    return _mean((math.log(least_m) - depth.log()).clamp(min=0), mask)


def _residual(depth: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask, depth.log() - torch.where(mask, truth, 1.0).log(), 0.0)


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum() / mask.sum().clamp(min=1)

"""Depth should change where the image does."""
from __future__ import annotations

import torch
from torch import Tensor


def edge_aware_smoothness(disparity: Tensor, image: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the mean of |dx d| exp(-|dx I|) + |dy d| exp(-|dy I|) for the mean-normalised disparity d.

    :param disparity: [B, 1, H, W], positive
    :param image: [B, C, H, W] in 0..1, of the same size
    :param mask: bool [B, 1, H, W]: only differences between two pixels of it, and means over it, count; None counts all
    :return: a scalar, 0 where nothing counts
    Godard et al. 2019, eq. 3.
    """
    mask = torch.ones_like(disparity, dtype=torch.bool) if mask is None else mask
    normalised = disparity / (_mean(disparity, mask, (2, 3)) + 1e-7)
    total = disparity.new_zeros(())
    for dim in (2, 3):
        edges = image.diff(dim=dim).abs().mean(dim=1, keepdim=True)
        length = mask.shape[dim] - 1
        both = mask.narrow(dim, 0, length) & mask.narrow(dim, 1, length)
        total = total + _mean(normalised.diff(dim=dim).abs() * (-edges).exp(), both, (0, 1, 2, 3)).squeeze()
    return total


def _mean(values: Tensor, mask: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Return the mean over the pixels of the mask, the dimensions kept."""
    return (values * mask).sum(dim=dims, keepdim=True) / mask.sum(dim=dims, keepdim=True).clamp(min=1)

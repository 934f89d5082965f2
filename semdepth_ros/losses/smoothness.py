"""Depth should change where the image does."""
from __future__ import annotations

from torch import Tensor


def edge_aware_smoothness(disparity: Tensor, image: Tensor) -> Tensor:
    """Return the mean of |dx d| exp(-|dx I|) + |dy d| exp(-|dy I|) for the mean-normalised disparity d.

    :param disparity: [B, 1, H, W], positive
    :param image: [B, C, H, W] in 0..1, of the same size
    :return: a scalar
    Godard et al. 2019, eq. 3.
    """
    normalised = disparity / (disparity.mean(dim=(2, 3), keepdim=True) + 1e-7)
    total = disparity.new_zeros(())
    for dim in (2, 3):
        edges = image.diff(dim=dim).abs().mean(dim=1, keepdim=True)
        total = total + (normalised.diff(dim=dim).abs() * (-edges).exp()).mean()
    return total

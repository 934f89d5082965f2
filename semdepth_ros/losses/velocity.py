"""The camera's known travel gives the learned motion, and through it the depth, its metres."""
from __future__ import annotations

import torch
from torch import Tensor


def velocity_loss(translation: Tensor, distance: Tensor) -> Tensor:
    """Return the mean of | ||translation|| - distance |, over the pairs whose distance is known.

    :param translation: predicted camera translation between two frames [N, 3] m
    :param distance: true length of that translation [N] m, NaN where unknown
    :return: a scalar, 0 where no distance is known
    Guizilini et al. 2020 (PackNet), eq. 6.
    """
    known = torch.isfinite(distance)
    length = translation.square().sum(dim=1).add(1e-12).sqrt()
    error = (length - torch.where(known, distance, 0)).abs() * known
    return error.sum() / known.sum().clamp(min=1)

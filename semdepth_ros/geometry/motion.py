"""Rigid motion as the pose network says it: axis-angle rotation and translation."""
from __future__ import annotations

import torch
from torch import Tensor


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """Return rotation matrices [B, 3, 3] of axis-angle vectors [B, 3] (radians along the unit axis).

    Rodrigues' formula; its Taylor series below 1e-3 rad, so that the gradient exists at zero.
    """
    squared = axis_angle.square().sum(dim=1)
    small = squared < 1e-6
    angle = torch.where(small, torch.ones_like(squared), squared).sqrt()
    sine = torch.where(small, 1 - squared / 6, angle.sin() / angle)[:, None, None]
    cosine = torch.where(small, 0.5 - squared / 24, (1 - angle.cos()) / angle.square())[:, None, None]
    x, y, z = axis_angle.unbind(dim=1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).unflatten(1, (3, 3))
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return identity + sine * cross + cosine * (cross @ cross)


def pose_matrix(axis_angle: Tensor, translation: Tensor, invert: bool = False) -> Tensor:
    """Return [R | t] as [B, 4, 4], or its inverse.

    :param axis_angle: [B, 3] rad
    :param translation: [B, 3] m
    """
    rotation, column = axis_angle_to_matrix(axis_angle), translation[:, :, None]
    if invert:
        rotation = rotation.transpose(1, 2)
        column = -rotation @ column
    last = torch.tensor([0, 0, 0, 1], dtype=rotation.dtype, device=rotation.device).expand(len(rotation), 1, 4)
    return torch.cat([torch.cat([rotation, column], dim=2), last], dim=1)

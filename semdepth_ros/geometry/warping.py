"""One view painted with the pixels of another, through depth and motion."""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

NEAREST_M = 1e-3


def backproject(depth: Tensor, intrinsics: Tensor) -> Tensor:
    """Return the points [B, 3, H, W] m that the pixels see, in camera axes.

    :param depth: [B, 1, H, W] m along Z
    :param intrinsics: [B, 3, 3] px, pixel centres at integers, no skew
    """
    height, width = depth.shape[-2:]
    u = torch.arange(width, dtype=depth.dtype, device=depth.device)
    v = torch.arange(height, dtype=depth.dtype, device=depth.device)
    fx, fy, cx, cy = _focal_and_centre(intrinsics)
    x = ((u - cx) / fx)[:, None, None, :] * depth
    y = ((v - cy) / fy)[:, None, :, None] * depth
    return torch.cat([x, y, depth], dim=1)


def project(points: Tensor, intrinsics: Tensor, transform: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the points fall in an image of their own H x W, as grid_sample takes it, and their depth there.

    :param points: [B, 3, H, W] m
    :param intrinsics: of the camera projected into [B, 3, 3] px
    :param transform: that camera from the points' axes [B, 4, 4]
    :return: grid [B, H, W, 2], -1 and 1 at the centres of the outermost pixels (align_corners=True); z [B, 1, H, W] m
    """
    height, width = points.shape[-2:]
    moved = (transform[:, :3, :3] @ points.flatten(2) + transform[:, :3, 3:]).unflatten(2, (height, width))
    x, y, z = moved.unbind(dim=1)
    inverse = 1 / z.clamp(min=NEAREST_M)
    fx, fy, cx, cy = (value[:, :, None] for value in _focal_and_centre(intrinsics))
    grid_x = (x * inverse * fx + cx) * (2 / (width - 1)) - 1
    grid_y = (y * inverse * fy + cy) * (2 / (height - 1)) - 1
    return torch.stack([grid_x, grid_y], dim=-1), z[:, None]


def warp(image: Tensor, depth: Tensor, target_intrinsics: Tensor, source_intrinsics: Tensor,
         source_from_target: Tensor) -> tuple[Tensor, Tensor]:
    """Return the target view painted with the source image, and where the source really saw it.

    Pixels that fall outside the source repeat its border (Godard et al. 2019).

    :param image: source image [B, C, H, W]
    :param depth: of the target view [B, 1, H, W] m
    :param target_intrinsics, source_intrinsics: [B, 3, 3] px
    :param source_from_target: [B, 4, 4] m
    :return: image [B, C, H, W] and bool [B, 1, H, W]: in front of the source camera and inside its image
    Zhou et al. 2017, eq. 2.
    """
    grid, z = project(backproject(depth, target_intrinsics), source_intrinsics, source_from_target)
    warped = F.grid_sample(image, grid, mode='bilinear', padding_mode='border', align_corners=True)
    inside = (grid.detach().abs() <= 1).all(dim=-1)[:, None]
    return warped, inside & (z.detach() > NEAREST_M)


def _focal_and_centre(intrinsics: Tensor) -> tuple[Tensor, ...]:
    return tuple(intrinsics[:, i, j, None] for i, j in ((0, 0), (1, 1), (0, 2), (1, 2)))

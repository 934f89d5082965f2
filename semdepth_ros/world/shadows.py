"""Soft shadows under and beside vehicles and people, as flat patches on the ground."""
from __future__ import annotations

import numpy as np
import torch

from semdepth_ros.world.primitives import AXES, CENTRE, HALF, OBJECT

REACH_M = 70.0


def footprints(still: np.ndarray, moving, eye: np.ndarray, sun: np.ndarray) -> np.ndarray:
    """Return shadow patches x, y, z, yaw, half length, half width [n, 6] of the objects near the camera.

    :param still: table of still things, of which the numbered ones throw shadows
    :param moving: pairs of a mover and its pose
    """
    patches = []
    owned = still[still[:, OBJECT] > 0]
    owned = owned[np.hypot(owned[:, 0] - eye[0], owned[:, 1] - eye[1]) < REACH_M]
    for number in np.unique(owned[:, OBJECT]):
        rows = owned[owned[:, OBJECT] == number]
        axes = rows[0, AXES].reshape(3, 3)
        patches += _patch(rows, axes[:, 0], sun)
    for mover, pose in moving:
        if np.hypot(*(pose[:2, 3] - eye[:2])) < REACH_M:
            rows = mover.table.copy()
            rows[:, CENTRE] = rows[:, CENTRE] @ pose[:3, :3].T + pose[:3, 3]
            patches += _patch(rows, pose[:3, 0], sun)
    return np.array(patches).reshape(-1, 6)


def _patch(rows: np.ndarray, ahead: np.ndarray, sun: np.ndarray) -> list[list[float]]:
    yaw = np.arctan2(ahead[1], ahead[0])
    c, n = np.cos(yaw), np.sin(yaw)
    radius = rows[:, HALF].max(1)[:, None]
    u, v = rows[:, :2] @ [c, n], rows[:, :2] @ [-n, c]
    small = np.minimum(radius[:, 0], 0.5)
    u0, u1, v0, v1 = (u - small).min(), (u + small).max(), (v - 0.5 * small).min(), (v + 0.5 * small).max()
    low, high = (rows[:, 2] - rows[:, HALF].min(1)).min(), (rows[:, 2] + np.minimum(rows[:, HALF].max(1), 0.6)).max()
    tall = high - low
    shift = -sun[:2] / max(sun[2], 0.25) * tall * 0.75
    du, dv = shift @ [c, n], shift @ [-n, c]
    out = []
    for k, (a, b) in enumerate(((0.0, 0.0), (du, dv))):
        mu, mv = (u0 + u1 + a) / 2, (v0 + v1 + b) / 2
        out.append([c * mu - n * mv, n * mu + c * mv, low, yaw, (u1 - u0 + 0.8 * abs(a)) / 2, (v1 - v0 + 0.8 * abs(b)) / 2])
    return out


def darken(patches: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Return the share of light that patches leave on ground points [n].

    :param patches: [m, 6], in the axes and from the origin of the points
    :param points: [2, n]
    """
    left = torch.ones_like(points[0])
    for x, y, _, yaw, half_u, half_v in patches.tolist():
        c, n = np.cos(yaw), np.sin(yaw)
        px, py = points[0] - x, points[1] - y
        u = (px * c + py * n).abs_().sub_(half_u)
        v = (py * c - px * n).abs_().sub_(half_v)
        outside = torch.maximum(u, v)
        left.mul_((outside / 0.35 + 0.7).clamp_(0, 1).mul_(0.55).add_(0.45))
    return left

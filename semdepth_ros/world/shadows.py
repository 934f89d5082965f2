"""Soft shadows under and beside vehicles and people, as flat patches on the ground."""
from __future__ import annotations

import numpy as np

from semdepth_ros.world.primitives import AXES, CENTRE, HALF

REACH_M, SOFT_M = 70.0, 0.35


def extent(table: np.ndarray) -> np.ndarray:
    """Return low x, high x, low y, high y, height of an object in its own frame [5]."""
    axes = np.abs(table[:, AXES].reshape(-1, 3, 3))
    size = np.einsum('nij,nj->ni', axes, table[:, HALF])
    low, high = (table[:, CENTRE] - size).min(0), (table[:, CENTRE] + size).max(0)
    return np.array([low[0], high[0], low[1], high[1], high[2]])


def patches(poses: np.ndarray, extents: np.ndarray, sun: np.ndarray) -> np.ndarray:
    """Return two flat boxes per object as table rows: its contact shadow, and that which the sun throws.

    :param poses: of the objects [n, 4, 4]; extents: from `extent` [n, 5]; sun: unit vector towards the sun
    """
    ahead, left = poses[:, :3, 0], poses[:, :3, 1]
    fall = -sun[:2] / max(sun[2], 0.25) * 0.75
    out = []
    for share in (0.0, 1.0):
        shift = fall * extents[:, 4:] * share                                               # [n, 2]
        along, across = (shift * ahead[:, :2]).sum(1), (shift * left[:, :2]).sum(1)
        low_x, high_x, low_y, high_y = extents[:, :4].T
        middle = np.stack([(low_x + high_x + along) / 2, (low_y + high_y + across) / 2, np.zeros(len(along))], -1)
        half = np.stack([(high_x - low_x + 0.8 * np.abs(along)) / 2, (high_y - low_y + 0.8 * np.abs(across)) / 2,
                         np.full(len(along), 0.6)], -1)
        out.append((middle, half))
    return _rows(poses, np.stack([m for m, _ in out], 1), np.stack([h for _, h in out], 1))


def _rows(poses: np.ndarray, middle: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Return centre, axes and half size [2 n, 15] of boxes given in their objects' frames [n, 2, 3]."""
    centre = np.einsum('nij,nkj->nki', poses[:, :3, :3], middle) + poses[:, None, :3, 3]
    axes = np.repeat(poses[:, None, :3, :3], 2, axis=1).reshape(*centre.shape[:2], 9)
    return np.concatenate([centre, axes, half], axis=-1).reshape(-1, 15)

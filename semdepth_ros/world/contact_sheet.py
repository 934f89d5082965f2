"""A picture that shows at a glance what a drive holds: colour, depth and classes side by side."""
from __future__ import annotations

from collections.abc import Collection

import cv2
import numpy as np

from semdepth_ros.classes import palette
from semdepth_ros.world.drive import WorldFrame

NEAREST_M = 3.0


def contact_sheet(frames: Collection[WorldFrame], width: int = 480, nearest_m: float = NEAREST_M) -> np.ndarray:
    """Return one row per frame, uint8 [rows, 3 * width, 3] rgb: image, inverse depth, classes.

    :param width: of each picture [px]
    :param nearest_m: depth from which on nearer is no brighter [m]
    """
    area, nearest = cv2.INTER_AREA, cv2.INTER_NEAREST
    rows = [(_resized(f.image, width, area), _resized(depth_colours(f.depth, nearest_m), width, area),
             _resized(palette()[f.labels], width, nearest)) for f in frames]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


def depth_colours(depth: np.ndarray, nearest_m: float = NEAREST_M) -> np.ndarray:
    """Return inverse depth as colours, bright = near, uint8 [H, W, 3] rgb; sky is black."""
    near = np.clip(nearest_m / np.maximum(depth, nearest_m), 0, 1) ** 0.6
    return cv2.applyColorMap(np.round(near * 255).astype(np.uint8), cv2.COLORMAP_MAGMA)[..., ::-1]


def _resized(image: np.ndarray, width: int, how: int) -> np.ndarray:
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    return cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=how)

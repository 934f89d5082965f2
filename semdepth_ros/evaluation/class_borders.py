"""How far pixels are from a border between classes."""
from __future__ import annotations

import cv2
import numpy as np

from semdepth_ros.classes import MOVABLE, UNLABELLED


def border_distance(labels: np.ndarray) -> np.ndarray:
    """Return every labelled pixel's distance to the nearest pixel of another class, float32 [H, W] px.

    Between centres: the pixels on both sides of a border have 1. A pixel is within r px of a border where this is at
    most r. +inf where there is no other class, NaN where there is no label; unlabelled pixels are no class.

    :param labels: uint8 [H, W], 255 unlabelled
    """
    distance = np.full(labels.shape, np.nan, dtype=np.float32)
    labelled = labels != UNLABELLED
    for value in np.unique(labels[labelled]):
        own = labels == value
        if np.array_equal(own, labelled):
            distance[own] = np.inf
        else:
            free = (own | ~labelled).astype(np.uint8)
            distance[own] = cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[own]
    return distance


def movable_map(labels: np.ndarray) -> np.ndarray:
    """Return the binary map of movable classes (1) and all others (0), uint8 [H, W]; 255 stays."""
    return np.where(labels == UNLABELLED, np.uint8(UNLABELLED), np.isin(labels, MOVABLE).astype(np.uint8))

"""Vehicles that are taken to be far away, as those are that drive ahead at the camera's own speed."""
from __future__ import annotations

import cv2
import numpy as np

from semdepth_ros.classes import TRAIN_ID

VEHICLES = tuple(TRAIN_ID[name] for name in ('car', 'truck', 'bus', 'train', 'motorcycle'))
TIMES_TRUTH, SMALLEST_PX = 2.0, 100


def far_vehicles(depth: np.ndarray, truth: np.ndarray, labels: np.ndarray, times: float = TIMES_TRUTH,
                 smallest_px: int = SMALLEST_PX) -> tuple[int, int]:
    """Return how many vehicles have a median depth of over `times` their true one, and how many there are.

    A vehicle is a connected component of one vehicle class's true labels with at least smallest_px evaluated pixels:
    vehicles of one class that overlap in the image count as one. After Guizilini et al. 2020, whose cars at infinite
    depth it counts (form ours).

    :param depth: predicted [H, W] m, positive
    :param truth: true depth [H, W] m, NaN where it is not evaluated
    :param labels: true classes, uint8 [H, W]
    """
    far = vehicles = 0
    for value in VEHICLES:
        count, numbers = cv2.connectedComponents((labels == value).astype(np.uint8), connectivity=8)
        numbers[np.isnan(truth)] = 0
        for number in range(1, count):
            own = numbers == number
            if own.sum() >= smallest_px:
                vehicles += 1
                far += bool(np.median(depth[own]) > times * np.median(truth[own]))
    return far, vehicles

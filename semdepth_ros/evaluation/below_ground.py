"""Pixels that are taken to lie below the ground, as those of vehicles do that are taken to be far away."""
from __future__ import annotations

import numpy as np

from semdepth_ros.classes import TRAIN_ID
from semdepth_ros.geometry.below_ground import distance_to_ground, heights_below
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.ground_plane import fit_ground_plane

# how far below the plane a pixel lies, and how far away the ground there may be [heights of the lens over it]
DEEPER_THAN, NEARER_THAN = 0.4, 20.0


def below_ground(depth: np.ndarray, truth: np.ndarray, labels: np.ndarray, camera: Camera) -> tuple[int, int]:
    """Return how many pixels lie below the plane of the true road, and how many are evaluated.

    A pixel lies below where its predicted point is deeper than DEEPER_THAN under the plane, its true point is not, and
    the ground there is nearer than NEARER_THAN. Where the true road is no plane nothing is evaluated: (0, 0). After
    Guizilini et al. 2020, who filter by it (form ours).

    :param depth: predicted [H, W] m, positive
    :param truth: true depth [H, W] m, NaN where it is not evaluated
    :param labels: true classes, uint8 [H, W]
    :param camera: of exactly these arrays, without distortion
    """
    plane = fit_ground_plane(truth, labels == TRAIN_ID['road'], camera)
    if plane is None:
        return 0, 0
    evaluated = np.isfinite(truth)
    near = distance_to_ground(plane, camera) < NEARER_THAN
    with np.errstate(invalid='ignore'):
        deep, truly_deep = (heights_below(each, plane, camera) > DEEPER_THAN for each in (depth, truth))
    return int((evaluated & near & deep & ~truly_deep).sum()), int(evaluated.sum())

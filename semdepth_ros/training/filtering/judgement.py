"""One image: the plane of its road, what lies below it, and whether that is too much."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semdepth_ros.classes import TRAIN_ID
from semdepth_ros.geometry.below_ground import distance_to_ground, heights_below
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.ground_plane import GroundPlane, GroundPlaneRule, fit_ground_plane
from semdepth_ros.training.filtering.rule import FilterRule


@dataclass(frozen=True)
class Judgement:
    """What was found in one image.

    :param plane: of the road; None where too little road is seen, or it is no plane or leans, and the image cannot be
        judged
    :param below: which pixels count as below it, bool [H, W]
    :param share: of the image's pixels
    :param deepest: the largest depth below it of a pixel that counts [heights]; 0 where none does
    :param flagged: whether the image is to be left out
    """

    plane: GroundPlane | None
    below: np.ndarray
    share: float = 0.0
    deepest: float = 0.0
    flagged: bool = False


def judge(depth: np.ndarray, labels: np.ndarray, camera: Camera, rule: FilterRule = FilterRule()) -> Judgement:
    """Judge one image. The plane is fitted to road alone, by RANSAC.

    A vehicle at infinite depth is a hole in the road: the rays to it go on through the plane. Only the form of depth
    matters, not its unit.

    :param depth: [H, W] along Z, positive, also where classes say sky
    :param labels: uint8 [H, W] train ids
    :param camera: of exactly this image, without distortion
    """
    trusted = GroundPlaneRule(min_inliers=rule.inliers)
    plane = fit_ground_plane(depth, labels == TRAIN_ID['road'], camera, trusted)
    if plane is None or abs(np.degrees(plane.roll)) > rule.lean_deg:
        return Judgement(None, np.zeros(depth.shape, dtype=bool))
    heights = heights_below(depth, plane, camera)
    counted = rule.counted(labels) & (distance_to_ground(plane, camera) < rule.reach)
    below = counted & (heights > rule.below)
    share = float(below.mean())
    deepest = float(heights[below].max()) if below.any() else 0.0
    return Judgement(plane, below, share, deepest, share >= rule.share)

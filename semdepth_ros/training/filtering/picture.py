"""What a flagged image looks like: as it is, its depth, and what of it lies below the ground."""
from __future__ import annotations

import cv2
import numpy as np

from semdepth_ros.evaluation.pictures import contact_sheet, depth_picture
from semdepth_ros.geometry.below_ground import distance_to_ground
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.training.filtering.judgement import Judgement
from semdepth_ros.training.filtering.rule import FilterRule

WIDTH = 640
BELOW, GROUND, REACH = (255, 40, 40), (70, 200, 120), (255, 220, 60)


def flagged_picture(image: np.ndarray, depth: np.ndarray, camera: Camera, judgement: Judgement, rule: FilterRule,
                    caption: str) -> np.ndarray:
    """Draw image, depth, and the image with the pixels below the ground in red, one below the other: uint8 [H, W, 3].

    A green line is the plane's horizon, a yellow one is where the plane lies at the rule's reach: between it and the
    lower edge pixels count. The depth of the picture has its median at 10, since its unit may be anything.

    :param image: uint8 [H, W, 3] rgb
    :param depth: [H, W]
    """
    share = f'{100 * judgement.share:.2f} % of the pixels below the ground, down to {judgement.deepest:.1f} heights'
    tiles = [(caption, image), ('depth', depth_picture(depth * (10 / np.median(depth)))),
             (share, _marked(image, camera, judgement, rule))]
    return contact_sheet(tiles, columns=1, width=WIDTH)


def _marked(image: np.ndarray, camera: Camera, judgement: Judgement, rule: FilterRule) -> np.ndarray:
    picture = (image * 0.6).astype(np.uint8)
    picture[judgement.below] = BELOW
    distance = distance_to_ground(judgement.plane, camera)
    for inside, colour in ((np.isfinite(distance), GROUND), (distance < rule.reach, REACH)):
        edge = cv2.morphologyEx(inside.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)) > 0
        picture[edge & ~judgement.below] = colour
    return picture

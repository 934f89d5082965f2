"""When an image counts as one in which the model sees through the ground."""
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from semdepth_ros.classes import MOVABLE, UNLABELLED
from semdepth_ros.settings import SettingsError, between, one_of
from semdepth_ros.training.recipe import DataEntry, Recipe, RecipeError

# whose classes say which pixels show road
LABEL_KINDS = ('model', 'true', 'noisy')
WITHIN = ('movable', 'labelled', 'all')


@dataclass(frozen=True)
class FilterRule:
    """When an image is flagged. After Guizilini et al. 2020, who drop what has many pixels below the ground, about 5 %
    of the images; how many and how far are ours.

    :param below: a pixel counts that lies deeper than this below the plane of the road [heights of the lens over it]
    :param share: an image is flagged from this share of its pixels on
    :param within: which pixels can count: those of 'movable' things, those 'labelled' at all, or 'all'. Beyond movable
        things that is also ground that slopes, and the own bonnet
    :param reach: a pixel counts only where the road under it would be nearer than this [heights]: far away a small
        error of the plane is a large one of the height
    :param inliers: least share of an image's road that lies on its plane, for the image to be judged
    :param lean_deg: an image whose plane leans more than this to a side is not judged either: a camera on a car does
        not, so that the plane is a bad one, as of the little road between two lorries
    """

    below: float = 0.4
    share: float = 0.002
    within: str = 'movable'
    reach: float = 20.0
    inliers: float = 0.6
    lean_deg: float = 6.0

    def __post_init__(self):
        one_of('within', self.within, WITHIN)
        between(self, 0, math.inf, 'below')
        between(self, 0, 1, 'share', 'inliers')
        between(self, 1, math.inf, 'reach')
        between(self, 0, 90, 'lean_deg')
        if not self.share:
            raise SettingsError('share is 0, expected more: every image would be flagged')

    def counted(self, labels: np.ndarray) -> np.ndarray:
        """Return which pixels can count, bool [H, W].

        :param labels: uint8 [H, W] train ids
        """
        if self.within == 'all':
            return np.ones(labels.shape, dtype=bool)
        return np.isin(labels, MOVABLE) if self.within == 'movable' else labels != UNLABELLED


def label_kind(recipe: Recipe, entry: DataEntry) -> str:
    """Return whose classes say where road is after a training: the model's where it learned classes, else the data's.

    :raises RecipeError: neither
    """
    if recipe.losses.semantic.weight > 0:
        return 'model'
    if entry.labels == 'none':
        raise RecipeError(f'{entry.source!r} is to be filtered, but its labels are none and losses.semantic is 0: '
                          f'nothing says where road is')
    return entry.labels

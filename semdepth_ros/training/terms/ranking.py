"""The classes say where depth changes and where it does not."""
from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from semdepth_ros.losses import PairSampling, certainty, draw_pairs, object_probability, ranking_loss
from semdepth_ros.losses.ranking import CERTAINTIES, MARGINS
from semdepth_ros.settings import between, one_of
from semdepth_ros.training.terms.weight import Weighted
from semdepth_ros.training.view import View


@dataclass(frozen=True)
class Ranking(Weighted):
    """How the semantic-guided ranking term counts; it is off unless a recipe gives it a weight.

    :param margin: pairs that are this far apart in mean-normalised disparity are left alone
    :param margin_is: 'relative' to the larger disparity of the two, or 'absolute'
    :param uncertainty: whether pairs weigh as much as the predicted classes are certain of them
    :param measure: of certainty, 'distance' or 'entropy'
    :param scales: how many of the disparity scales are looked at, each at full size and half as much as the one before
    :param pairs: how they are drawn
    """

    margin: float = 0.15
    margin_is: str = 'relative'
    uncertainty: bool = True
    measure: str = 'distance'
    scales: int = 1
    pairs: PairSampling = PairSampling()

    def __post_init__(self):
        super().__post_init__()
        between(self, 0, math.inf, 'margin')
        one_of('margin_is', self.margin_is, MARGINS)
        one_of('measure', self.measure, CERTAINTIES)
        between(self, 1, 4, 'scales')


def ranking(view: View, settings: Ranking) -> Tensor:
    """Return the ranking loss of the pairs of quadruples plus that of the couples.

    After Li et al. 2021, the sum L^Q / (3 J) + L^O / K of their figure 1; that a family's mean is over all pairs of the
    batch, and the scales, are form ours.
    """
    total = 0.0
    for pairs in draw_pairs(view.batch.labels, view.batch.seen, view.target, settings.pairs):
        weight = pairs.valid.to(view.target.dtype)
        if settings.uncertainty:
            logits, objects = view.prediction.logits.detach(), settings.pairs.objects
            weight = weight * certainty(object_probability(logits, pairs, objects), pairs, settings.measure)
        for s, disparity in enumerate(view.normalised_disparity[:settings.scales]):
            total = total + ranking_loss(disparity, pairs, weight, settings.margin, settings.margin_is) / 2 ** s
    return total

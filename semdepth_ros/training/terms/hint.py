"""Depth goes where the shape of things says, if the images agree."""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from semdepth_ros.classes import SKY, UNLABELLED
from semdepth_ros.losses import accept_hints, hint_loss, image_median
from semdepth_ros.losses.refinement import DepthRefinement, PseudoDepth, pseudo_depth
from semdepth_ros.settings import SettingsError, between, one_of
from semdepth_ros.training.terms.weight import Weighted
from semdepth_ros.training.view import View

LABELS, AVERAGES = ('predicted', 'given', 'agreed'), ('accepted', 'seen')


@dataclass(frozen=True)
class Hint(Weighted):
    """How the hint term counts; it is off unless a recipe gives it a weight.

    :param labels: the map of classes that pseudo-depth is made from: 'predicted' by the network, as 'given', or 'agreed',
        predicted where what is given is the same
    :param confidence, sky_confidence: a pixel counts as of its class, or as sky, where that is trusted this much: by the
        probability of a predicted one, by the confidence in a given one
    :param margin: share of the error that a hint has to be better by
    :param window: errors are compared as means over so many by so many pixels; odd
    :param average: the mean is over all pixels that are 'seen', or over the 'accepted' ones alone: few, which then
        outweigh the photometric loss by far
    :param scales: how many of the disparity scales follow, from the finest on
    :param refinement: how pseudo-depth is made
    """

    labels: str = 'predicted'
    confidence: float = 0.5
    sky_confidence: float = 0.9
    margin: float = 0.0
    window: int = 1
    average: str = 'seen'
    scales: int = 4
    refinement: DepthRefinement = DepthRefinement()

    def __post_init__(self):
        super().__post_init__()
        one_of('labels', self.labels, LABELS)
        one_of('average', self.average, AVERAGES)
        between(self, 0, 1, 'confidence', 'sky_confidence', 'margin')
        between(self, 1, 4, 'scales')
        if not (0 < self.window < math.inf and self.window % 2):
            raise SettingsError(f'window is {self.window}, expected an odd number of pixels')


class Hints(NamedTuple):
    """Hints of a batch: pseudo-depth, and where it is followed at every scale, bool [S, B, H, W]."""

    pseudo: PseudoDepth
    accepted: Tensor


def hint(view: View, settings: Hint) -> Tensor:
    """Return the hint loss of every scale at full size, their mean (Lin et al. 2023, hints after Watson et al. 2019)."""
    hints, depth = find_hints(view, settings), view.depth[:settings.scales, :, 0]
    median = image_median(depth[0].detach(), view.batch.seen)
    counted = view.batch.seen if settings.average == 'seen' else None
    return hint_loss(depth, hints.pseudo.depth, hints.accepted, median, counted) / len(depth)


def find_hints(view: View, settings: Hint) -> Hints:
    """Return what the classes make of the finest depth, and where that explains the images better; without gradients."""
    # what the view computes once is asked for first, since other terms need its gradients
    own, still = view.warped_error[:settings.scales].detach().amin(dim=1), view.identity_error.amin(dim=0)
    labels, depth = trusted_classes(view, settings), view.depth[0, :, 0].detach()
    pseudo = pseudo_depth(depth, labels, view.farthest, settings.refinement)
    with torch.no_grad():
        error = view.error_of(pseudo.depth[:, None]).amin(dim=0)
    better = accept_hints(error, own, still, settings.margin, settings.window)
    return Hints(pseudo, better & (pseudo.kind > 0) & view.batch.seen)


def trusted_classes(view: View, settings: Hint) -> Tensor:
    """Return the map of classes that pseudo-depth is made from, uint8 [B, H, W]; 255 where it is not trusted."""
    if settings.labels == 'given':
        trust, labels = view.batch.confidence, view.batch.labels
    else:
        trust, labels = view.prediction.logits.detach().softmax(dim=1).max(dim=1)
        labels = labels.to(torch.uint8)
        if settings.labels == 'agreed':
            trust = torch.where(labels == view.batch.labels, trust, -1.0)
    least = torch.where(labels == SKY, settings.sky_confidence, settings.confidence)
    return labels.masked_fill(trust < least, UNLABELLED)

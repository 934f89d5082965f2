"""A batch of the learner, and how it is seen through a prediction."""
from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from semdepth_ros.networks import Prediction
from semdepth_ros.training.batch import TripletBatch
from semdepth_ros.training.view import View


class AdaptationBatch(NamedTuple):
    """Triplets of one size: the live one first, then replay, then anchors.

    :param triplets: distance is in the network's own metres; depth is exact on the world's anchors, NaN elsewhere
    :param motion: previous and next camera from the target, float32 [2, B, 4, 4]; NaN where there is no reference
    :param evidence: where images say something of depth: textured, no sky, nothing that may move, bool [B, H, W]
    :param teacher: depth by the factory weights, float32 [B, 1, H, W]
    :param plane: normal of the road over its height, so that it is 1 / depth along a ray, float32 [B, 3]; NaN unknown
    :param road: which pixels show the road, bool [B, H, W]
    :param logits: class scores by the factory weights [B, C, H, W]; None where classes cannot change
    """

    triplets: TripletBatch
    motion: Tensor
    evidence: Tensor
    teacher: Tensor
    plane: Tensor
    road: Tensor
    logits: Tensor | None = None


class AdaptationView(View):
    """A prediction beside its batch, whose images are warped by the reference motion where there is one.

    :param batch: see AdaptationBatch
    :param drift: how far the trained weights are from the factory's, a scalar
    :param reference: whether the reference motion is used
    """

    def __init__(self, prediction: Prediction, batch: AdaptationBatch, images: Tensor, depth_range: tuple[float, float],
                 focal_px: float, drift: Tensor | None = None, reference: bool = True):
        super().__init__(prediction, batch.triplets, images, depth_range, focal_px)
        self.adaptation, self.drift, self._reference = batch, drift, reference

    @cached_property
    def learned(self) -> Tensor:
        """The pose network's motions, previous and next camera from the target [2, B, 4, 4]."""
        return View.source_from_target.func(self)

    @cached_property
    def known(self) -> Tensor:
        """Which motions have a reference, bool [2, B]."""
        return torch.isfinite(self.adaptation.motion).flatten(2).all(dim=-1)

    @cached_property
    def source_from_target(self) -> Tensor:
        """The motions that images are warped by, [2, B, 4, 4]."""
        if not self._reference:
            return self.learned
        return torch.where(self.known[..., None, None], self.adaptation.motion.nan_to_num(0.0), self.learned)

    def evidence_mean(self, values: Tensor) -> Tensor:
        """Return the mean over the pixels of evidence, of values [..., B, H, W]; 0 where there is none."""
        weight = (self.adaptation.evidence & self.batch.seen).expand_as(values)
        return (values * weight).sum() / weight.sum().clamp(min=1)


def evidence_of(grey: np.ndarray, labels: np.ndarray, weak: tuple[int, ...], step: float) -> np.ndarray:
    """Return where an image says something of depth, bool [H, W].

    That is where its gradient within 5 px is above a step, and the class is none of the weak ones.

    :param grey: uint8 [H, W]
    :param labels: train ids, uint8 [H, W]
    :param step: [grey levels]
    """
    strong = cv2.dilate((gradient(grey) > step).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return strong & ~np.isin(labels, weak)


def gradient(grey: np.ndarray) -> np.ndarray:
    """Return the larger of a grey image's two central differences, float32 [H, W] in grey levels."""
    values = grey.astype(np.float32)
    across, down = np.zeros_like(values), np.zeros_like(values)
    across[:, 1:-1] = np.abs(values[:, 2:] - values[:, :-2]) / 2
    down[1:-1] = np.abs(values[2:] - values[:-2]) / 2
    return np.maximum(across, down)

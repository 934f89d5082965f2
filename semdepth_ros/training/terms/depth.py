"""True depth, where a source has it."""
from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from semdepth_ros.losses import log_depth_error, log_gradient_error, nearness
from semdepth_ros.settings import SettingsError, between, positive
from semdepth_ros.training.terms.weight import Weighted
from semdepth_ros.training.view import View


@dataclass(frozen=True)
class Depth(Weighted):
    """How the depth term counts; it is off unless a recipe gives it a weight.

    :param gradient: weight of the residual's gradient beside the residual
    :param gradient_scales: the gradient is taken between pixels 1, 2, 4 ... apart, so many times
    :param sky: weight of sky that is nearer than sky_m
    :param sky_m: how far away sky is at least [m]
    :param nearest_m, farthest_m: truth outside of these is not looked at [m]
    """

    gradient: float = 0.5
    gradient_scales: int = 4
    sky: float = 0.2
    sky_m: float = 80.0
    nearest_m: float = 0.3
    farthest_m: float = 120.0

    def __post_init__(self):
        super().__post_init__()
        between(self, 0, math.inf, 'gradient', 'sky')
        between(self, 1, 8, 'gradient_scales')
        for name in ('sky_m', 'nearest_m', 'farthest_m'):
            positive(name, getattr(self, name))
        if self.nearest_m >= self.farthest_m:
            raise SettingsError(f'nearest_m is {self.nearest_m}, expected less than farthest_m, {self.farthest_m}')


def depth(view: View, settings: Depth) -> Tensor:
    """Return the error of log depth against the truth, of every scale at full size, halved from one to the next.

    The mean of |ln d - ln d*|, of the gradient of that residual at several distances (after Li and Snavely 2018,
    section 4.1), and of how much too near the sky is (form ours).
    """
    truth = view.batch.depth[:, None]
    inside = (truth > settings.nearest_m) & (truth < settings.farthest_m)
    sky, total = torch.isposinf(truth), 0.0
    for s, predicted in enumerate(view.depth):
        error = log_depth_error(predicted, truth, inside)
        gradient = log_gradient_error(predicted, truth, inside, settings.gradient_scales)
        near = nearness(predicted, sky, settings.sky_m)
        total = total + (error + settings.gradient * gradient + settings.sky * near) / 2 ** s
    return total / 2

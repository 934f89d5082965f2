"""The wall of a cavity of soft tissue: a closed surface in closed form, with colours whose waves all have a known length."""
from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

BUMP_M = (0.025, 0.11)          # wavelengths of the wall's shape
BUMPS, BUMP_SUM = 16, 0.38      # how many, and the most that they add up to, of the cavity's own radius
OCTAVES_M = (0.032, 0.016, 0.008, 0.004, 0.002, 0.001)
WAVES = 16                      # an octave
FOLD_M = 0.05                   # least wavelength of a deformation
FOLDS = 4


class Waves:
    """A sum of plane waves sin(k . q + phase) with weights.

    :param k: wave vectors [N, 3] rad/m
    :param phase, weight: [N]
    """

    def __init__(self, k: np.ndarray, phase: np.ndarray, weight: np.ndarray):
        self.k, self.phase, self.weight = k, phase, weight

    @classmethod
    def draw(cls, rng: np.random.Generator, lengths_m: np.ndarray, weight: np.ndarray) -> Waves:
        """Return waves of these lengths [N] m in directions and with phases drawn at random."""
        k = _directions(rng, len(lengths_m)) * (2 * math.pi / lengths_m)[:, None]
        return cls(k, rng.uniform(0, 2 * math.pi, len(lengths_m)), weight)

    @property
    def steepest(self) -> float:
        """The most that the sum can change over a metre."""
        return float((np.abs(self.weight) * np.linalg.norm(self.k, axis=1)).sum())

    def at(self, q: Tensor) -> Tensor:
        """Return the sum at points [N, 3] m, [N]."""
        return torch.sin(self._angle(q)) @ q.new_tensor(self.weight)

    def gradient(self, q: Tensor) -> Tensor:
        """Return the gradient of the sum at points [N, 3] m, [N, 3] 1/m."""
        return (torch.cos(self._angle(q)) * q.new_tensor(self.weight)) @ q.new_tensor(self.k)

    def _angle(self, q: Tensor) -> Tensor:
        return torch.addmm(q.new_tensor(self.phase), q, q.new_tensor(self.k.T))


class Tissue:
    """An ellipsoid's inside with bumps: its wall is where f(q) = |q / axes| - 1 + bumps(q) is zero, f < 0 inside.

    A deformation moves the point p of space at time t to q = p + u(p, t) of the tissue at rest; u is a sum of
    travelling waves. Rays march through p; shape and colour are those at q, so that colours move with the wall.

    :param rng: draws axes, bumps, colours and waves
    :param deformation_m: root of the mean square of |u| [m]; 0 is a rigid wall
    :param deformation_hz: how often a second the waves come back
    """

    def __init__(self, rng: np.random.Generator, deformation_m: float = 0.0, deformation_hz: float = 0.3):
        self.axes = np.array([rng.uniform(0.14, 0.19), rng.uniform(0.05, 0.08), rng.uniform(0.045, 0.065)])
        lengths = np.exp(rng.uniform(*np.log(BUMP_M), BUMPS))
        amplitude = lengths * rng.uniform(0.4, 1.0, BUMPS)
        self.bumps = Waves.draw(rng, lengths, amplitude * (BUMP_SUM / amplitude.sum()))
        weight = np.full(WAVES, math.sqrt(2 / WAVES))
        self.octaves = [Waves.draw(rng, length * np.exp(rng.uniform(-0.3, 0.3, WAVES)), weight) for length in OCTAVES_M]
        self.colour = np.array([0.62, 0.26, 0.20]) * rng.uniform(0.75, 1.25) * (1 + rng.normal(0, 0.12, 3))
        self.tint = np.array([0.10, 0.30, 0.30]) * rng.uniform(0.5, 1.2)         # how much each channel varies
        self.strength = np.array([0.5, 0.7, 0.8, 0.8, 0.7, 0.6]) * rng.uniform(0.7, 1.2, 6)
        self.vessels = rng.uniform(0.3, 0.7)
        self.deformation_m, self.deformation_hz = deformation_m, deformation_hz
        self.folds = Waves.draw(rng, FOLD_M * np.exp(rng.uniform(0, 0.7, FOLDS)), np.ones(FOLDS))
        self.heave = _directions(rng, FOLDS) * (deformation_m * math.sqrt(2 / FOLDS))
        self.beat = 2 * math.pi * rng.uniform(0.7, 1.3, FOLDS) * deformation_hz
        stretch = 1 + float((np.linalg.norm(self.heave, axis=1) * np.linalg.norm(self.folds.k, axis=1)).sum())
        self.steepest = (1 / self.axes.min() + self.bumps.steepest) * stretch   # |df/dp| [1/m] is nowhere more

    def at_rest(self, p: Tensor, time: float) -> Tensor:
        """Return where in the tissue at rest points of space [N, 3] m are at a time [s], [N, 3] m."""
        if not self.deformation_m:
            return p
        return p + torch.sin(self._fold_angle(p, time)) @ p.new_tensor(self.heave)

    def f(self, p: Tensor, time: float) -> Tensor:
        """Return f at points of space [N, 3] m, [N]: negative in the cavity, zero on its wall."""
        q = self.at_rest(p, time)
        return (q / q.new_tensor(self.axes)).norm(dim=1) - 1 + self.bumps.at(q)

    def normal(self, p: Tensor, time: float) -> Tensor:
        """Return the unit normals of the wall at points on it [N, 3] m, towards the cavity, [N, 3]."""
        q = self.at_rest(p, time)
        axes = q.new_tensor(self.axes)
        gradient = q / axes ** 2 / (q / axes).norm(dim=1, keepdim=True) + self.bumps.gradient(q)
        if self.deformation_m:                      # df/dp = (1 + du/dp)^T df/dq
            along = torch.cos(self._fold_angle(p, time)) * (gradient @ p.new_tensor(self.heave.T))
            gradient = gradient + along @ p.new_tensor(self.folds.k)
        return -gradient / gradient.norm(dim=1, keepdim=True)

    def albedo(self, q: Tensor, footprint_m: Tensor) -> Tensor:
        """Return the colour of points of the tissue at rest [N, 3] m, [N, 3] in 0..1.

        An octave fades out where a pixel covers more than two fifths of its wavelength, and is gone at a half and more.

        :param footprint_m: how much of the wall a pixel covers [N] m
        """
        mottled, vessels = q.new_zeros(len(q)), q.new_zeros(len(q))
        for number, (octave, length) in enumerate(zip(self.octaves, OCTAVES_M)):
            left = ((0.5 - footprint_m / length) / 0.1).clamp(0, 1)
            value = octave.at(q)
            mottled += float(self.strength[number]) * left * value
            if number in (1, 2, 3):                 # dark lines where a wave's sum is nearly zero
                vessels += left * torch.exp(-(value / 0.16) ** 2) * (0.9, 0.7, 0.5)[number - 1]
        dark = torch.exp(-self.vessels * vessels)
        waves = q.new_tensor(self.colour) * torch.exp(mottled[:, None] * q.new_tensor(self.tint) * 0.6)
        return waves * torch.stack((dark.sqrt(), dark, dark), dim=1)

    def _fold_angle(self, p: Tensor, time: float) -> Tensor:
        return self.folds._angle(p) - p.new_tensor(self.beat * time)


def _directions(rng: np.random.Generator, count: int) -> np.ndarray:
    drawn = rng.normal(size=(count, 3))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)

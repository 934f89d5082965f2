"""The lie of the land: a smooth height field of a few long waves."""
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Relief:
    """Height above datum z(x, y) = sum_i a_i sin(kx_i x + ky_i y + phi_i), all float64 arrays [waves]."""

    amplitude: np.ndarray
    kx: np.ndarray
    ky: np.ndarray
    phase: np.ndarray

    @classmethod
    def random(cls, rng: np.random.Generator, steepest: float, waves: int = 3) -> Relief:
        """Return a relief whose slope never exceeds `steepest` (a ratio, 0.04 = 4 %)."""
        length = rng.uniform(220, 520, waves)
        angle = rng.uniform(0, 2 * np.pi, waves)
        k = 2 * np.pi / length
        share = rng.dirichlet(np.full(waves, 3.0))
        return cls(steepest * share / k, k * np.cos(angle), k * np.sin(angle), rng.uniform(0, 2 * np.pi, waves))

    def height(self, x, y) -> np.ndarray:
        """Return the height [m] of points x, y [m] of any shape."""
        x, y = np.asarray(x, float)[..., None], np.asarray(y, float)[..., None]
        return (self.amplitude * np.sin(self.kx * x + self.ky * y + self.phase)).sum(-1)

    def slope(self, x, y) -> np.ndarray:
        """Return the gradient [..., 2] at points x, y [m]."""
        x, y = np.asarray(x, float)[..., None], np.asarray(y, float)[..., None]
        c = self.amplitude * np.cos(self.kx * x + self.ky * y + self.phase)
        return np.stack([(c * self.kx).sum(-1), (c * self.ky).sum(-1)], axis=-1)

    def under(self, x: float, y: float) -> tuple[float, float, float]:
        """Return height [m] and gradient at one point: `height` and `slope` without their arrays, for many movers."""
        z = gx = gy = 0.0
        for a, kx, ky, p in self.waves:
            angle = kx * x + ky * y + p
            rise = a * math.cos(angle)
            z, gx, gy = z + a * math.sin(angle), gx + rise * kx, gy + rise * ky
        return z, gx, gy

    @property
    def waves(self):
        """Amplitude, kx, ky and phase of each wave."""
        return zip(self.amplitude.tolist(), self.kx.tolist(), self.ky.tolist(), self.phase.tolist())

    def normal(self, x, y) -> np.ndarray:
        """Return the unit normal [..., 3]."""
        g = self.slope(x, y)
        n = np.concatenate([-g, np.ones((*g.shape[:-1], 1))], axis=-1)
        return n / np.linalg.norm(n, axis=-1, keepdims=True)

    def shifted(self, x: float, y: float) -> Relief:
        """Return the same land seen from a new origin (x, y)."""
        return Relief(self.amplitude, self.kx, self.ky, np.mod(self.phase + self.kx * x + self.ky * y, 2 * np.pi))

    def torch_height(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the height of torch points; use on a relief shifted close by, for float32."""
        z = None
        for a, kx, ky, p in zip(self.amplitude, self.kx, self.ky, self.phase):
            wave = torch.sin(torch.add(x * kx, y, alpha=ky).add_(p)).mul_(a)
            z = wave if z is None else z.add_(wave)
        return z

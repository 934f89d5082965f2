"""Crowns of trees: skins of ellipsoids with holes, through which rays see the far skin, and what is behind."""
from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from semdepth_ros.world.primitives import HALF, PARAMETERS
from semdepth_ros.world.tiles import NEAR

GRAINS = 64         # a side of the pattern, which repeats
FULL_M, FADED_M, FADED = 20.0, 70.0, 0.45    # all holes are open up to FULL_M, a share of them beyond FADED_M


@lru_cache(maxsize=4)
def pattern(device: str) -> torch.Tensor:
    """Return how soon a grain of leaves becomes a hole as holes grow, 0..1, float32 [GRAINS ^ 3]: clumps, speckles."""
    rng = np.random.default_rng(78)
    total = 0.8 * rng.standard_normal((GRAINS,) * 3)
    wave = np.fft.fftfreq(GRAINS)
    squared = wave[:, None, None] ** 2 + wave[:, None] ** 2 + wave ** 2
    for grains, weight in ((1.5, 0.9), (4.5, 0.7)):
        spectrum = np.fft.fftn(rng.standard_normal((GRAINS,) * 3))
        smooth = np.fft.ifftn(spectrum * np.exp(-2 * (np.pi * grains) ** 2 * squared))
        total += weight * smooth.real / smooth.real.std()
    rank = total.ravel().argsort().argsort()
    return torch.from_numpy((rank / rank.size).astype(np.float32)).to(device)


def meet_crowns(look: torch.Tensor):
    """Return a function for `cast`: where rays o + t d meet leaves on the unit ball's near or far skin, inf if never.

    The share of holes falls with distance, as those smaller than a pixel close.

    :param look: columns of the primitives' table [COLUMNS, N]; of each its half size, share of holes, grain [m], and
        two places in the pattern
    """
    holes, grain = look[PARAMETERS][0], look[PARAMETERS][1].clamp(min=0.02)
    scale = (look[HALF] / grain).t().contiguous()                           # [N, 3]
    place = torch.cat([look[PARAMETERS][2:], look[PARAMETERS][2:3] * 1.7]).t().contiguous()

    def meet(which: torch.Tensor, o: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
        dx, dy, dz = d.unbind(1)
        ox, oy, oz = o.unbind(1)
        a = (dx * dx).addcmul_(dy, dy).addcmul_(dz, dz)
        b = (dx * ox).addcmul_(dy, oy).addcmul_(dz, oz)
        root = (b * b).addcmul_(a, ox * ox + oy * oy + oz * oz - 1, value=-1)
        miss = root < 0
        root = root.clamp_(min=0).sqrt_()
        inverse = a.clamp_(min=1e-12).reciprocal_()
        enter, leave = (-b - root).mul_(inverse), (root - b).mul_(inverse)
        miss |= enter < NEAR
        share, size, at = holes[which][:, None], scale[which][..., None], place[which][..., None]
        open_share = share * (1 - (enter - FULL_M) / (FADED_M - FULL_M) * (1 - FADED)).clamp_(FADED, 1)
        through = _grain(enter, o, d, size, at) < open_share
        leave.masked_fill_(_grain(leave, o, d, size, at) < open_share, float('inf'))
        return torch.where(through, leave, enter).masked_fill_(miss, float('inf'))
    return meet


def _grain(t: torch.Tensor, o: torch.Tensor, d: torch.Tensor, size: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """Return the pattern's value where rays are at t [n, R]."""
    cell = (d * t[:, None]).add_(o).mul_(size).add_(at).floor_().clamp_(-1e6, 1e6).int().bitwise_and_(GRAINS - 1)
    index = cell[:, 0].mul(GRAINS).add_(cell[:, 1]).mul_(GRAINS).add_(cell[:, 2])
    return pattern(str(t.device)).index_select(0, index.view(-1)).view(t.shape)

"""Depth may change where the image does."""
from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from semdepth_ros.losses import edge_aware_smoothness
from semdepth_ros.training.terms.weight import Weighted
from semdepth_ros.training.view import View


@dataclass(frozen=True)
class Smoothness(Weighted):
    """How the smoothness term counts."""

    weight: float = 1e-3


def smoothness(view: View, settings: Smoothness) -> Tensor:
    """Return the mean over the scales of the smoothness at the scale's own size, halved from one to the next.

    A coarse pixel counts where all that it covers is seen. Godard et al. 2019, eq. 3.
    """
    seen, terms = view.batch.seen[:, None].to(view.target.dtype), []
    for s, disparity in enumerate(view.prediction.disparities):
        size = disparity.shape[-2:]
        whole = F.interpolate(seen, size, mode='area') == 1
        terms.append(edge_aware_smoothness(disparity, F.interpolate(view.target, size, mode='area'), whole) / 2 ** s)
    return torch.stack(terms).mean()

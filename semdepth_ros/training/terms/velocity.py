"""The camera's known travel gives depth its metres."""
from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from semdepth_ros.losses import velocity_loss
from semdepth_ros.training.terms.weight import Weighted
from semdepth_ros.training.view import View


@dataclass(frozen=True)
class Velocity(Weighted):
    """How the velocity term counts."""

    weight: float = 0.05


def velocity(view: View, settings: Velocity) -> Tensor:
    """Return how far the learned motions are from the known lengths (Guizilini et al. 2020, PackNet, eq. 6)."""
    return velocity_loss(view.prediction.extras['translation'], view.batch.distance.transpose(0, 1).flatten())

"""How images enter the network."""
from __future__ import annotations

from torch import Tensor, nn

MEAN, STD = 0.45, 0.225


class Normalisation(nn.Module):
    """Where images enter the network: a place for whoever runs it in another type or layout to hook on."""

    def forward(self, image: Tensor) -> Tensor:
        """Return (image - 0.45) / 0.225, as Monodepth2, of images in 0..1."""
        return (image - MEAN) / STD

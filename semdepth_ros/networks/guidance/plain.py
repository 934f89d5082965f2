"""No guidance: the depth decoder sees nothing of the semantic decoder."""
from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from semdepth_ros.networks.guidance.guide import Guide, GuidedParts, Semantics


@dataclass(frozen=True)
class PlainSettings:
    """Nothing to set."""


class Plain(nn.Module):
    """The two decoders share their encoder and, where a recipe says so, their first convolutions, and no more."""

    def __init__(self, settings: PlainSettings, parts: GuidedParts):
        super().__init__()

    def forward(self, image: Tensor, features: list[Tensor], semantics: Semantics, labels: Tensor | None = None) -> Guide:
        """Return a guide that changes nothing."""
        return Guide()

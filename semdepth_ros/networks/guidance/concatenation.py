"""Concatenation: the plain way to show a segmenter's features to the depth decoder, to measure others against."""
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from semdepth_ros.networks.guidance.guide import GuidedParts
from semdepth_ros.networks.guidance.segmenter_guidance import SegmenterGuidance, SegmenterSettings


@dataclass(frozen=True)
class ConcatenationSettings(SegmenterSettings):
    """The segmenter, and where it guides."""


class ConcatenatingConvolution(nn.Conv2d):
    """A 3x3 convolution of features and guidance side by side."""

    def __init__(self, channels: int, guidance: int):
        super().__init__(channels + guidance, channels, 3, padding=1)
        nn.init.kaiming_normal_(self.weight, nonlinearity='linear')
        nn.init.zeros_(self.bias)

    def forward(self, features: Tensor, guidance: Tensor) -> Tensor:
        """Return [B, channels, H, W] of features of that shape and guidance [B, D, H, W]."""
        return super().forward(torch.cat((features, guidance), dim=1))


class Concatenation(SegmenterGuidance):
    """The same features at the same levels as PixelAdaptive, given to ordinary convolutions (form ours)."""

    def __init__(self, settings: ConcatenationSettings, parts: GuidedParts):
        super().__init__(settings, parts, ConcatenatingConvolution)

"""The slot between the semantic and the depth decoder, through which classes may guide depth."""
from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn


class Semantics(NamedTuple):
    """What the semantic decoder knows when the depth decoder runs.

    :param levels: its level outputs by level: levels[i] is [B, C_i, H / 2^i, W / 2^i]
    :param logits: class scores [B, C, H, W]
    """

    levels: dict[int, Tensor]
    logits: Tensor


class Plain(nn.Module):
    """No guidance: the depth decoder sees nothing of the semantic decoder.

    Every guidance is built with (depth_channels, semantic_channels, classes), the first two by level, and is called
    once a level, coarse to fine, by the depth decoder.
    """

    def __init__(self, depth_channels: dict[int, int], semantic_channels: dict[int, int], classes: int):
        super().__init__()

    def forward(self, level: int, depth: Tensor, semantics: Semantics) -> Tensor:
        """Return what takes the place of the depth decoder's output at this level, of the same shape."""
        return depth


GUIDANCES = {'plain': Plain}

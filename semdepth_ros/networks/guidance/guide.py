"""What guidance between the semantic and the depth decoder is told, and what it may do."""
from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor


class Semantics(NamedTuple):
    """What the semantic decoder knows when the depth decoder runs.

    :param levels: its level outputs, counted from its finest: levels[i] is [B, C_i, H / stride_i, W / stride_i]
    :param logits: class scores [B, C, H, W]
    """

    levels: dict[int, Tensor]
    logits: Tensor


@dataclass(frozen=True)
class DecoderLevels:
    """The levels of a decoder, counted from its finest one, 0: the small decoders have none at full size.

    :param channels, strides: of each level's output; strides in pixels of the image
    :param upsampled, output: a guide is asked at so many of the finest levels: at all, unless decoders share the coarse
        ones
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    upsampled: int
    output: int


@dataclass(frozen=True)
class GuidedParts:
    """The shapes of what stands around a guidance.

    :param encoder: channels of the encoder's features, at strides 2, 4, 8, 16, 32
    :param semantic, depth: the two decoders
    :param classes: number of class scores
    """

    encoder: tuple[int, ...]
    semantic: DecoderLevels
    depth: DecoderLevels
    classes: int


class Guide:
    """A guidance bound to one batch of images, asked by the depth decoder from its coarsest level to its finest.

    What is returned may not be changed in place: others hold the same tensors. This guide changes nothing; methods
    derive from it.
    """

    def upsampled(self, level: int, x: Tensor) -> Tensor:
        """Return what takes the place of a level's up-sampled features, before the encoder's are concatenated.

        :param x: [B, channels[level], H / strides[level], W / strides[level]], as what is returned
        """
        return x

    def output(self, level: int, x: Tensor, levels: dict[int, Tensor]) -> Tensor:
        """Return what takes the place of a level's output.

        :param x: shapes as in `upsampled`
        :param levels: the depth decoder's coarser levels, as this guide left them
        """
        return x

    def extras(self) -> dict[str, Tensor]:
        """Return what the prediction is to hand on under names of the method's own, such as logits for a term.

        Asked after the depth decoder has run.
        """
        return {}

"""Halving and doubling a map's size without throwing anything away: packing and unpacking (Guizilini et al. 2020, CVPR)."""
from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KERNEL = 3                  # of the 3D convolution, in all its directions
ACROSS = 8                  # maps that it makes of every one


class ChannelConvolution(nn.Module):
    """A 3D convolution that takes the channels of a map for a third direction, from one feature to several.

    Out of [B, C, H, W] come [B, maps * C, H, W], channel m * C + c the one of feature m at channel c. Beyond the first and
    last channel, and beyond the border, lie zeros. The weights are a tensor of four dimensions [maps, 3, 3, 3] (channel,
    row, column), which fits into a network whose tensors lie channels last.
    """

    def __init__(self, maps: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(maps, KERNEL, KERNEL, KERNEL))
        self.bias = nn.Parameter(torch.empty(maps))
        bound = 1 / math.sqrt(KERNEL ** 3)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of x, one after the other."""
        weight = self.weight.contiguous().unsqueeze(1)
        return F.conv3d(x.contiguous().unsqueeze(1), weight, self.bias, padding=KERNEL // 2).flatten(1, 2)


def conv_gn_elu(inputs: int, width: int, kernel: int = 3) -> nn.Sequential:
    """Return a convolution, a group normalisation and an ELU; 16 groups, or so many that each has four channels."""
    conv = nn.Conv2d(inputs, width, kernel, 1, kernel // 2)
    return nn.Sequential(conv, nn.GroupNorm(groups_of(width), width), nn.ELU(inplace=True))


def groups_of(width: int) -> int:
    """Return how many groups a width is normalised in."""
    return min(16, max(1, width // 4))


class Pack(nn.Module):
    """Space to depth, a 3D convolution, a 2D convolution back to the width: [B, C, H, W] to [B, C, H / 2, W / 2].

    :param width: C
    :param kernel: of the 2D convolution
    :param maps: of the 3D convolution
    """

    def __init__(self, width: int, kernel: int = 3, maps: int = ACROSS):
        super().__init__()
        self.features = ChannelConvolution(maps)
        self.conv = conv_gn_elu(4 * width * maps, width, kernel)

    def forward(self, x: Tensor) -> Tensor:
        """Return the packed map."""
        return self.conv(self.features(F.pixel_unshuffle(x, 2)))


class Unpack(nn.Module):
    """A 2D convolution, a 3D one, depth to space: [B, inputs, H, W] to [B, width, 2 H, 2 W].

    :param width: a multiple of maps / 4
    """

    def __init__(self, inputs: int, width: int, maps: int = ACROSS):
        super().__init__()
        self.conv = conv_gn_elu(inputs, 4 * width // maps)
        self.features = ChannelConvolution(maps)

    def forward(self, x: Tensor) -> Tensor:
        """Return the unpacked map."""
        return F.pixel_shuffle(self.features(self.conv(x)), 2)

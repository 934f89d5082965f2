"""PackNet's encoder: residual units between packings, at strides 1 to 32 (Guizilini et al. 2020, CVPR)."""
from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from semdepth_ros.networks.packing import Pack, conv_gn_elu, groups_of

KERNELS = (5, 3, 3, 3, 3)   # of the packings' 2D convolutions
UNITS = (2, 2, 3, 3)        # of the stages between them


class ResidualUnit(nn.Module):
    """Two 3x3 convolutions and a 1x1 shortcut, normalised in groups, with an ELU behind the sum."""

    def __init__(self, inputs: int, width: int):
        super().__init__()
        self.convs = nn.Sequential(conv_gn_elu(inputs, width), nn.Conv2d(width, width, 3, padding=1))
        self.shortcut = nn.Conv2d(inputs, width, 1) if inputs != width else nn.Identity()
        self.norm = nn.GroupNorm(groups_of(width), width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the unit's output [B, width, H, W]."""
        return F.elu(self.norm(self.convs(x) + self.shortcut(x)))


class PackNet(nn.Module):
    """A 5x5 stem and a 7x7 convolution at full size, then five packings with stages of residual units between them.

    Widths, kernels and numbers of units are read of the released code; the order of sum, normalisation and ELU in a unit is
    ours. The features at full size, which PackNet's decoder takes too, are not given: our decoders begin at stride 2.
    """

    channels = (64, 64, 128, 256, 512)
    maps = 8

    def __init__(self):
        super().__init__()
        widths, maps = self.channels, self.maps
        self.stem = nn.Sequential(conv_gn_elu(3, widths[0], 5), conv_gn_elu(widths[0], widths[0], 7))
        self.packs = nn.ModuleList(Pack(width, kernel, maps) for width, kernel in zip(widths, KERNELS))
        self.stages = nn.ModuleList(_stage(*each) for each in zip(widths[:-1], widths[1:], UNITS))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return features at strides 2, 4, 8, 16 and 32 of a normalised image [B, 3, H, W]."""
        features = [self.packs[0](self.stem(x))]
        for stage, pack in zip(self.stages, self.packs[1:]):
            features.append(pack(stage(features[-1])))
        return features


class SlimPackNet(PackNet):
    """The same with a quarter of the widths, and half of the maps (form ours): for processors."""

    channels = (16, 16, 32, 64, 128)
    maps = 4


def _stage(inputs: int, width: int, units: int) -> nn.Sequential:
    return nn.Sequential(ResidualUnit(inputs, width), *(ResidualUnit(width, width) for _ in range(units - 1)))

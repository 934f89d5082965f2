"""A thin branch from the encoder to the depth decoder's output: its own where all convolutions are shared."""
from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from semdepth_ros.networks.guidance.guide import Guide, GuidedParts, Semantics
from semdepth_ros.networks.resnet import initialise
from semdepth_ros.settings import between


@dataclass(frozen=True)
class LowRankSettings:
    """How wide the branch is.

    :param rank: channels that all the encoder's levels are brought to
    """

    rank: int = 8

    def __post_init__(self):
        between(self, 1, 256, 'rank')


class LowRankBranch(nn.Module):
    """Adds to each output of the depth decoder that it is asked about, with encoder levels f_s and output x:

        x' = x + Conv(ELU(sum_s up(A_s f_s)))

    A_s are 1x1 convolutions to `rank` channels, up is bilinear, Conv is 3x3 and starts at zero: a network that is given
    the branch puts out what it did without. Classes never see it. Form ours, after adapters of Houlsby et al. 2019.
    """

    def __init__(self, settings: LowRankSettings, parts: GuidedParts):
        super().__init__()
        self.levels = nn.ModuleDict()
        for level in range(parts.depth.output):
            self.levels[str(level)] = nn.ModuleDict({
                'read': nn.ModuleList(nn.Conv2d(channels, settings.rank, 1) for channels in parts.encoder),
                'write': nn.Conv2d(settings.rank, parts.depth.channels[level], 3, padding=1)})
        initialise(self)
        for level in self.levels.values():
            nn.init.zeros_(level['write'].weight)

    def forward(self, image: Tensor, features: list[Tensor], semantics: Semantics,
                labels: Tensor | None = None) -> Guide:
        """Return the guide of these images."""
        return LowRankGuide(self, features)


class LowRankGuide(Guide):
    """The branch bound to one batch of images."""

    def __init__(self, branch: LowRankBranch, features: list[Tensor]):
        self.branch, self.features = branch, features

    def output(self, level: int, x: Tensor, levels: dict[int, Tensor]) -> Tensor:
        """Return a level's output with what the branch adds."""
        own, size = self.branch.levels[str(level)], x.shape[-2:]
        read = sum(F.interpolate(conv(f), size, mode='bilinear', align_corners=False)
                   for conv, f in zip(own['read'], self.features))
        return x + own['write'](F.elu(read))

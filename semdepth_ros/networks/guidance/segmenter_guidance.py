"""What guidances by a frozen segmenter have in common: its features, brought to every level of the depth decoder."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from semdepth_ros.networks.frozen import Frozen
from semdepth_ros.networks.guidance.guide import Guide, GuidedParts, Semantics
from semdepth_ros.networks.guidance.segmenters import check_source, open_segmenter
from semdepth_ros.settings import SettingsError, between, one_of

INITIAL_WEIGHTS = ('random', 'identity')


@dataclass(frozen=True)
class SegmenterSettings:
    """Which segmenter guides, and where.

    :param segmenter: a model file, the name of a packaged model or transformers:NAME; in a model file's card a
        description, since the weights travel with it
    :param channels: of the guidance at each level
    :param strides: of the levels that are guided [px]
    :param initial_weights: `random`, or `identity`: at the start features pass as they are, so that weights trained without
        this guidance keep their worth (form ours)
    """

    segmenter: Any
    channels: int = 32
    strides: tuple[int, ...] = (2, 4, 8, 16)
    initial_weights: str = 'random'

    def __post_init__(self):
        check_source(self.segmenter)
        between(self, 1, 1024, 'channels')
        one_of('initial_weights', self.initial_weights, INITIAL_WEIGHTS)
        if not self.strides or any(stride not in (1, 2, 4, 8, 16) for stride in self.strides):
            raise SettingsError(f'strides is {list(self.strides)}, expected some of [1, 2, 4, 8, 16]')


class SegmenterGuidance(nn.Module):
    """A frozen segmenter's features, mapped to the guidance of each level and given to that level's operator.

    At each guided level, before the encoder's features join: x' = operator(x, g), where g is a 1x1 convolution and a
    batch normalisation of the segmenter's features at that stride, or the nearest that it has, bilinearly resized.
    Guizilini et al. 2020 draw one guidance map a level that enters where the stream goes to the next; the mapping's
    form is ours.

    :param operator: makes a module of (features [B, C, H, W], guidance [B, D, H, W]) to [B, C, H, W], given C and D: a
        convolution with `weight` [C, inputs, k, k], the features before all other inputs
    :raises ValueError: a segmenter that cannot be used, in one line; no level with such a stride

    `settings` are those given with the segmenter described: what a model file's card says. `least_side` is the least
    height and width of images [px].
    """

    def __init__(self, settings: SegmenterSettings, parts: GuidedParts, operator: Callable[[int, int], nn.Module]):
        super().__init__()
        segmenter = open_segmenter(settings.segmenter, parts.classes)
        self.settings, self.least_side = replace(settings, segmenter=segmenter.description), segmenter.least_side
        strides = parts.depth.strides[:parts.depth.upsampled]
        guided = {level: stride for level, stride in enumerate(strides) if stride in settings.strides}
        if not guided:
            raise SettingsError(f'strides is {list(settings.strides)}, expected some of {list(strides)}, those of the '
                                f"depth decoder's own levels")
        self.sources = {level: _nearest(stride, segmenter.channels) for level, stride in guided.items()}
        self.mappings = nn.ModuleDict({str(level): _mapping(segmenter.channels[source], settings.channels)
                                       for level, source in self.sources.items()})
        self.operators = nn.ModuleDict({
            str(level): operator(parts.depth.channels[level], settings.channels) for level in guided})
        if settings.initial_weights == 'identity':
            for each in self.operators.values():
                nn.init.dirac_(each.weight)
        self.segmenter = Frozen(segmenter)

    def forward(self, image: Tensor, features: list[Tensor], semantics: Semantics,
                labels: Tensor | None = None) -> Guide:
        """Return the guide of a normalised image [B, 3, H, W]; the network's own classes are not looked at."""
        pyramid = self.segmenter(image)
        guidance = {level: self.mappings[str(level)](pyramid[source]) for level, source in self.sources.items()}
        return _SegmenterGuide(guidance, self.operators)


class _SegmenterGuide(Guide):
    def __init__(self, guidance: dict[int, Tensor], operators: nn.ModuleDict):
        self._guidance, self._operators = guidance, operators

    def upsampled(self, level: int, x: Tensor) -> Tensor:
        if level not in self._guidance:
            return x
        guidance = self._guidance[level]
        if guidance.shape[-2:] != x.shape[-2:]:
            guidance = F.interpolate(guidance, x.shape[-2:], mode='bilinear', align_corners=False)
        return self._operators[str(level)](x, guidance)


def _mapping(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width))


def _nearest(stride: int, channels: dict[int, int]) -> int:
    """Return the stride that there are features of and that is nearest by ratio, the finer of two."""
    return min(sorted(channels), key=lambda other: max(stride / other, other / stride))

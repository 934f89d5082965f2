"""Depth and semantic decoders: a path from stride 32 up, and heads on it."""
from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semdepth_ros.networks.guidance import Semantics
from semdepth_ros.networks.resnet import initialise

Block = Callable[[int, int], nn.Module]
Guide = Callable[[int, Tensor], Tensor]
DECODER_CHANNELS = (16, 32, 64, 128, 256)
SMALL_DECODER_CHANNELS = (16, 32, 48, 96, 128)


def conv_elu(inputs: int, width: int) -> nn.Sequential:
    """Return a 3x3 convolution with reflected borders and ELU (Godard et al. 2019, supplementary table)."""
    return nn.Sequential(reflect_conv(inputs, width), nn.ELU(inplace=True))


def conv_bn_leaky(inputs: int, width: int) -> nn.Sequential:
    """Return a 3x3 convolution whose normalisation can be folded into it, and a leaky ReLU (form ours).

    Leaky, because all of the few units before a head can die in a wide flat region such as the sky.
    """
    conv = nn.Conv2d(inputs, width, 3, 1, 1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(width), nn.LeakyReLU(0.1, inplace=True))


def reflect_conv(inputs: int, width: int) -> nn.Conv2d:
    """Return a 3x3 convolution with reflected borders."""
    return nn.Conv2d(inputs, width, 3, padding=1, padding_mode='reflect')


class DisparityHead(nn.Conv2d):
    """A 3x3 convolution that stays in single precision whatever the network is converted to.

    Its outputs are the inputs of a sigmoid, and far depths lie where those are -5 to -8; there bfloat16 has steps of 3 %
    of depth, which clouds show as terraces.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return what the sigmoid takes, in single precision."""
        with torch.autocast(x.device.type, enabled=False):
            return self._conv_forward(x.float(), self.weight, self.bias)

    def _apply(self, convert: Callable[[Tensor], Tensor], recurse: bool = True) -> DisparityHead:
        def keep_precision(tensor: Tensor) -> Tensor:
            converted = convert(tensor)
            return converted if converted.dtype == tensor.dtype else tensor.to(converted.device)
        return super()._apply(keep_precision, recurse)


class UpwardPath(nn.Module):
    """Levels 4 to `finest`, each: block, nearest up-sampling, concatenation with the encoder's features, block.

    Level i gives channels[i] channels at stride 2^i. Godard et al. 2019.

    :param block: makes a block of (inputs, width)
    :param encoder_channels: at strides 2, 4, 8, 16, 32
    """

    def __init__(self, block: Block, encoder_channels: tuple[int, ...], channels: tuple[int, ...], finest: int = 0):
        super().__init__()
        self.channels = {i: channels[i] for i in range(finest, 5)}
        self.before, self.after = nn.ModuleDict(), nn.ModuleDict()
        inputs = encoder_channels[-1]
        for i in sorted(self.channels, reverse=True):
            skip = encoder_channels[i - 1] if i > 0 else 0
            self.before[str(i)] = block(inputs, channels[i])
            self.after[str(i)] = block(channels[i] + skip, channels[i])
            inputs = channels[i]

    def forward(self, features: list[Tensor], guide: Guide | None = None) -> dict[int, Tensor]:
        """Return the output of each level; guide(level, output), if given, takes its place."""
        x, levels = features[-1], {}
        for i in sorted(self.channels, reverse=True):
            x = F.interpolate(self.before[str(i)](x), scale_factor=2.0, mode='nearest')
            if i > 0:
                x = torch.cat((x, features[i - 1]), dim=1)
            x = self.after[str(i)](x)
            if guide is not None:
                x = guide(i, x)
            levels[i] = x
        return levels


class DepthDecoder(nn.Module):
    """Monodepth2's depth decoder: 3,152,724 parameters on ResNet-18 (Godard et al. 2019).

    :param initial_disparity: sigmoid output to start near; None leaves Monodepth2's start, near 0.5

    `fewest_heads` is how many of the heads the finest disparity needs, `least_side` the least height and width of
    images: reflected borders need two pixels at stride 32.
    """

    fewest_heads, least_side = 1, 64

    def __init__(self, encoder_channels: tuple[int, ...], initial_disparity: float | None):
        super().__init__()
        self.path = UpwardPath(conv_elu, encoder_channels, DECODER_CHANNELS)
        self.heads = nn.ModuleList(
            DisparityHead(DECODER_CHANNELS[s], 1, 3, padding=1, padding_mode='reflect') for s in range(4))
        if initial_disparity is not None:
            start_near(self.heads, initial_disparity)

    def forward(self, features: list[Tensor], guide: Guide, scales: int) -> tuple[Tensor, ...]:
        """Return the finest disparities, scale s [B, 1, H / 2^s, W / 2^s]."""
        levels = self.path(features, guide)
        return tuple(torch.sigmoid(self.heads[s](levels[s])) for s in range(scales))


class SemanticDecoder(nn.Module):
    """A second copy of the depth decoder's path with class scores at full size (as Jung et al. 2021)."""

    least_side = 64

    def __init__(self, encoder_channels: tuple[int, ...], classes: int):
        super().__init__()
        self.path = UpwardPath(conv_elu, encoder_channels, DECODER_CHANNELS)
        self.head = reflect_conv(DECODER_CHANNELS[0], classes)

    def forward(self, features: list[Tensor]) -> Semantics:
        """Return the level outputs and the scores [B, classes, H, W]."""
        levels = self.path(features)
        return Semantics(levels, self.head(levels[0]))


class SmallDepthDecoder(nn.Module):
    """A narrow path to stride 2; the full-size disparity is the half-size one and what four channels add to its pixels.

    Form ours; the channels are laid out as by Shi et al. 2016. A full-size disparity of its own was seen to lag far behind
    the others: after 100 steps the sky still lay where training had started.

    :param initial_disparity: sigmoid output to start near; None is 0.5

    `fewest_heads` is how many of the heads the finest disparity needs, `least_side` the least height and width of
    images.
    """

    fewest_heads, least_side = 2, 32

    def __init__(self, encoder_channels: tuple[int, ...], initial_disparity: float | None):
        super().__init__()
        widths = SMALL_DECODER_CHANNELS
        self.path = UpwardPath(conv_bn_leaky, encoder_channels, widths, finest=1)
        self.fine = conv_bn_leaky(widths[1], widths[0])
        outputs = (4, 1, 1, 1)
        self.heads = nn.ModuleList(DisparityHead(widths[s], outputs[s], 3, padding=1) for s in range(4))
        initialise(self)
        start_near(self.heads[:1], 0.5)
        start_near(self.heads[1:], 0.5 if initial_disparity is None else initial_disparity)

    def forward(self, features: list[Tensor], guide: Guide, scales: int) -> tuple[Tensor, ...]:
        """Return the finest disparities, scale s [B, 1, H / 2^s, W / 2^s]."""
        levels = self.path(features, guide)
        coarse = [self.heads[s](levels[s]) for s in range(1, max(scales, 2))]
        finest = F.pixel_shuffle(coarse[0] + self.heads[0](self.fine(levels[1])), 2)
        return tuple(torch.sigmoid(x) for x in (finest, *coarse)[:scales])


class SmallSemanticDecoder(nn.Module):
    """A narrow path to stride 2, class scores there, bilinear to full size (form ours)."""

    least_side = 32

    def __init__(self, encoder_channels: tuple[int, ...], classes: int):
        super().__init__()
        self.path = UpwardPath(conv_bn_leaky, encoder_channels, SMALL_DECODER_CHANNELS, finest=1)
        self.head = nn.Conv2d(SMALL_DECODER_CHANNELS[1], classes, 3, padding=1)
        initialise(self)

    def forward(self, features: list[Tensor]) -> Semantics:
        """Return the level outputs and the scores [B, classes, H, W]."""
        levels = self.path(features)
        scores = F.interpolate(self.head(levels[1]), scale_factor=2.0, mode='bilinear', align_corners=False)
        return Semantics(levels, scores)


def start_near(heads: nn.ModuleList, disparity: float) -> None:
    """Set the heads' bias to this sigmoid output and their weights small, so that training starts there.

    SGDepth (Klingner et al. 2020) too starts from a bias, for stability. Which depth to start at is ours.
    """
    for head in heads:
        nn.init.normal_(head.weight, std=0.003)
        nn.init.constant_(head.bias, math.log(disparity / (1 - disparity)))

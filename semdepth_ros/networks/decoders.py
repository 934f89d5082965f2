"""Depth and semantic decoders: an upward path, and heads on it."""
from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semdepth_ros.networks.guidance import Guide, Semantics
from semdepth_ros.networks.packing import Unpack, conv_gn_elu
from semdepth_ros.networks.resnet import initialise
from semdepth_ros.networks.upward_path import PathForm, PathState, UpwardPath


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


MONODEPTH2 = PathForm(conv_elu, (16, 32, 64, 128, 256), finest=0, initialised=False)
PACKNET = PathForm(conv_gn_elu, (64, 64, 128, 256, 512), finest=0, initialised=False, doubling=Unpack)
SLIM_PACKNET = PathForm(conv_gn_elu, (16, 16, 32, 64, 128), finest=0, initialised=False,
                        doubling=partial(Unpack, maps=4))
SMALL = PathForm(conv_bn_leaky, (16, 32, 48, 96, 128), finest=1, initialised=True)


class DepthDecoder(nn.Module):
    """Monodepth2's depth decoder: 3,152,724 parameters on ResNet-18 (Godard et al. 2019).

    :param initial_disparity: sigmoid output to start near; None leaves Monodepth2's start, near 0.5
    :param shared: how many of the path's convolutions another path does, whose end forward is then given

    `fewest_heads` is how many of the heads the finest disparity needs, `least_side` the least height and width of
    images: reflected borders need two pixels at stride 32.
    """

    form, fewest_heads, least_side = MONODEPTH2, 1, 64

    def __init__(self, encoder_channels: tuple[int, ...], initial_disparity: float | None, shared: int = 0):
        super().__init__()
        self.path = UpwardPath(self.form, encoder_channels, shared)
        self.heads = nn.ModuleList(
            DisparityHead(self.form.channels[s], 1, 3, padding=1, padding_mode='reflect') for s in range(4))
        if initial_disparity is not None:
            start_near(self.heads, initial_disparity)

    def forward(self, features: list[Tensor], guide: Guide, scales: int,
                begun: PathState | None = None) -> tuple[Tensor, ...]:
        """Return the finest disparities, scale s [B, 1, H / 2^s, W / 2^s]."""
        levels = self.path(features, guide, begun).levels
        return tuple(torch.sigmoid(self.heads[s](levels[s])) for s in range(scales))


class PackNetDecoder(DepthDecoder):
    """PackNet's: each level unpacks, joins the encoder's features and convolves (Guizilini et al. 2020, CVPR).

    Theirs joins the coarser disparity, up-sampled, and at full size the stem's features as well; ours does not.
    """

    form, least_side = PACKNET, 32


class SlimPackNetDecoder(DepthDecoder):
    """The same with a quarter of the widths (form ours)."""

    form, least_side = SLIM_PACKNET, 32


class SemanticDecoder(nn.Module):
    """A second copy of the depth decoder's path with class scores at full size (as Jung et al. 2021)."""

    form, least_side = MONODEPTH2, 64

    def __init__(self, encoder_channels: tuple[int, ...], classes: int, shared: int = 0):
        super().__init__()
        self.path = UpwardPath(self.form, encoder_channels, shared)
        self.head = reflect_conv(self.form.channels[0], classes)

    def forward(self, features: list[Tensor], begun: PathState | None = None) -> Semantics:
        """Return the level outputs and the scores [B, classes, H, W]."""
        levels = self.path(features, Guide(), begun).levels
        return Semantics(levels, self.head(levels[0]))


class SmallDepthDecoder(nn.Module):
    """A narrow path to stride 2; the full-size disparity is the half-size one and what four channels add to its pixels.

    Form ours; the channels are laid out as by Shi et al. 2016. A full-size disparity of its own was seen to lag far behind
    the others: after 100 steps the sky still lay where training had started.

    :param initial_disparity: sigmoid output to start near; None is 0.5

    `fewest_heads` is how many of the heads the finest disparity needs, `least_side` the least height and width of
    images.
    """

    form, fewest_heads, least_side = SMALL, 2, 32

    def __init__(self, encoder_channels: tuple[int, ...], initial_disparity: float | None, shared: int = 0):
        super().__init__()
        widths = self.form.channels
        self.path = UpwardPath(self.form, encoder_channels, shared)
        self.fine = conv_bn_leaky(widths[1], widths[0])
        outputs = (4, 1, 1, 1)
        self.heads = nn.ModuleList(DisparityHead(widths[s], outputs[s], 3, padding=1) for s in range(4))
        initialise(self)
        start_near(self.heads[:1], 0.5)
        start_near(self.heads[1:], 0.5 if initial_disparity is None else initial_disparity)

    def forward(self, features: list[Tensor], guide: Guide, scales: int,
                begun: PathState | None = None) -> tuple[Tensor, ...]:
        """Return the finest disparities, scale s [B, 1, H / 2^s, W / 2^s]."""
        levels = self.path(features, guide, begun).levels
        coarse = [self.heads[s](levels[s - 1]) for s in range(1, max(scales, 2))]
        finest = F.pixel_shuffle(coarse[0] + self.heads[0](self.fine(levels[0])), 2)
        return tuple(torch.sigmoid(x) for x in (finest, *coarse)[:scales])


class SmallSemanticDecoder(nn.Module):
    """A narrow path to stride 2, class scores there, bilinear to full size (form ours)."""

    form, least_side = SMALL, 32

    def __init__(self, encoder_channels: tuple[int, ...], classes: int, shared: int = 0):
        super().__init__()
        self.path = UpwardPath(self.form, encoder_channels, shared)
        self.head = nn.Conv2d(self.form.channels[1], classes, 3, padding=1)
        initialise(self)

    def forward(self, features: list[Tensor], begun: PathState | None = None) -> Semantics:
        """Return the level outputs and the scores [B, classes, H, W]."""
        levels = self.path(features, Guide(), begun).levels
        scores = F.interpolate(self.head(levels[0]), scale_factor=2.0, mode='bilinear', align_corners=False)
        return Semantics(levels, scores)


def start_near(heads: nn.ModuleList, disparity: float) -> None:
    """Set the heads' bias to this sigmoid output and their weights small, so that training starts there.

    SGDepth (Klingner et al. 2020) too starts from a bias, for stability. Which depth to start at is ours.
    """
    for head in heads:
        nn.init.normal_(head.weight, std=0.003)
        nn.init.constant_(head.bias, math.log(disparity / (1 - disparity)))

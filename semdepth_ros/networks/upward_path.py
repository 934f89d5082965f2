"""The way from stride 32 up that depth and semantic decoders have in common, and may share the beginning of."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semdepth_ros.networks.guidance import DecoderLevels, Guide
from semdepth_ros.networks.resnet import initialise

COARSEST = 4  # the octave of a path's first level: its stride is 2^4


@dataclass(frozen=True)
class PathForm:
    """What a path is made of.

    :param block: makes a convolution and what follows it, of (inputs, width)
    :param channels: of the outputs at strides 1, 2, 4, 8, 16
    :param finest: the octave of the finest level, whose stride is 2^finest
    :param initialised: whether convolutions are drawn for the activations of the block, not as torch draws them
    :param doubling: makes, of (inputs, width), what doubles the size of a level's input and stands for the level's first
        block and the up-sampling behind it; None is those two
    """

    block: Callable[[int, int], nn.Module]
    channels: tuple[int, ...]
    finest: int
    initialised: bool
    doubling: Callable[[int, int], nn.Module] | None = None

    @property
    def steps(self) -> int:
        """The number of blocks of a whole path, two a level."""
        return 2 * (COARSEST + 1 - self.finest)

    def levels(self, shared: int) -> DecoderLevels:
        """Return the levels of a path whose first convolutions are shared with another decoder."""
        octaves, (whole, half) = range(self.finest, COARSEST + 1), divmod(shared, 2)
        unshared = len(octaves) - whole
        return DecoderLevels(tuple(self.channels[i] for i in octaves), tuple(2 ** i for i in octaves),
                             upsampled=unshared, output=unshared + bool(whole and not half))


class PathState(NamedTuple):
    """How far a path has come.

    :param x: what its last convolution gave, up-sampled where that was the first of a level
    :param levels: the outputs of whole levels, counted from the finest
    """

    x: Tensor
    levels: dict[int, Tensor]


class UpwardPath(nn.Module):
    """Levels from stride 16 to the finest, each: block, nearest up-sampling, concatenation with the encoder's features,
    block (Godard et al. 2019).

    Two convolutions a level; a path may have those from `first` to before `last` only. Blocks are named after the octave
    of their level: `before.4` is the first of all.

    :param encoder_channels: at strides 2, 4, 8, 16, 32
    """

    def __init__(self, form: PathForm, encoder_channels: tuple[int, ...], first: int = 0, last: int | None = None):
        super().__init__()
        self.finest, self.steps = form.finest, range(first, form.steps if last is None else last)
        self.before, self.after, self.doubles = nn.ModuleDict(), nn.ModuleDict(), form.doubling is not None
        for step in self.steps:
            octave, is_second = COARSEST - step // 2, step % 2
            width = form.channels[octave]
            if is_second:
                skip = encoder_channels[octave - 1] if octave > 0 else 0
                self.after[str(octave)] = form.block(width + skip, width)
            else:
                inputs = encoder_channels[-1] if octave == COARSEST else form.channels[octave + 1]
                self.before[str(octave)] = (form.doubling or form.block)(inputs, width)

    def forward(self, features: list[Tensor], guide: Guide, begun: PathState | None = None) -> PathState:
        """Return where the path ends.

        :param features: of the encoder, stride 2 first
        :param begun: where the path that goes before this one ends; None starts at stride 32
        """
        x, levels = (features[-1], {}) if begun is None else (begun.x, dict(begun.levels))
        if levels and self.steps.start % 2 == 0:  # the shared part has ended with a level, which only this path guides
            level = min(levels)
            x = levels[level] = guide.output(level, levels.pop(level), levels)
        for step in self.steps:
            octave, level = COARSEST - step // 2, COARSEST - step // 2 - self.finest
            if step % 2 == 0:
                x = self.before[str(octave)](x)
                x = x if self.doubles else F.interpolate(x, scale_factor=2.0, mode='nearest')
            else:
                x = guide.upsampled(level, x)
                if octave > 0:
                    x = torch.cat((x, features[octave - 1]), dim=1)
                x = levels[level] = guide.output(level, self.after[str(octave)](x), levels)
        return PathState(x, levels)


def shared_path(form: PathForm, encoder_channels: tuple[int, ...], convolutions: int) -> UpwardPath | None:
    """Return the first convolutions of a path, for two decoders to begin from; None for none."""
    if not convolutions:
        return None
    path = UpwardPath(form, encoder_channels, last=convolutions)
    if form.initialised:
        initialise(path)
    return path

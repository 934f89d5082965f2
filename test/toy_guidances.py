"""A guidance of every kind that the seam between the decoders must carry, none of them good for anything else."""
from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semdepth_ros.networks.frozen import Frozen
from semdepth_ros.networks.guidance import GUIDANCES, Guidance, Guide, GuidedParts


@dataclass(frozen=True)
class ToySettings:
    """How strongly a toy acts, and at how many of the levels it is asked at, from the coarsest."""

    strength: float = 1.0
    levels: int = 2


def layer(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU6(inplace=True))


class Toy(nn.Module):
    """One layer for each level that it acts at, from as many channels as `inputs` says to the depth decoder's."""

    def __init__(self, settings: ToySettings, parts: GuidedParts):
        super().__init__()
        self.strength, self.classes, self.strides = settings.strength, parts.classes, parts.depth.strides
        last = len(self.strides) - 1
        self.layers = nn.ModuleDict({str(i): layer(self.inputs(parts, i), parts.depth.channels[i])
                                     for i in range(last, last - settings.levels, -1)})

    def inputs(self, parts: GuidedParts, level: int) -> int:
        return parts.depth.channels[level]

    def at(self, level: int, known: Tensor, x: Tensor) -> Tensor:
        """Return x and what the level's layer makes of what is known, brought to its size."""
        if str(level) not in self.layers:
            return x
        return x + self.strength * self.layers[str(level)](F.interpolate(known.to(x.dtype), x.shape[-2:]))


class Bound(Guide):
    def __init__(self, toy, image, features, semantics, labels):
        self.toy, self.image, self.features, self.semantics, self.labels = toy, image, features, semantics, labels


class Tinted(Toy):
    """Looks at the image."""

    class Guide(Bound):
        def output(self, level, x, levels):
            return self.toy.at(level, self.image, x)

    def inputs(self, parts, level):
        return 3

    def forward(self, image, features, semantics, labels=None):
        return self.Guide(self, image, features, semantics, labels)


class Early(Tinted):
    """Acts before the encoder's features join, on what the encoder and the semantic decoder have there."""

    class Guide(Bound):
        def upsampled(self, level, x):
            known = torch.cat((F.interpolate(self.features[-1], x.shape[-2:]), self.semantics.levels[level]), 1)
            return self.toy.at(level, known, x)

    def inputs(self, parts, level):
        return parts.encoder[-1] + parts.semantic.channels[level]


class Late(Tinted):
    """Acts on a level's output, looking at the coarser levels, and hands on what it saw."""

    class Guide(Bound):
        seen = None

        def output(self, level, x, levels):
            self.seen = self.semantics.levels[level].mean(1, keepdim=True)
            known = torch.cat((self.semantics.levels[level], *(F.interpolate(levels[i], x.shape[-2:])
                                                               for i in sorted(levels))), 1)
            return self.toy.at(level, known, x)

        def extras(self):
            return {'seen': self.seen}

    def inputs(self, parts, level):
        return parts.semantic.channels[level] + sum(parts.depth.channels[level + 1:])


class Pointed(Tinted):
    """Writes the finest output anew at the eight points where two classes are nearest to each other."""

    class Guide(Bound):
        def output(self, level, x, levels):
            if level:
                return x
            first, second = F.interpolate(self.semantics.logits.float(), x.shape[-2:]).topk(2, 1).values.unbind(1)
            index = (second - first).flatten(1).topk(8).indices[:, None].expand(-1, x.shape[1], -1)
            points = self.toy.layers['0'](x.flatten(2).gather(2, index)[..., None])[..., 0]
            return x.flatten(2).scatter(2, index, points.to(x.dtype)).view_as(x)

    def __init__(self, settings, parts):
        super().__init__(settings, parts)
        self.layers = nn.ModuleDict({'0': layer(parts.depth.channels[0], parts.depth.channels[0])})


class Told(Tinted):
    """Looks at labels, where it is given them."""

    class Guide(Bound):
        def output(self, level, x, levels):
            labels = self.semantics.logits.argmax(1) if self.labels is None else self.labels.long()
            one_hot = F.one_hot(labels.clamp(max=self.toy.classes), self.toy.classes + 1)[..., :self.toy.classes]
            return self.toy.at(level, one_hot.permute(0, 3, 1, 2).float(), x)

    def inputs(self, parts, level):
        return parts.classes


class Segmented(Early):
    """Looks at what a segmenter that was trained elsewhere makes of the image."""

    class Guide(Bound):
        def upsampled(self, level, x):
            return self.toy.at(level, self.toy.segmenter(self.image), x)

    def __init__(self, settings, parts):
        super().__init__(settings, parts)
        self.segmenter = Frozen(nn.Sequential(layer(3, 8), nn.Dropout(0.5), nn.Conv2d(8, 4, 1)))

    def inputs(self, parts, level):
        return 4


class Listening(Guide):
    """A guide that notes what it is asked."""

    def __init__(self):
        self.asked = []

    def upsampled(self, level, x):
        self.asked.append(('upsampled', level, tuple(x.shape)))
        return x

    def output(self, level, x, levels):
        self.asked.append(('output', level, tuple(x.shape), {i: tuple(t.shape) for i, t in levels.items()}))
        return x


TOYS = {'tinted': Tinted, 'early': Early, 'late': Late, 'pointed': Pointed, 'told': Told, 'segmented': Segmented}
ROWS = {name: Guidance(ToySettings, toy) for name, toy in TOYS.items()}


def add_toys(monkeypatch) -> None:
    """Add every toy to the table by its row, until the test ends."""
    for name, row in ROWS.items():
        monkeypatch.setitem(GUIDANCES, name, row)

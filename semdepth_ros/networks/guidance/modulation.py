"""Spatial feature modulation: the map of classes scales and shifts what semantic and depth features say together."""
from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semdepth_ros.networks.guidance.guide import Guide, GuidedParts, Semantics
from semdepth_ros.networks.guidance.label_map import SOURCES, label_map
from semdepth_ros.networks.guidance.levels import guided_levels, semantic_features, semantic_level
from semdepth_ros.networks.resnet import initialise
from semdepth_ros.settings import between, one_of

NORMS = {'batch': nn.BatchNorm2d, 'instance': nn.InstanceNorm2d}


@dataclass(frozen=True)
class ModulationSettings:
    """How classes modulate depth features.

    :param levels: of the depth decoder, counted from its finest; nothing is the three coarsest
    :param source: of the map of classes: `labels` where they are given, else and where unlabelled the network's own
        most probable class; `hard`: always that; `soft`: the network's probabilities
    :param hidden: channels between the map of classes and the parameters made from it
    :param norm: of the features that are modulated, `batch` or `instance`; only `batch` can be folded
    """

    levels: tuple[int, ...] | None = None
    source: str = 'labels'
    hidden: int = 32
    norm: str = 'batch'

    def __post_init__(self):
        one_of('source', self.source, SOURCES)
        one_of('norm', self.norm, NORMS)
        between(self, 1, 1024, 'hidden')


class Modulation(nn.Module):
    """Modulates the depth decoder's output at some of its levels.

    After Li et al. 2021 (arXiv 2102.06685, SSFA; Pattern Recognition 2023, SSFM). What their overview figure shows is
    built as it stands: at several levels semantic features and the multi-class label map go in, and the depth decoder,
    it alone, gets what comes out. Form ours: everything within, see ModulatedLevel.
    """

    def __init__(self, settings: ModulationSettings, parts: GuidedParts):
        super().__init__()
        self.source, self.strides, self.semantic_levels = settings.source, parts.depth.strides, {}
        self.levels = nn.ModuleDict()
        for level in guided_levels(parts, settings.levels):
            self.semantic_levels[level] = semantic_level(parts, level)
            self.levels[str(level)] = ModulatedLevel(
                parts.classes, parts.semantic.channels[self.semantic_levels[level]], parts.depth.channels[level],
                settings.hidden, settings.norm)

    def forward(self, image: Tensor, features: list[Tensor], semantics: Semantics,
                labels: Tensor | None = None) -> Guide:
        """Return the guide of these images."""
        return ModulationGuide(self, semantics, labels)


class ModulatedLevel(nn.Module):
    """The equations of one level, with the label map S, semantic features F_s and depth features F_d of its size:

        A      = ReLU(Conv(S))
        gamma  = Conv(A),  beta = Conv(A)
        X      = Norm(Conv([F_d, F_s]))
        F_d'   = F_d + ELU(Conv((1 + gamma) X + beta))

    All convolutions are 3x3; Norm has no scale and shift of its own. Form ours: how parameters are made from labels is
    SPADE's (Park et al. 2019), the fusion and the residual are ours. The last convolution starts at zero, so that
    training can go on from a network without modulation.

    :param classes, semantic, depth: channels of S, F_s and F_d
    """

    def __init__(self, classes: int, semantic: int, depth: int, hidden: int, norm: str):
        super().__init__()
        self.labels = nn.Sequential(nn.Conv2d(classes, hidden, 3, padding=1), nn.ReLU(inplace=True))
        self.gamma = nn.Conv2d(hidden, depth, 3, padding=1)
        self.beta = nn.Conv2d(hidden, depth, 3, padding=1)
        self.fusion = nn.Sequential(nn.Conv2d(depth + semantic, depth, 3, padding=1, bias=False),
                                    NORMS[norm](depth, affine=False))
        self.write = nn.Conv2d(depth, depth, 3, padding=1)
        initialise(self)
        nn.init.zeros_(self.write.weight)

    def forward(self, depth: Tensor, semantic: Tensor, label_map: Tensor) -> Tensor:
        """Return F_d' of F_d, F_s and S."""
        known = self.labels(label_map)
        fused = self.fusion(torch.cat((depth, semantic), 1))
        modulated = (1 + self.gamma(known)) * fused + self.beta(known)
        return depth + F.elu(self.write(modulated))


class ModulationGuide(Guide):
    """Modulation bound to one batch of images."""

    def __init__(self, modulation: Modulation, semantics: Semantics, labels: Tensor | None):
        self.modulation, self.semantics, self.labels = modulation, semantics, labels

    def output(self, level: int, x: Tensor, levels: dict[int, Tensor]) -> Tensor:
        """Return a level's output, modulated where that is to be."""
        own = self.modulation
        if str(level) not in own.levels:
            return x
        semantic = semantic_features(self.semantics, own.semantic_levels[level], x)
        classes = label_map(self.semantics.logits, self.labels, own.strides[level], own.source)
        return own.levels[str(level)](x, semantic, classes.to(x.dtype))

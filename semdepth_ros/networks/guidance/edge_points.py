"""Edge points (SEEM): depth features on semantic edges are made anew from all that is known there."""
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from semdepth_ros.classes import CITYSCAPES, MOVABLE, THIN
from semdepth_ros.networks.guidance.guide import Guide, GuidedParts, Semantics
from semdepth_ros.networks.guidance.label_map import middles
from semdepth_ros.networks.guidance.point_enhancement import WRITES, PointEnhancement
from semdepth_ros.networks.guidance.point_sampling import (at_points, drawn_points, edge_strength, strongest_points,
                                                           uncertainty, written_at)
from semdepth_ros.settings import SettingsError, between, one_of

SAID_AT = 640 * 192  # the size of images that the number of points is said for [px]
PREDICTED = ('gradient', 'uncertainty')


@dataclass(frozen=True)
class EdgePointsSettings:
    """Where edge points lie and what becomes of them.

    :param points: of an image of 640x192; their number grows with the area
    :param candidates: so many times as many are drawn in training, and the strongest edges of them kept
    :param share: of the points that are such edges in training; the others are drawn from the whole image
    :param label_share: of the labelled images of training whose edges are the labels'; those of others are predicted
    :param predicted: what an edge of predicted classes is, the `gradient` of their probability or its `uncertainty`
    :param thin: whether poles, traffic lights and signs are foreground, as what moves is
    :param maps: so many of the finest of the encoder, of the semantic and of the depth decoder are looked at
    :param width: of the perceptron
    :param attention: whether points of an image attend to each other
    :param write: whether what comes out takes the place of depth features (`substitution`), or is added (`residual`)
    """

    points: int = 3072
    candidates: int = 3
    share: float = 0.75
    label_share: float = 0.5
    predicted: str = 'gradient'
    thin: bool = False
    maps: int = 3
    width: int = 128
    attention: bool = False
    write: str = 'substitution'

    def __post_init__(self):
        between(self, 1, SAID_AT, 'points')
        between(self, 1, 100, 'candidates')
        between(self, 0, 1, 'share', 'label_share')
        one_of('predicted', self.predicted, PREDICTED)
        between(self, 1, 4, 'maps')
        between(self, 1, 4096, 'width')
        one_of('write', self.write, WRITES)


class EdgePoints(nn.Module):
    """Writes the depth decoder's finest output anew at pixels on semantic edges.

    After Li et al. 2020 (SEEM, arXiv 2012.08048). As in their overview figure points come from a binary map of
    foreground, the three finest maps of encoder, semantic and depth decoder are looked at, and the enhanced vectors are
    substituted in the last depth map. Form ours: foreground is what moves; the importance sampling is PointRend's
    (Kirillov et al. 2020); maps are sampled at the points and never put together as a whole; edges are predicted where
    no labels are given, and in training for a part of the images, so that the network meets both; without training the
    strongest edges are taken.

    :raises SettingsError: as many classes as the table of classes has not
    """

    def __init__(self, settings: EdgePointsSettings, parts: GuidedParts):
        super().__init__()
        if parts.classes != len(CITYSCAPES):
            raise SettingsError(f'classes is {parts.classes}, expected {len(CITYSCAPES)}: edge points ask which of them '
                                f'move')
        self.settings, self.stride = settings, parts.depth.strides[0]
        beside = sum(parts.encoder[:settings.maps]) + sum(parts.semantic.channels[:settings.maps])
        self.enhancement = PointEnhancement(
            beside + sum(parts.depth.channels[:settings.maps]), parts.depth.channels[0], beside, settings.width,
            settings.attention, settings.write)
        ids = MOVABLE + THIN if settings.thin else MOVABLE
        foreground = torch.tensor([float(i in ids) for i in range(parts.classes)])
        self.register_buffer('foreground', foreground, persistent=False)

    def forward(self, image: Tensor, features: list[Tensor], semantics: Semantics,
                labels: Tensor | None = None) -> Guide:
        """Return the guide of these images."""
        return EdgePointsGuide(self, features, semantics, self.points(semantics.logits, labels))

    @torch.no_grad()
    def points(self, logits: Tensor, labels: Tensor | None) -> Tensor:
        """Return pixels of the finest depth map, int64 [B, N], each once; in training drawn, else the same every time.

        :param logits: class scores [B, C, H, W]
        :param labels: class ids [B, H, W], where they are given
        """
        how, strength = self.settings, self.predicted_edges(logits).flatten(1)
        if labels is not None:
            told = (labels < len(self.foreground)).flatten(1).any(1)
            if self.training:
                told &= torch.rand(told.shape, device=told.device) < how.label_share
            strength = torch.where(told[:, None], self.label_edges(labels).flatten(1), strength)
        count = min(max(round(how.points * logits[0, 0].numel() / SAID_AT), 1), strength.shape[1])
        if self.training:
            return drawn_points(strength, count, how.candidates, how.share)
        return strongest_points(strength, count)

    def predicted_edges(self, logits: Tensor) -> Tensor:
        """Return how much of an edge each pixel of the finest depth map is by the network's classes, float32."""
        probabilities = middles(logits, self.stride).float().softmax(1)
        foreground = (probabilities * self.foreground.float()[:, None, None]).sum(1)
        return uncertainty(foreground) if self.settings.predicted == 'uncertainty' else edge_strength(foreground)

    def label_edges(self, labels: Tensor) -> Tensor:
        """Return which pixels of the finest depth map are edges by labels, 1 or 0; unlabelled pixels make none."""
        known = labels < len(self.foreground)
        foreground = self.foreground.float()[labels.long().where(known, 0)]
        return edge_strength(foreground, known, self.stride)


class EdgePointsGuide(Guide):
    """Edge points of one batch of images."""

    def __init__(self, module: EdgePoints, features: list[Tensor], semantics: Semantics, points: Tensor):
        self.module, self.features, self.semantics, self.points = module, features, semantics, points

    def output(self, level: int, x: Tensor, levels: dict[int, Tensor]) -> Tensor:
        """Return the finest output with new features at the points."""
        if level:
            return x
        count, size = self.module.settings.maps, x.shape[-2:]
        semantic = [self.semantics.levels[i] for i in range(count)]
        maps = [*self.features[:count], *semantic, x, *(levels[i] for i in range(1, count))]
        known = torch.cat([at_points(each, self.points, size).to(x.dtype) for each in maps], 2)
        written = self.module.enhancement(known, at_points(x, self.points, size))
        return written_at(x, self.points, written.to(x.dtype))

    def extras(self) -> dict[str, Tensor]:
        """Return the points as `edge_points`: indices of pixels of the finest depth map, int64 [B, N]."""
        return {'edge_points': self.points}

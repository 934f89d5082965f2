"""What guidance does to a network's depth: how far it moves features at each level, and depth in each part of a frame."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from semdepth_ros.classes import MOVABLE, THIN
from semdepth_ros.evaluation.class_borders import border_distance
from semdepth_ros.networks import JointNetwork
from semdepth_ros.networks.guidance import Guide
from semdepth_ros.networks.guidance.attention import AttentionLevel
from semdepth_ros.networks.guidance.chain import Chain
from semdepth_ros.networks.guidance.modulation import ModulatedLevel
from semdepth_ros.networks.guidance.point_enhancement import PointEnhancement
from semdepth_ros.networks.prediction import inverse_depth
from semdepth_ros.training.pair_survey import SurveyFrame

BORDER_PX = 5  # of the frame's own size
PARTS = ('all', 'at borders', 'elsewhere', 'movable', 'thin')


@dataclass(frozen=True)
class Attended:
    """Where pixels look, at a level with attention.

    :param alpha: what attended features are multiplied by; 1 without a gate
    :param weights: of one pixel by its row and column in the level, [h, w], their sum 1
    """

    alpha: float
    weights: dict[tuple[int, int], Tensor]


@dataclass(frozen=True)
class GuidedLevel:
    """What one guidance did at one level of the depth decoder.

    :param name: the kind of guidance, and the level counted from the finest
    :param stride: of the level [px]
    :param change: how far features moved, |F' - F| / |F| over the channels, [h, w]
    :param gains: of modulation: root mean square of gamma and of beta over the channels, [h, w] each
    :param attended: of attention
    """

    name: str
    stride: int
    change: Tensor
    gains: dict[str, Tensor] = field(default_factory=dict)
    attended: Attended | None = None


@dataclass(frozen=True)
class Guided:
    """A frame as a guided network sees it.

    :param levels: what each guidance did, in the order in which it acted
    :param labels: predicted classes, uint8 [H, W]
    :param depth, unguided: with guidance and, by the same weights, without, float32 [H, W], up to the focal length
    :param points: indices of the edge points in the finest level [N]; None where guidance has none
    """

    levels: list[GuidedLevel]
    labels: Tensor
    depth: Tensor
    unguided: Tensor
    points: Tensor | None

    @property
    def moved(self) -> Tensor:
        """ln(depth / unguided), [H, W]."""
        return (self.depth / self.unguided).log()


class _Watched(nn.Module):
    """A guidance whose guide says what it changes."""

    def __init__(self, guidance: nn.Module, seen: list[GuidedLevel], places: tuple[tuple[int, int], ...]):
        super().__init__()
        self.guidance, self.seen, self.places = guidance, seen, places

    def forward(self, image, features, semantics, labels=None) -> Guide:
        return _WatchedGuide(self, self.guidance(image, features, semantics, labels), image.shape[-1])


class _WatchedGuide(Guide):
    def __init__(self, watched: _Watched, guide: Guide, width: int):
        self.watched, self.guide, self.width = watched, guide, width

    def upsampled(self, level, x):
        return self._compared(level, x, self.guide.upsampled(level, x))

    def output(self, level, x, levels):
        own, details = self.watched, {}
        with _details(own.guidance, self.width // x.shape[-1], own.places, details):
            return self._compared(level, x, self.guide.output(level, x, levels), details)

    def extras(self):
        return self.guide.extras()

    def _compared(self, level, before, after, details=None):
        if after is not before:
            change = (after - before).norm(dim=1) / before.norm(dim=1).clamp(min=1e-12)
            name = f'{type(self.watched.guidance).__name__}, level {level}'
            stride = self.width // before.shape[-1]
            self.watched.seen.append(GuidedLevel(name, stride, change[0], **(details or {})))
        return after


@contextmanager
def _details(guidance: nn.Module, stride: int, places, details: dict) -> Iterator[None]:
    """Fill `details` with the maps that the modules of modulation and attention make within the block."""
    def of_modulation(module, inputs, _):
        known = module.labels(inputs[2])
        details['gains'] = {name: getattr(module, name)(known)[0].square().mean(0).sqrt() for name in ('gamma', 'beta')}

    def of_attention(module, inputs, _):
        semantic = inputs[1]
        cells = {(row // stride, column // stride) for row, column in places}
        details['attended'] = Attended(1.0 if module.alpha is None else float(module.alpha), {
            cell: module.looked_at(semantic, *cell)[0] for cell in sorted(cells)})
    among_points = {part for each in guidance.modules() if isinstance(each, PointEnhancement) for part in each.modules()}
    hooks = [module.register_forward_hook(of_modulation if isinstance(module, ModulatedLevel) else of_attention)
             for module in guidance.modules()                       # points that attend to each other are no map
             if isinstance(module, (ModulatedLevel, AttentionLevel)) and module not in among_points]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _watched(network: JointNetwork, seen: list[GuidedLevel], places) -> Iterator[None]:
    """Put a watch on every guidance of the network within the block."""
    kept = network.guidance
    if isinstance(kept, Chain):
        network.guidance = Chain([_Watched(each, seen, places) for each in kept.guidances])
    else:
        network.guidance = _Watched(kept, seen, places)
    try:
        yield
    finally:
        network.guidance = kept


@torch.no_grad()
def guided(network: JointNetwork, frame: SurveyFrame, range_m: tuple[float, float], given: bool = False,
           places: tuple[tuple[int, int], ...] = ()) -> Guided:
    """Run a network with its guidance, watched, and without it.

    :param network: in evaluation mode; it is not changed
    :param range_m: least and greatest depth of its disparities
    :param given: whether guidance is given the frame's true labels
    :param places: rows and columns of pixels whose attention is wanted
    """
    seen: list[GuidedLevel] = []
    image, labels = frame.image[None], frame.labels['true'][None] if given else None
    with _watched(network, seen, places):
        prediction = network(image, labels=labels)
    kept, network.guidance = network.guidance, _Unguided()
    try:
        plain = network(image)
    finally:
        network.guidance = kept
    depth, unguided = (1 / inverse_depth(p.disparities, *range_m)[0][0, 0] for p in (prediction, plain))
    points = prediction.extras.get('edge_points')
    return Guided(seen, prediction.logits[0].argmax(0).to(torch.uint8), depth, unguided,
                  None if points is None else points[0])


class _Unguided(nn.Module):
    def forward(self, image, features, semantics, labels=None) -> Guide:
        return Guide()


def parts_of(labels: Tensor) -> dict[str, Tensor]:
    """Return which pixels of a frame belong to each of PARTS, bool [H, W] each, by its labels [H, W]."""
    border = torch.from_numpy(border_distance(labels.numpy()) <= BORDER_PX)
    return {'all': torch.ones_like(border), 'at borders': border, 'elsewhere': ~border,
            'movable': torch.isin(labels, torch.tensor(MOVABLE, dtype=labels.dtype)),
            'thin': torch.isin(labels, torch.tensor(THIN, dtype=labels.dtype))}


def survey(network: JointNetwork, frames: list[SurveyFrame], range_m: tuple[float, float], given: bool = False) -> dict:
    """Return how far guidance moves features and depth, by parts of frames: {'depth': {part: mean |ln ratio|}, 'levels':
    {name: {part: mean relative change}}, 'attention': {name: alpha}}.

    Parts are those of the true labels where a frame has them, else of the predicted ones; a part that no frame has is
    None.
    """
    sums: dict[str, dict[str, list]] = {}
    alphas = {}
    for frame in frames:
        seen = guided(network, frame, range_m, given, places=((0, 0),))
        parts = parts_of(frame.labels.get('true', seen.labels))
        _add(sums, 'depth', seen.moved.abs(), parts, 1)
        for level in seen.levels:
            _add(sums, level.name, level.change, parts, level.stride)
            if level.attended:
                alphas[level.name] = level.attended.alpha
    means = {name: {part: float(np.sum(total) / np.sum(count)) if np.sum(count) else None
                    for part, (total, count) in each.items()} for name, each in sums.items()}
    return {'depth': means.pop('depth'), 'levels': means, 'attention': alphas}


def _add(sums: dict, name: str, values: Tensor, parts: dict[str, Tensor], stride: int) -> None:
    own = sums.setdefault(name, {part: ([], []) for part in PARTS})
    for part, mask in parts.items():
        cells = mask[stride // 2::stride, stride // 2::stride]
        own[part][0].append(float(values[cells].double().sum()))
        own[part][1].append(int(cells.sum()))

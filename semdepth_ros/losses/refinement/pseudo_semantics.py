"""Pseudo-semantics from depth: labels that the network is sure of otherwise, and what pixels of like depth say."""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from semdepth_ros.classes import UNLABELLED
from semdepth_ros.losses.pair_sampling import SAID_AT
from semdepth_ros.settings import SettingsError, between


@dataclass(frozen=True)
class SemanticRefinement:
    """How labels are refined. Lengths are of an image 640 px wide.

    :param start: the first step at which they are; before, labels are as given
    :param confidence: a label is replaced by the network's class where that is more probable than this
    :param class_share: and where it is among so large a share of the batch's pixels of that class, the surest ones. One
        threshold for all classes lets frequent ones swallow their neighbours: a young network is sure of them alone
    :param window_px: side of the window that votes; 0 takes no vote
    :param spacing_px: between the pixels of it that vote
    :param alike: pixels vote whose ln inverse depth differs by at most this
    :param majority: share of the votes that the winner replaces another label with
    :param undecided: entropy of the votes [nats] above which a pixel is left unlabelled
    """

    start: int = 0
    confidence: float = 0.9
    class_share: float = 1.0
    window_px: float = 20.0
    spacing_px: float = 5.0
    alike: float = 0.05
    majority: float = 0.9
    undecided: float = 0.9

    def __post_init__(self):
        between(self, 0, math.inf, 'start', 'window_px', 'alike', 'undecided')
        between(self, 0, 1, 'confidence', 'class_share', 'majority')
        if not 0 < self.spacing_px < math.inf:
            raise SettingsError(f'spacing_px is {self.spacing_px}, expected a positive number')


class PseudoSemantics(NamedTuple):
    """Refined labels.

    :param labels: uint8 [B, H, W], 255 where undecided
    :param confidence: float32 [B, H, W] in 0..1: that of the label as given, or the network's in its own class
    """

    labels: Tensor
    confidence: Tensor


@torch.no_grad()
def pseudo_semantics(logits: Tensor, labels: Tensor, confidence: Tensor, depth: Tensor,
                     how: SemanticRefinement = SemanticRefinement()) -> PseudoSemantics:
    """Return labels refined by the network's own classes, then by the votes of pixels around that are about as far.

    A vote weighs what its label is trusted. Labels that the network is sure of are neither outvoted nor undecided; what
    is unlabelled stays so.

    :param logits: class scores [B, C, H, W]
    :param labels: as given, uint8 [B, H, W]
    :param confidence: how far each is trusted, float32 [B, H, W] in 0..1
    :param depth: float32 [B, H, W] m, positive
    After Lin et al. 2023; the paper's form could not be read, this one is ours.
    """
    share, own = logits.float().softmax(dim=1).max(dim=1)
    sure = (share > how.confidence) & surest_of_class(share, own, logits.shape[1], how.class_share)
    labelled, own = labels != UNLABELLED, own.to(labels.dtype)
    replaced = labelled & sure & (own != labels)
    labels, confidence = torch.where(replaced, own, labels), torch.where(replaced, share, confidence)
    if not how.window_px:
        return PseudoSemantics(labels, confidence)
    votes = votes_of_like_depth(labels, confidence, depth, logits.shape[1], how)
    total = votes.sum(dim=1)
    most, winner = votes.max(dim=1)
    winner, open_ = winner.to(labels.dtype), labelled & (total > 0) & ~(sure & (own == labels))
    outvoted = open_ & (most >= how.majority * total) & (winner != labels)
    undecided = open_ & (entropy(votes, total) > how.undecided)
    labels = torch.where(outvoted, winner, labels).masked_fill(undecided, UNLABELLED)
    return PseudoSemantics(labels, torch.where(outvoted, most / total.clamp(min=1e-6), confidence))


def surest_of_class(probability: Tensor, own: Tensor, classes: int, share: float) -> Tensor:
    """Return which pixels are among the surest share of those of their class, rounded up, bool like `own`.

    :param probability: of each pixel's class, float32 of any shape in 0..1
    :param own: each pixel's class, int64
    After Zou et al. 2018 (class-balanced self-training, arXiv 1810.07911), within a batch instead of a data set.
    """
    if share == 1:
        return torch.ones_like(own, dtype=torch.bool)
    flat = own.flatten()
    order = (probability.flatten().double() + 2 * flat).argsort(descending=True)      # class by class, surest first
    pixels = torch.zeros(classes, dtype=torch.int64, device=own.device).scatter_add_(0, flat, torch.ones_like(flat))
    begin = pixels.flip(0).cumsum(0).flip(0) - pixels                                 # of each class in that order
    rank = torch.arange(len(flat), device=own.device) - begin[flat[order]]
    taken = torch.empty_like(flat, dtype=torch.bool)
    taken[order] = rank < share * pixels[flat[order]]
    return taken.reshape(own.shape)


def votes_of_like_depth(labels: Tensor, weight: Tensor, depth: Tensor, classes: int, how: SemanticRefinement) -> Tensor:
    """Return what pixels of like depth in a window around each add up to for every class, [B, C, H, W].

    :param labels: uint8 [B, H, W], and weight, float32 [B, H, W]; UNLABELLED has no vote
    :param depth: float32 [B, H, W] m
    """
    scale = labels.shape[-1] / SAID_AT
    step = max(round(how.spacing_px * scale), 1)
    reach = int(how.window_px * scale / 2) // step * step
    weight = torch.where(labels == UNLABELLED, 0.0, weight)
    labels, log = labels.long().clamp(max=classes - 1), depth.log()
    wide_labels = F.pad(labels, (reach,) * 4)
    wide_weight, wide_log = F.pad(weight, (reach,) * 4), F.pad(log, (reach,) * 4, value=math.inf)
    votes = weight.new_zeros(len(labels), classes, *labels.shape[1:])
    height, width = labels.shape[1:]
    for down in range(0, 2 * reach + 1, step):
        for right in range(0, 2 * reach + 1, step):
            there = ..., slice(down, down + height), slice(right, right + width)
            alike = (wide_log[there] - log).abs() <= how.alike
            votes.scatter_add_(1, wide_labels[there][:, None], (wide_weight[there] * alike)[:, None])
    return votes


def entropy(votes: Tensor, total: Tensor) -> Tensor:
    """Return the entropy of shares of a total [nats], [B, H, W] of votes [B, C, H, W]; 0 where there are none."""
    return torch.special.entr(votes / total.clamp(min=1e-6)[:, None]).sum(dim=1)

"""Depth is to differ across the border of objects and to be one on either side of it, in no given order."""
from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from semdepth_ros.losses.ranking_pairs import Pairs

MARGINS = ('relative', 'absolute')
CERTAINTIES = ('distance', 'entropy')


def ranking_loss(disparity: Tensor, pairs: Pairs, weight: Tensor, margin: float = 0.15, margin_is: str = 'relative'
                 ) -> Tensor:
    """Return the weighted mean over pairs of log(1 + exp(-|d0 - d1|)) where they are to be apart, else (d0 - d1)^2.

    The logarithm never ends to push: a pair costs nothing once it is apart by the margin, but still counts in the mean.

    :param disparity: mean-normalised, [B, 1, H, W]
    :param weight: of each pair, [B, N]; pairs that are not valid have none whatever it says
    :param margin_is: how |d0 - d1| is compared: 'relative' to the larger one, or 'absolute'
    :return: a scalar, 0 where no pair counts
    Li et al. 2021, the case distinction as printed in their figure 1; weights, normalisation and margin are form ours.
    """
    values = disparity.flatten(1).gather(1, pairs.index.flatten(1)).view_as(pairs.index)            # [B, N, 2]
    difference = (values[..., 0] - values[..., 1]).abs()
    enough = margin * torch.maximum(*values.detach().unbind(dim=-1)) if margin_is == 'relative' else margin
    push = torch.where(difference.detach() < enough, F.softplus(-difference), 0.0)
    each = torch.where(pairs.apart, push, difference.square())
    weight = torch.where(pairs.valid, weight, 0.0)
    return (each * weight).sum() / weight.sum().clamp(min=torch.finfo(weight.dtype).tiny)


def object_probability(logits: Tensor, pairs: Pairs, objects: tuple[int, ...]) -> Tensor:
    """Return how probable objects are at the points of pairs, [B, N, 2].

    :param logits: class scores [B, C, H, W]
    :param objects: train ids
    """
    width, batch = logits.shape[-1], torch.arange(len(logits), device=logits.device)[:, None, None]
    row, column = torch.div(pairs.index, width, rounding_mode='floor'), pairs.index % width
    shares = logits[batch, :, row, column].float().softmax(dim=-1)                                  # [B, N, 2, C]
    return sum(shares[..., train_id] for train_id in objects)


def certainty(probability: Tensor, pairs: Pairs, measure: str = 'distance') -> Tensor:
    """Return the weight of pairs by how certain the network is of both points, and 0 where it contradicts a label.

    :param probability: of an object at both points, [B, N, 2]
    :param measure: of a point: 'distance', |2 q - 1|, or 'entropy', 1 - H(q) / ln 2
    :return: [B, N] in 0..1: the product over the two points
    The idea is Li et al.'s (2021, prediction uncertainty); form ours.
    """
    if measure == 'distance':
        certain = (2 * probability - 1).abs()
    else:
        bits = torch.special.entr(probability) + torch.special.entr(1 - probability)
        certain = (1 - bits / math.log(2)).clamp(0, 1)
    agrees = (probability > 0.5) == pairs.on_object
    certain = certain * agrees
    return certain[..., 0] * certain[..., 1]

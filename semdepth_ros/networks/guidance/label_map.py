"""The map of classes that guides: of labels that are given, or of the network's own scores."""
from __future__ import annotations

import torch
from torch import Tensor

SOURCES = ('labels', 'hard', 'soft')


def label_map(logits: Tensor, labels: Tensor | None, stride: int, source: str) -> Tensor:
    """Return how much of each class there is in the middle of every cell, [B, C, H / stride, W / stride].

    :param logits: class scores [B, C, H, W]
    :param labels: class ids [B, H, W]; what is no class is unlabelled; or None
    :param source: `labels`: one for the label, and for the most probable class where there is none; `hard`: one for the
        most probable class; `soft`: the probabilities of all
    """
    scores = middles(logits, stride)
    if source == 'soft':
        return scores.softmax(1)
    ids, classes = scores.argmax(1), scores.shape[1]
    if source == 'labels' and labels is not None:
        given = middles(labels, stride).long()
        ids = torch.where(given < classes, given, ids)
    # F.one_hot would wait for the device to see whether the ids are in range
    return (ids[:, None] == torch.arange(classes, device=ids.device)[:, None, None]).to(scores.dtype)


def middles(x: Tensor, stride: int) -> Tensor:
    """Return the pixel in the middle of every cell of stride x stride pixels, of four the last."""
    return x[..., stride // 2::stride, stride // 2::stride]

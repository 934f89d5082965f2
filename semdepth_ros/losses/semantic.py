"""How far the class logits are from the labels."""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from semdepth_ros.classes import UNLABELLED


def semantic_cross_entropy(logits: Tensor, labels: Tensor, confidence: Tensor | None = None,
                           class_weights: Tensor | None = None, label_smoothing: float = 0.0) -> Tensor:
    """Return the cross-entropy averaged over the labelled pixels; 0 where no pixel is labelled.

    :param logits: [B, C, H, W]
    :param labels: uint8 or int64 [B, H, W]; UNLABELLED (255) is left out
    :param confidence: [B, H, W] in 0..1, how far each label is trusted; None trusts all
    :param class_weights: [C], relative weight of each class
    :param label_smoothing: share of the target spread evenly over the classes (Szegedy et al. 2016)
    :return: a scalar
    """
    labels = labels.long()
    each = F.cross_entropy(logits, labels, ignore_index=UNLABELLED, label_smoothing=label_smoothing,
                           weight=class_weights, reduction='none')
    weight = (labels != UNLABELLED).to(logits.dtype)
    if confidence is not None:
        weight = weight * confidence
    if class_weights is not None:
        trust = weight * class_weights[labels.clamp(max=logits.shape[1] - 1)]
    else:
        trust = weight
    return (each * weight).sum() / trust.sum().clamp(min=torch.finfo(logits.dtype).tiny)

"""What one training step is given."""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class TripletBatch(NamedTuple):
    """Triplets of frames, of one size; a single triplet has the same fields without the first dimension.

    :param images: target, previous and next, uint8 [B, 3, 3, H, W]
    :param intrinsics: of the cut images, float32 [B, 3, 3] px
    :param distance: travelled from previous to target and from target to next, float32 [B, 2] m; NaN unknown
    :param labels: of the target, uint8 [B, H, W]; 255 unlabelled
    :param confidence: how far each label is trusted, float32 [B, H, W] in 0..1
    :param seen: false where the input shows nothing (padding, beyond the rectified image), bool [B, H, W]
    :param colour: the drawn change of appearance, float32 [B, K]
    :param origin: source, sequence, frame and stride, int64 [B, 4]
    :param depth: true depth of the target along Z, float32 [B, H, W] m; NaN no truth, +inf sky; None where no term asks
    """

    images: Tensor
    intrinsics: Tensor
    distance: Tensor
    labels: Tensor
    confidence: Tensor
    seen: Tensor
    colour: Tensor
    origin: Tensor
    depth: Tensor | None = None


def collate(items: list[TripletBatch]) -> TripletBatch:
    """Return the batch of single triplets."""
    return TripletBatch(*(None if parts[0] is None else torch.stack(parts) for parts in zip(*items)))

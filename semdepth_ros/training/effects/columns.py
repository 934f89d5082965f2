"""How effects read their numbers."""
from __future__ import annotations

from torch import Tensor


def columns(numbers: Tensor, images: Tensor) -> tuple[Tensor, ...]:
    """Return the columns of numbers [R, K], each [R, 1, 1, 1, 1] on the device of images [R, N, C, H, W]."""
    return numbers.to(images.device)[:, :, None, None, None, None].unbind(dim=1)

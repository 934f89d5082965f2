"""How effects bring what the host knows to the images' device, without waiting for it."""
from __future__ import annotations

from torch import Tensor


def sent(values: Tensor, images: Tensor) -> Tensor:
    """Return the host's values as floats on the device of images."""
    return values.to(images.device, images.dtype, non_blocking=True)


def columns(numbers: Tensor, images: Tensor) -> tuple[Tensor, ...]:
    """Return the columns of numbers [R, K], each [R, 1, 1, 1, 1] on the device of images [R, N, C, H, W]."""
    return sent(numbers, images)[:, :, None, None, None, None].unbind(dim=1)

"""The outputs of one frame in one block of bytes: depth, sigma, labels, confidence."""
from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from semdepth_ros.perception.decoding import Decoded

_BYTES_A_PIXEL = 4 + 4 + 1 + 1


def block_size(width: int, height: int) -> int:
    """Return the bytes that one frame's outputs take."""
    return _BYTES_A_PIXEL * width * height


def tensor_views(block: Tensor, width: int, height: int) -> Decoded:
    """Return the parts [height, width] of a block, uint8 [block_size], on any device, as views."""
    n, shape = width * height, (height, width)
    return Decoded(block[:4 * n].view(torch.float32).view(shape), block[4 * n:8 * n].view(torch.float32).view(shape),
                   block[8 * n:9 * n].view(shape), block[9 * n:].view(shape))


def array_views(block: Tensor, width: int, height: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the same parts of a block on the CPU as arrays, which keep it alive."""
    parts = tensor_views(block, width, height)
    return parts.depth.numpy(), parts.sigma.numpy(), parts.labels.numpy(), parts.confidence.numpy()

"""From the raw image buffer, in its own layout, to the network's input, on whatever device it lies."""
from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from semdepth_ros.geometry.input_geometry import InputGeometry

_REVERSED = ('bgr', 'bgra')


def network_input(raw: Tensor, layout: str, geometry: InputGeometry) -> Tensor:
    """Resize, rectify and pad an image, and put its channels in the network's order.

    Small first, everything else after: the full-size image is read once.

    :param raw: [H, W, C], uint8 or uint16
    :param layout: a key of semdepth_ros.frame.LAYOUTS; mono images become grey ones, of mono16 the upper 8 bits count
    :return: [1, 3, h, w] rgb, float32 in 0..1, channels last
    """
    if layout == 'mono16':
        raw = ((raw.to(torch.int32) + 128) // 257).to(torch.uint8)
    image = raw.permute(2, 0, 1)[None]
    if raw.device.type != 'cpu':  # only the CPU resizes bytes
        image = image.float()
    image = geometry.to_network(image)[:, :3]
    if layout in _REVERSED:
        image = image.flip(1)
    image = image.expand(-1, 3, -1, -1).to(torch.float32, memory_format=torch.channels_last)
    return image * (1 / 255)


def as_tensor(image: np.ndarray) -> Tensor:
    """Return a tensor [H, W, C] over a Frame's buffer without a copy.

    Only what torch cannot stride through is copied: an array that runs backwards, rows of words with an odd padding.
    """
    if any(stride < 0 or stride % image.itemsize for stride in image.strides):
        image = np.ascontiguousarray(image)
    if not image.flags.writeable:
        image = np.asarray(_Writeable(image))
    tensor = torch.from_numpy(image)
    return tensor if tensor.dim() == 3 else tensor[..., None]


class _Writeable:
    """A view that torch accepts: it knows no read-only memory and warns, although nothing here writes."""

    def __init__(self, array: np.ndarray):
        self.array = array
        self.__array_interface__ = array.__array_interface__ | {'data': (array.ctypes.data, False)}

"""Many windows cut at once, each from an image of its own: for frames that lie in a device's memory."""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from semdepth_ros.geometry.window import Window


class Axis(NamedTuple):
    """One axis of a batch of windows, float32 [B] each: see Window.

    :param start, length: the part [px of the image]
    :param content: what it is resized to [px of the input]
    :param margin: padding before it [px of the input]
    :param flip: 1 where the axis is mirrored, else 0
    """

    start: Tensor
    length: Tensor
    content: Tensor
    margin: Tensor
    flip: Tensor


class WindowBatch:
    """Windows of one input size as numbers, float32 [B, 9]; cuts as each Window would by itself.

    :param numbers: what `numbers_of` gives for each window, stacked
    :param size: of the input (width, height) [px]
    """

    def __init__(self, numbers: Tensor, size: tuple[int, int]):
        left, top, width, height, across, down, beside, above, flip = numbers.unbind(dim=1)
        self._x = Axis(left, width, across, beside, flip)
        self._y = Axis(top, height, down, above, torch.zeros_like(flip))
        self.width, self.height = size

    def images(self, images: Tensor) -> Tensor:
        """Return the inputs of images uint8 [B, C, H, W], each cut by its window, uint8 [B, C, height, width].

        Equal to Window.images up to the rounding of its integer weights: one grey level.
        """
        rows = _resizing(self._y, images.shape[-2], self.height)[:, None]         # [B, 1, height, H]
        columns = _resizing(self._x, images.shape[-1], self.width)[:, None]
        cut = rows @ images.to(rows.dtype) @ columns.transpose(-1, -2)
        return cut.add_(0.5).clamp_(0, 255).to(torch.uint8)

    def labels(self, labels: Tensor, padding: float) -> Tensor:
        """Return the inputs of labels or depth [B, H, W], each cut by its window: the nearest, padding outside."""
        (rows, above), (columns, beside) = _nearest(self._y, self.height), _nearest(self._x, self.width)
        each = torch.arange(len(labels), device=labels.device)[:, None, None]
        cut = labels[each, rows[:, :, None], columns[:, None, :]]
        return cut.masked_fill(above[:, :, None] | beside[:, None, :], padding)


def numbers_of(window: Window) -> list[float]:
    """Return the window as the 9 numbers that WindowBatch takes."""
    return [window.left, window.top, window.width, window.height, *window.content, window.margins[0], window.margins[2],
            float(window.flip)]


def _content_index(axis: Axis, size: int) -> tuple[Tensor, Tensor]:
    """Return for each pixel of the input the pixel of the content under it [B, size], and where it is padding."""
    place = torch.arange(size, device=axis.start.device, dtype=axis.start.dtype)[None]
    place = torch.where(axis.flip[:, None] > 0, size - 1 - place, place) - axis.margin[:, None]
    inside = place.clamp(min=0).minimum(axis.content[:, None] - 1)
    return inside, inside != place


def _nearest(axis: Axis, size: int) -> tuple[Tensor, Tensor]:
    index, padding = _content_index(axis, size)
    index = index.long()
    length, content = axis.length[:, None].long(), axis.content[:, None].long()
    source = torch.div(index * (2 * length) + length, 2 * content, rounding_mode='floor')
    return source + axis.start[:, None].long(), padding


def _resizing(axis: Axis, length: int, size: int) -> Tensor:
    """Return matrices [B, size, length] that resize an axis with an antialiasing triangle, as F.interpolate does."""
    index, _ = _content_index(axis, size)
    scale = (axis.length / axis.content)[:, None]                                  # image pixels an input pixel
    centre = (index + 0.5) * scale
    source = torch.arange(length, device=index.device, dtype=index.dtype) - axis.start[:, None] + 0.5   # [B, length]
    distance = (source[:, None, :] - centre[:, :, None]).abs() / scale.clamp(min=1)[:, :, None]
    weight = (1 - distance).clamp(min=0)
    within = (source > 0) & (source < axis.length[:, None])
    weight = weight * within[:, None, :]
    return weight / weight.sum(-1, keepdim=True)

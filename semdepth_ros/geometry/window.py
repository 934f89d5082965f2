"""The part of an image that becomes a network's input: cut, resized, padded, perhaps mirrored."""
from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from semdepth_ros.geometry.camera import Camera


@dataclass(frozen=True)
class Window:
    """The part of an image that becomes the network's input, the padding around it, and whether all is mirrored.

    :param left, top, width, height: the part [px of the image]
    :param content: what it is resized to (width, height) [px of the input]
    :param margins: padding around that (left, right, top, bottom) [px of the input]
    """

    left: int
    top: int
    width: int
    height: int
    content: tuple[int, int]
    margins: tuple[int, int, int, int] = (0, 0, 0, 0)
    flip: bool = False

    def images(self, images: torch.Tensor) -> torch.Tensor:
        """Return the input of images [B, C, H, W], uint8 or floating point: antialiased; padding repeats the edges."""
        part, size = self._part(images), self.content[::-1]
        if tuple(part.shape[-2:]) != size:
            part = F.interpolate(part, size, mode='bilinear', antialias=True, align_corners=False)
        return self._mirrored(repeat_edges(part, self.margins))

    def labels(self, labels: torch.Tensor, padding: float) -> torch.Tensor:
        """Return the input of labels or of depth [B, C, H, W]: every pixel takes the nearest, none are mixed.

        :param padding: what the margins hold
        """
        part = resized(self._part(labels), *self.content, 'nearest')
        return self._mirrored(F.pad(part, self.margins, value=padding))

    def camera(self, camera: Camera) -> Camera:
        """Return the camera of the input."""
        left, right, top, bottom = self.margins
        width, height = self.content
        scaled = camera.cropped(self.left, self.top, self.width, self.height).scaled(width, height)
        padded = scaled.cropped(-left, -top, left + width + right, top + height + bottom)
        return padded.mirrored() if self.flip else padded

    def _part(self, images: torch.Tensor) -> torch.Tensor:
        return images[..., self.top:self.top + self.height, self.left:self.left + self.width]

    def _mirrored(self, images: torch.Tensor) -> torch.Tensor:
        return images.flip(-1) if self.flip else images


def resized(tensor: torch.Tensor, width: int, height: int, mode: str) -> torch.Tensor:
    """Resize [B, C, H, W] with half-pixel centres, 'bilinear' or 'nearest'."""
    if tuple(tensor.shape[-2:]) == (height, width):
        return tensor
    if mode == 'nearest':
        rows, columns = (_nearest(size, wanted, tensor.device) for size, wanted in zip(tensor.shape[-2:], (height, width)))
        return tensor.index_select(-1, columns).index_select(-2, rows)
    return F.interpolate(tensor, (height, width), mode=mode, align_corners=False)


def repeat_edges(image: torch.Tensor, margins: tuple[int, int, int, int]) -> torch.Tensor:
    """Return images [B, C, H, W] with margins (left, right, top, bottom) in which their edges are repeated."""
    if not any(margins):
        return image
    if image.is_floating_point():
        return F.pad(image, margins, mode='replicate')
    rows, columns = _edge_indices(image.shape[-2], margins[2:]), _edge_indices(image.shape[-1], margins[:2])
    return image[..., rows.to(image.device)[:, None], columns.to(image.device)]


def _nearest(size: int, wanted: int, device: torch.device) -> torch.Tensor:
    """Return the index of the pixel under the centre of each wanted one."""
    return torch.div(torch.arange(wanted, device=device) * (2 * size) + size, 2 * wanted, rounding_mode='floor')


def _edge_indices(size: int, padding: tuple[int, int]) -> torch.Tensor:
    return torch.arange(-padding[0], size + padding[1]).clamp_(0, size - 1)

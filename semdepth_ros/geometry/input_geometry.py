"""How a camera's image becomes the network's input: aspect kept, focal length known, the surplus padded."""
from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.window import Window, resized

if TYPE_CHECKING:
    from semdepth_ros.model_file import InputRule

# Of the sizes whose resolution is within this factor of the finest, the one with the least padding is taken.
_NEARLY_FINEST = 0.97


@dataclass(frozen=True)
class InputGeometry:
    """Where every pixel of a camera's image lies in the network's input.

    :param source: the camera of the image, None where unknown
    :param source_width, source_height: size of the image [px]
    :param width, height: size of the network's input [px]
    :param left, top, content_width, content_height: the window of the input that the resized image fills; the rest
        repeats its edges
    :param rectify: whether a distorted image is rectified on its way in
    """

    source: Camera | None
    source_width: int
    source_height: int
    width: int
    height: int
    left: int
    top: int
    content_width: int
    content_height: int
    rectify: bool = True

    @property
    def sx(self) -> float:
        """Network pixels a source pixel, across."""
        return self.content_width / self.source_width

    @property
    def sy(self) -> float:
        """Network pixels a source pixel, down."""
        return self.content_height / self.source_height

    @property
    def padding(self) -> tuple[int, int, int, int]:
        """Padded pixels (left, right, top, bottom)."""
        return (self.left, self.width - self.left - self.content_width,
                self.top, self.height - self.top - self.content_height)

    @property
    def rectifies(self) -> bool:
        """Whether to_network undistorts."""
        return self.rectify and self.source is not None and self.source.is_distorted

    @cached_property
    def camera(self) -> Camera | None:
        """The camera of the network's input; None where the source's is unknown."""
        if self.source is None:
            return None
        pinhole = self.source.rectified() if self.rectify else self.source
        return self.window.camera(pinhole)

    @property
    def window(self) -> Window:
        """The whole image as the window that becomes the input."""
        return Window(0, 0, self.source_width, self.source_height, (self.content_width, self.content_height),
                      self.padding)

    @property
    def output_camera(self) -> Camera | None:
        """The camera of what from_network returns at the source's size."""
        if self.source is None:
            return None
        return self.source.rectified() if self.rectify else self.source

    def depth_factor(self, trained_focal_px: float) -> float:
        """Return what canonical depth is multiplied by to be depth in this camera: focal length over the trained one.

        A camera that is not known is taken to have the trained focal length: 1.
        """
        return 1.0 if self.camera is None else self.camera.fx / trained_focal_px

    def to_network(self, image: torch.Tensor) -> torch.Tensor:
        """Resize (antialiased), rectify and pad images.

        :param image: [B, C, source_height, source_width], uint8 or floating point, any device
        :return: [B, C, height, width] of the same type (float32 where the image is rectified)
        :raises ValueError: the image has another size
        """
        if image.shape[-2:] != (self.source_height, self.source_width):
            raise ValueError(f'image is {image.shape[-1]}x{image.shape[-2]}, '
                             f'expected {self.source_width}x{self.source_height}')
        if not self.rectifies:
            return self.window.images(image)
        image = replace(self.window, margins=(0, 0, 0, 0)).images(image)
        grid = self._grid_on(image.device).expand(len(image), -1, -1, -1)
        return F.grid_sample(image.float(), grid, mode='bilinear', padding_mode='border', align_corners=True)

    def from_network(self, output: torch.Tensor, mode: str = 'bilinear') -> torch.Tensor:
        """Cut the padding off and resize to the source's size.

        :param output: [B, C, height, width], any device
        :param mode: 'bilinear' or 'nearest'
        :return: [B, C, source_height, source_width]
        """
        return resized(self.content(output), self.source_width, self.source_height, mode)

    def content(self, output: torch.Tensor) -> torch.Tensor:
        """Return the view [B, C, content_height, content_width] of [B, C, height, width] without the padding."""
        return output[..., self.top:self.top + self.content_height, self.left:self.left + self.content_width]

    def source_pixels(self, network_pixels: np.ndarray) -> np.ndarray:
        """Return the pixels [N, 2] of the (rectified) source image under network pixels [N, 2]."""
        scale = np.array([self.sx, self.sy])
        return (np.asarray(network_pixels, dtype=np.float64) - [self.left, self.top] + 0.5) / scale - 0.5

    def network_pixels(self, source_pixels: np.ndarray) -> np.ndarray:
        """Return the network pixels [N, 2] of pixels [N, 2] of the (rectified) source image."""
        scale = np.array([self.sx, self.sy])
        return (np.asarray(source_pixels, dtype=np.float64) + 0.5) * scale - 0.5 + [self.left, self.top]

    @cached_property
    def seen(self) -> np.ndarray:
        """Which network pixels show the source image, bool [height, width]: not padding, not beyond a distorted edge."""
        if not self.rectifies:
            seen = np.zeros((self.height, self.width), dtype=bool)
            self.content(torch.from_numpy(seen))[:] = True
            return seen
        return self._content_camera.sees(self._pinhole_rays).reshape(self.height, self.width)

    @cached_property
    def _content_camera(self) -> Camera:
        return self.source.scaled(self.content_width, self.content_height)

    @cached_property
    def _pinhole_rays(self) -> np.ndarray:
        u, v = np.meshgrid(np.arange(self.width), np.arange(self.height))
        return np.stack([(u - self.camera.cx) / self.camera.fx, (v - self.camera.cy) / self.camera.fy], axis=-1)

    @cached_property
    def _distorted_pixels(self) -> tuple[np.ndarray, np.ndarray]:
        rays = np.concatenate([self._pinhole_rays, np.ones((self.height, self.width, 1))], axis=-1)
        pixels = self._content_camera.project(rays.reshape(-1, 3)).reshape(self.height, self.width, 2)
        return pixels[..., 0], pixels[..., 1]

    @cached_property
    def _grids(self) -> dict[torch.device, torch.Tensor]:
        return {}

    def _grid_on(self, device: torch.device) -> torch.Tensor:
        if device not in self._grids:
            x, y = self._distorted_pixels
            grid = np.stack([2 * x / max(self.content_width - 1, 1) - 1,
                             2 * y / max(self.content_height - 1, 1) - 1], axis=-1)
            grid = np.nan_to_num(np.clip(grid, -2, 2), nan=2.0).astype(np.float32)
            self._grids[device] = torch.from_numpy(grid)[None].to(device)
        return self._grids[device]


def input_geometry(camera: Camera | tuple[int, int], rule: InputRule, rectify: bool = True) -> InputGeometry:
    """Choose the network size for a camera, and the window in it that the image fills.

    All sizes are multiples of rule.multiple of at most rule.pixels. The whole field of view is kept. The image is
    stretched to fill a size if that leaves the focal lengths fx:fy within rule.max_anisotropy of each other; else it
    keeps fx = fy and is padded. The finest size wins, of nearly equal ones that with the least padding. Padding is laid
    so that the optical axis comes as near the middle as it can. Form ours.

    :param camera: the camera, or the image's (width, height) where only that is known: square pixels are assumed
    :param rectify: whether a distorted image is to be rectified on its way in
    :raises ValueError: the rule's budget does not hold even one block of its multiple
    """
    known = isinstance(camera, Camera)
    assumed = camera if known else Camera(*camera, 1.0, 1.0, (camera[0] - 1) / 2, (camera[1] - 1) / 2)
    windows = [_window(assumed, width, height, rule.max_anisotropy) for width, height in _sizes(rule)]
    finest = max(resolution for resolution, *_ in windows)
    nearly = [w for w in windows if w[0] >= _NEARLY_FINEST * finest]
    _, _, width, height, content_width, content_height = min(
        nearly, key=lambda w: (round(w[1], 6), -w[0], w[2] * w[3], w[2]))
    left = _centring(assumed.cx, assumed.width, content_width, width)
    top = _centring(assumed.cy, assumed.height, content_height, height)
    return InputGeometry(camera if known else None, assumed.width, assumed.height, width, height, left, top,
                         content_width, content_height, rectify)


def _sizes(rule: InputRule) -> list[tuple[int, int]]:
    blocks = rule.pixels // rule.multiple ** 2
    if blocks < 1:
        raise ValueError(f'input rule has {rule.pixels} pixels, expected at least {rule.multiple}x{rule.multiple}')
    return [(rule.multiple * across, rule.multiple * down)
            for across in range(1, blocks + 1) for down in range(1, blocks // across + 1)]


def _window(camera: Camera, width: int, height: int, max_anisotropy: float) -> tuple[float, float, int, int, int, int]:
    """Return resolution, padded fraction and the sizes of input and content."""
    sx, sy = width / camera.width, height / camera.height
    ratio = (camera.fx * sx) / (camera.fy * sy)
    content_width, content_height = width, height
    if ratio > max_anisotropy:
        content_width = min(max(round(camera.width * sy * camera.fy / camera.fx), 1), width)
    elif 1 / ratio > max_anisotropy:
        content_height = min(max(round(camera.height * sx * camera.fx / camera.fy), 1), height)
    across, down = content_width / camera.width, content_height / camera.height
    resolution = min(across * camera.fx, down * camera.fy)
    padded = 1 - content_width * content_height / (width * height)
    return resolution, padded, width, height, content_width, content_height


def _centring(axis: float, size: int, content: int, room: int) -> int:
    """Return where content starts in room so that the optical axis comes as near the middle as it can."""
    place = (axis + 0.5) * content / size
    return int(np.clip(round(room / 2 - place), 0, room - content))

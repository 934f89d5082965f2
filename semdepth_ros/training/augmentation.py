"""Which part of a frame is trained on, and how it is padded and mirrored."""
from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from semdepth_ros.classes import UNLABELLED
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.training.recipe import Augmentation


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

    def image(self, image: np.ndarray) -> np.ndarray:
        """Return the input [H, W, C] of an image; padding repeats its edges."""
        shrinks = self.width > self.content[0]
        resized = cv2.resize(self._part(image), self.content,
                             interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        return self._finished(resized, borderType=cv2.BORDER_REPLICATE)

    def labels(self, labels: np.ndarray, padding: float = UNLABELLED) -> np.ndarray:
        """Return the input [H, W] of labels, or of depth: every pixel takes the nearest, none are mixed."""
        resized = cv2.resize(self._part(labels), self.content, interpolation=cv2.INTER_NEAREST_EXACT)
        return self._finished(resized, borderType=cv2.BORDER_CONSTANT, value=padding)

    def camera(self, camera: Camera) -> Camera:
        """Return the camera of the input."""
        left, right, top, bottom = self.margins
        width, height = self.content
        resized = camera.cropped(self.left, self.top, self.width, self.height).scaled(width, height)
        padded = resized.cropped(-left, -top, left + width + right, top + height + bottom)
        return padded.mirrored() if self.flip else padded

    def _part(self, image: np.ndarray) -> np.ndarray:
        return image[self.top:self.top + self.height, self.left:self.left + self.width]

    def _finished(self, resized: np.ndarray, **border) -> np.ndarray:
        left, right, top, bottom = self.margins
        padded = cv2.copyMakeBorder(resized, top, bottom, left, right, **border)
        return np.ascontiguousarray(padded[:, ::-1] if self.flip else padded)


def widest_window(camera: Camera, size: tuple[int, int], stretch: float = 1.0, zoom: float = 1.0,
                  margins: tuple[int, int, int, int] = (0, 0, 0, 0)) -> Window:
    """Return the largest centred window with the shape of the input's unpadded part, times zoom.

    :param size: the input's (width, height) [px]
    :param stretch: ratio fx:fy of the input; the camera's own pixels need not be square
    """
    content = (size[0] - margins[0] - margins[1], size[1] - margins[2] - margins[3])
    across, down = content[0], content[1] * camera.fy / camera.fx * stretch
    factor = zoom * min(camera.width / across, camera.height / down)
    width, height = max(round(across * factor), 2), max(round(down * factor), 2)
    width, height = min(width, camera.width), min(height, camera.height)
    return Window((camera.width - width) // 2, (camera.height - height) // 2, width, height, content, margins)


def draw_window(camera: Camera, size: tuple[int, int], knobs: Augmentation, rng: np.random.Generator) -> Window:
    """Draw the window of one triplet: field of view, place, aspect, padding and mirroring vary."""
    stretch = math.exp(rng.uniform(-1, 1) * math.log(knobs.stretch))
    widest = widest_window(camera, size, stretch, rng.uniform(knobs.zoom, 1), draw_margins(size, knobs, rng))
    across, down = (rng.uniform(-1, 1, 2) * knobs.shift).tolist()
    left = min(round(widest.left * (1 + across)), camera.width - widest.width)
    top = min(round(widest.top * (1 + down)), camera.height - widest.height)
    return replace(widest, left=left, top=top, flip=bool(rng.random() < knobs.flip))


def draw_margins(size: tuple[int, int], knobs: Augmentation, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Draw padding as odd-shaped cameras get it: beside the image or above and below it, never both."""
    padded, beside, share, split = rng.random(4).tolist()
    if padded >= knobs.padded:
        return (0, 0, 0, 0)
    total = round(share * knobs.padding * size[0 if beside < 0.5 else 1])
    first = round(split * total)
    return (first, total - first, 0, 0) if beside < 0.5 else (0, 0, first, total - first)

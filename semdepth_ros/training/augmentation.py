"""What is varied between the frame as it was taken and the frame that is trained on."""
from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from semdepth_ros.classes import UNLABELLED
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.training.recipe import Augmentation

# colour change: what a drawn vector of 7 means, and what leaves the image as it is
COLOUR_NAMES = ('brightness', 'contrast', 'saturation', 'hue', 'gamma', 'blur', 'noise')
COLOUR_NEUTRAL = (1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0)

GREY = (0.299, 0.587, 0.114)
YIQ = (GREY, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))


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


def draw_colour(knobs: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """Draw one colour change, float32 [7] in the order of COLOUR_NAMES."""
    drawn, applied = rng.uniform(-1, 1, 7), rng.random() < knobs.colour
    if not applied:
        return np.array(COLOUR_NEUTRAL, dtype=np.float32)
    ranges = np.array([getattr(knobs, name) for name in COLOUR_NAMES])
    drawn[-2:] = np.abs(drawn[-2:])
    return (np.array(COLOUR_NEUTRAL) + drawn * ranges).astype(np.float32)


def change_colours(images: Tensor, changes: Tensor) -> Tensor:
    """Return the images with brightness, contrast, saturation, hue, gamma, sharpness and noise changed.

    The frames of a triplet share their change; only the noise is drawn for every frame anew.

    :param images: [B, N, 3, H, W] in 0..1
    :param changes: [B, 7] as draw_colour gives them
    :return: the same shape, in 0..1
    """
    brightness, contrast, saturation, hue, gamma, blur, noise = changes.unbind(dim=1)
    mean = images.mean(dim=(1, 3, 4), keepdim=True)
    mean = (mean * images.new_tensor(GREY)[:, None, None]).sum(dim=2, keepdim=True)
    scale = (brightness * contrast)[:, None, None] * _colour_matrix(saturation, hue)
    offset = (brightness * (1 - contrast))[:, None, None, None, None] * mean
    changed = torch.einsum('bij,bnjhw->bnihw', scale, images) + offset
    if bool((blur > 0).any()):
        soft = F.avg_pool2d(F.pad(changed.flatten(0, 2), (1, 1, 1, 1), mode='replicate'), 3, stride=1)
        changed = torch.lerp(changed, soft.view_as(changed), blur[:, None, None, None, None])
    changed = changed.clamp(0, 1)
    if bool((gamma != 1).any()):
        changed = changed.clamp(min=1e-4) ** gamma[:, None, None, None, None]
    if bool((noise > 0).any()):
        changed = (changed + torch.randn_like(changed) * noise[:, None, None, None, None]).clamp(0, 1)
    return changed


def _colour_matrix(saturation: Tensor, hue: Tensor) -> Tensor:
    """Return rgb-to-rgb matrices [B, 3, 3]: the chroma plane of YIQ turned by hue and stretched by saturation."""
    to_yiq = torch.tensor(YIQ, dtype=torch.float64, device=hue.device)
    angle = 2 * math.pi * hue.double()
    cosine, sine, zero = angle.cos() * saturation, angle.sin() * saturation, torch.zeros_like(angle)
    one = torch.ones_like(angle)
    turn = torch.stack([one, zero, zero, zero, cosine, -sine, zero, sine, cosine], dim=1).unflatten(1, (3, 3))
    return (torch.linalg.inv(to_yiq) @ turn @ to_yiq).to(hue.dtype)

"""Which part of a frame is trained on, and how it is padded and mirrored."""
from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.window import Window
from semdepth_ros.training.recipe import Augmentation


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

"""What a Perceptor is asked."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semdepth_ros.frame import LAYOUTS, Frame
from semdepth_ros.frame_perception import Scale
from semdepth_ros.geometry.camera import Camera


@dataclass(frozen=True)
class Request:
    """A frame to perceive, and with what: None for what the Perceptor was made with.

    :param scale: the factor to metres
    :param max_range_m: depth beyond is +inf
    """

    frame: Frame
    scale: Scale | None = None
    max_range_m: float | None = None


def black(camera: Camera | tuple[int, int], layout: str) -> Request:
    """Return the request for a black frame of a camera, or of a width and height."""
    known = isinstance(camera, Camera)
    width, height = (camera.width, camera.height) if known else camera
    channels, size = LAYOUTS[layout]
    return Request(Frame(np.zeros((height, width, channels), f'u{size}'), layout, camera if known else None))

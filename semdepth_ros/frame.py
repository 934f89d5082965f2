"""One camera image on its way in: the buffer as it came, and how to read it."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semdepth_ros.geometry.camera import Camera

# layout: (channels, bytes a channel)
LAYOUTS = {'rgb': (3, 1), 'bgr': (3, 1), 'rgba': (4, 1), 'bgra': (4, 1), 'mono8': (1, 1), 'mono16': (1, 2)}


@dataclass(frozen=True)
class Frame:
    """An image, its layout, its camera and its time.

    :param image: [H, W, C] or [H, W], uint8 or uint16; rows may be padded (any strides); nothing is copied
    :param layout: a key of LAYOUTS
    :param camera: intrinsics of exactly this image, None where unknown
    :param stamp_ns: time of exposure [ns]
    :param frame_id: name of the camera's optical frame
    :raises ValueError: the array does not have the layout's shape or type, is empty, or contradicts the camera's size
    """

    image: np.ndarray
    layout: str
    camera: Camera | None = None
    stamp_ns: int = 0
    frame_id: str = ''

    def __post_init__(self):
        if self.layout not in LAYOUTS:
            raise ValueError(f'image layout is {self.layout!r}, expected one of {sorted(LAYOUTS)}')
        channels, size = LAYOUTS[self.layout]
        shape = self.image.shape
        if self.image.dtype.kind != 'u' or self.image.dtype.itemsize != size:
            raise ValueError(f'{self.layout} image has type {self.image.dtype}, expected uint{8 * size}')
        if shape[2:] not in ((channels,), ()) or (len(shape) == 2 and channels != 1):
            raise ValueError(f'{self.layout} image has shape {shape}, expected [H, W, {channels}]')
        if 0 in shape:
            raise ValueError(f'image is empty: shape {shape}')
        if self.camera and (self.camera.width, self.camera.height) != (self.width, self.height):
            raise ValueError(f'image is {self.width}x{self.height}, but its camera is '
                             f'{self.camera.width}x{self.camera.height}')

    @property
    def width(self) -> int:
        """Image width [px]."""
        return self.image.shape[1]

    @property
    def height(self) -> int:
        """Image height [px]."""
        return self.image.shape[0]

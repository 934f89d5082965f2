"""The input's colours at the pixels of the output, and the coloured mask over them."""
from __future__ import annotations

import cv2
import numpy as np

from semdepth_ros.frame import Frame
from semdepth_ros.geometry.camera import Camera

_TO_RGB = {'bgr': cv2.COLOR_BGR2RGB, 'rgba': cv2.COLOR_RGBA2RGB, 'bgra': cv2.COLOR_BGRA2RGB,
           'mono8': cv2.COLOR_GRAY2RGB}


class ColourSampler:
    """Looks up the input image where the output's pixels lie; remembers where that is for the cameras seen last."""

    def __init__(self):
        self._key: tuple | None = None
        self._maps: tuple[np.ndarray, np.ndarray] | None = None

    def sample(self, frame: Frame, camera: Camera | None, width: int, height: int,
               stride: int = 1) -> np.ndarray | None:
        """Return the frame's colours at output[::stride, ::stride], rgb uint8 [h, w, 3]; black beyond its border.

        :param camera: the output's camera (rectified); None where the input has none
        :param width, height: the output's full size [px]
        :return: None where the two images cannot be laid over each other: other sizes and no cameras
        """
        same_size = (frame.width, frame.height) == (width, height)
        if same_size and (camera is None or frame.camera is None or frame.camera == camera):
            return to_rgb(frame.image[::stride, ::stride], frame.layout)
        if camera is None or frame.camera is None:
            return None
        key = (frame.camera, camera, stride)
        if key != self._key:
            self._key, self._maps = key, _maps(frame.camera, camera, stride)
        return to_rgb(cv2.remap(np.ascontiguousarray(frame.image), *self._maps, cv2.INTER_NEAREST), frame.layout)


def to_rgb(image: np.ndarray, layout: str) -> np.ndarray:
    """Return an image of any layout as rgb uint8 [H, W, 3], contiguous; 16 bits are reduced to their upper 8."""
    if layout == 'rgb':
        return np.ascontiguousarray(image)
    if layout == 'mono16':
        image, layout = (image >> 8).astype(np.uint8), 'mono8'
    return cv2.cvtColor(np.ascontiguousarray(image), _TO_RGB[layout])


def paint(labels: np.ndarray, palette: np.ndarray, background: np.ndarray | None, alpha: float) -> np.ndarray:
    """Return labels in their colours over an image, rgb uint8 [H, W, 3].

    :param labels: uint8 [H, W]
    :param palette: uint8 [256, 3]
    :param background: rgb uint8 [H, W, 3]; None paints the colours alone
    :param alpha: opacity of the colours, 0 to 1
    """
    colours = cv2.applyColorMap(np.ascontiguousarray(labels), palette.reshape(256, 1, 3))
    if background is None or alpha >= 1:
        return colours
    return cv2.addWeighted(colours, alpha, background, 1 - alpha, 0)


def _maps(source: Camera, target: Camera, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Return source pixel coordinates x, y of target[::stride, ::stride], float32 [h, w]."""
    strided = target.strided(stride)
    pixels = source.project(strided.rays().reshape(-1, 3)).reshape(strided.height, strided.width, 2).astype(np.float32)
    return np.ascontiguousarray(pixels[..., 0]), np.ascontiguousarray(pixels[..., 1])

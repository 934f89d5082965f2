"""Image messages as arrays: the one way in for the node, for replay, and for data."""
from __future__ import annotations

import logging
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from semdepth_ros import image_encodings
from semdepth_ros.bit_depth import BitDepth
from semdepth_ros.frame import LAYOUTS

LOGGER = logging.getLogger(__name__)
HOT = ('rgb8', 'bgr8', 'rgba8', 'bgra8', 'mono8', 'mono16')
View = Callable[[Any], tuple[np.ndarray, str]]
_NOT_CAMERA = [encoding for encoding, (_, _, layout) in image_encodings.DIRECT.items() if layout not in LAYOUTS]
_NAMELESS = re.compile(r'\d+[USF]C\d')  # OpenCV's own types, such as 8UC3


def view_message(message: Any, depth: BitDepth | None = None, fallback: View | None = None) -> tuple[np.ndarray, str]:
    """Return a camera image's pixels, [H, W] or [H, W, C], and their layout.

    The encodings of HOT share the message's memory, padded rows included, but for words that do not use their 16 bits.

    :param message: anything with the fields of sensor_msgs/Image, or of sensor_msgs/CompressedImage
    :param depth: of the camera's words of 16 bits; where None they are taken for full
    :param fallback: converts other encodings that name their colours; where None, where it raises ImportError, and where
        it raises ValueError for an encoding that semdepth_ros.image_encodings knows, the latter does
    :raises ValueError: an encoding or format that no camera image has, a size, step or buffer that does not fit, data
        that is damaged
    """
    if hasattr(message, 'format'):
        return image_encodings.decompress(message.data, message.format, depth)
    encoding = message.encoding
    if fallback is not None and encoding not in (*HOT, *image_encodings.WORDS) and not _NAMELESS.match(encoding):
        try:
            return fallback(message)
        except ImportError as error:
            _warn_once(f'cv_bridge is not whole ({" ".join(str(error).split())}): images are converted by OpenCV instead')
        except ValueError as error:
            if encoding not in image_encodings.SUPPORTED:
                raise
            _warn_once(f'{" ".join(str(error).split())}; converted by OpenCV instead')
    if encoding in _NOT_CAMERA:
        raise ValueError(f'image encoding is {encoding!r}, expected a camera image such as rgb8')
    if encoding == '16UC1' and not (depth is not None and depth.given):
        raise ValueError("image encoding is '16UC1', which depth images have: where it is a camera's, image_bits has "
                         'to say how many bits it uses')
    return image_encodings.view(message.data, message.height, message.width, message.step, encoding,
                                bool(message.is_bigendian), depth)


def depth_of(message: Any) -> np.ndarray:
    """Return a depth image's metres along Z, float32 [H, W]; NaN is no depth, of 32FC1 a view of the message's memory.

    :raises ValueError: as semdepth_ros.image_encodings.depth_view
    """
    return image_encodings.depth_view(message.data, message.height, message.width, message.step, message.encoding,
                                      bool(message.is_bigendian))


def bytes_of(message: Any) -> np.ndarray:
    """Return the classes or confidences of an image, uint8 [H, W], a view of the message's memory.

    :raises ValueError: an encoding other than mono8, or a size, step or buffer that does not fit
    """
    array, layout = image_encodings.view(message.data, message.height, message.width, message.step, message.encoding,
                                         bool(message.is_bigendian))
    if layout != 'mono8':
        raise ValueError(f'image encoding is {message.encoding!r}, expected mono8')
    return array


@cache
def _warn_once(message: str) -> None:
    LOGGER.warning(message)

"""Image messages to frames, and arrays to image messages."""
from __future__ import annotations

import logging
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from semdepth_ros import image_encodings
from semdepth_ros.bridge.messages import MessageTypes, stamp_ns
from semdepth_ros.frame import LAYOUTS, Frame
from semdepth_ros.geometry.camera import Camera

LOGGER = logging.getLogger('semdepth_ros.bridge')
HOT = ('rgb8', 'bgr8', 'rgba8', 'bgra8', 'mono8', 'mono16')
_NOT_CAMERA = [encoding for encoding, (_, _, layout) in image_encodings.DIRECT.items() if layout not in LAYOUTS]
_DTYPES = {'32FC1': np.float32, '16UC1': np.uint16, 'mono8': np.uint8, 'rgb8': np.uint8}
_NAMELESS = re.compile(r'\d+[USF]C\d')  # OpenCV's own types, such as 8UC3
View = Callable[[Any], tuple[np.ndarray, str]]


def view_image(message: Any, fallback: View | None = None) -> tuple[np.ndarray, str]:
    """Return a camera image's pixels, [H, W] or [H, W, C], and their layout.

    The encodings of HOT share the message's memory, padded rows included.

    :param message: anything with the fields of sensor_msgs/Image
    :param fallback: converts other encodings that name their colours; where None, and where it raises ValueError for an
        encoding that semdepth_ros.image_encodings knows, the latter does
    :raises ValueError: an encoding that no camera image has, a size, step or buffer that does not fit
    """
    if fallback is not None and message.encoding not in HOT and not _NAMELESS.match(message.encoding):
        try:
            return fallback(message)
        except ValueError as error:
            if message.encoding not in image_encodings.SUPPORTED:
                raise
            _warn_once(f'{" ".join(str(error).split())}; converted by OpenCV instead')
    if message.encoding in _NOT_CAMERA:
        raise ValueError(f'image encoding is {message.encoding!r}, expected a camera image such as rgb8')
    return image_encodings.view(message.data, message.height, message.width, message.step, message.encoding,
                                bool(message.is_bigendian))


@cache
def _warn_once(message: str) -> None:
    LOGGER.warning(message)


def frame_from_image(message: Any, camera: Camera | None = None, fallback: View | None = None) -> Frame:
    """Return a sensor_msgs/Image as a Frame.

    :param camera: intrinsics of exactly this image
    :param fallback: as view_image has it
    :raises ValueError: as view_image, or the camera has another size
    """
    image, layout = view_image(message, fallback)
    return Frame(image, layout, camera, stamp_ns(message.header), message.header.frame_id)


def frame_from_compressed(message: Any, camera: Camera | None = None) -> Frame:
    """Return a sensor_msgs/CompressedImage (JPEG or PNG) as a Frame.

    :raises ValueError: the data is damaged, cut off or of another kind, or the camera has another size
    """
    image, layout = image_encodings.decompress(message.data)
    return Frame(image, layout, camera, stamp_ns(message.header), message.header.frame_id)


def make_image(types: MessageTypes, header: Any, array: np.ndarray, encoding: str) -> Any:
    """Return a sensor_msgs/Image with this header.

    :param header: as it came with the input; handed on untouched
    :param array: [H, W] or, for rgb8, [H, W, 3], of the encoding's type; any strides
    :param encoding: 32FC1, 16UC1, mono8 or rgb8
    :raises ValueError: the array does not have the encoding's type or shape
    """
    expected = _DTYPES.get(encoding)
    if expected is None or array.dtype != expected:
        raise ValueError(f'array of {array.dtype} for encoding {encoding!r}, expected one of '
                         + ', '.join(f'{np.dtype(t)} for {e}' for e, t in _DTYPES.items()))
    if array.shape[2:] != ((3,) if encoding == 'rgb8' else ()):
        raise ValueError(f'array of shape {array.shape} for encoding {encoding!r}')
    data = np.ascontiguousarray(array)
    return types.make('sensor_msgs/msg/Image', header=header, height=array.shape[0], width=array.shape[1],
                      encoding=encoding, is_bigendian=0, step=data.strides[0], data=data.reshape(-1).view(np.uint8))


def make_depth_image(types: MessageTypes, header: Any, depth: np.ndarray, encoding: str = '32FC1') -> Any:
    """Return depth as a sensor_msgs/Image: 32FC1 in metres as it is, or 16UC1 in millimetres (REP 118).

    16UC1 has one value for "no depth": 0 stands for NaN, for infinity and for what does not fit into 16 bits.

    :param depth: float32 [H, W] m
    """
    if encoding == '32FC1':
        return make_image(types, header, depth, encoding)
    return make_image(types, header, millimetres(depth), encoding)


def millimetres(depth: np.ndarray) -> np.ndarray:
    """Return depth float32 [...] m as uint16 [...] mm; 0 where it is not finite, not positive or above 65.535 m."""
    fits = (depth > 0) & (depth < 65.5355)
    return np.where(fits, np.rint(np.where(fits, depth, 0) * 1000), 0).astype(np.uint16)

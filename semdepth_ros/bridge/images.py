"""Image messages to frames, and arrays to image messages."""
from __future__ import annotations

from typing import Any

import numpy as np

from semdepth_ros.bit_depth import BitDepth
from semdepth_ros.bridge.messages import MessageTypes, stamp_ns
from semdepth_ros.frame import Frame
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.image_messages import View, view_message

_DTYPES = {'32FC1': np.float32, '16UC1': np.uint16, 'mono8': np.uint8, 'rgb8': np.uint8}


def frame_from_message(message: Any, camera: Camera | None = None, depth: BitDepth | None = None,
                       fallback: View | None = None) -> Frame:
    """Return a sensor_msgs/Image or CompressedImage as a Frame.

    :param camera: intrinsics of exactly this image
    :param depth, fallback: as semdepth_ros.image_messages.view_message has them
    :raises ValueError: as there, or the camera has another size
    """
    image, layout = view_message(message, depth, fallback)
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

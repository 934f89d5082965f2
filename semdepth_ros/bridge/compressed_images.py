"""Outputs as image_transport's compressed and compressedDepth have them."""
from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np

from semdepth_ros.bridge.images import millimetres
from semdepth_ros.bridge.messages import MessageTypes

JPEG_QUALITY = 90
_INVERSE_DEPTH = 0      # compressed_depth_image_transport's only format
_QUANTUM = 100 * 101.0  # [m]: with its depth_quantization of 100, neighbouring values are depth^2 / 10100 m apart
_OFFSET = 1.0           # so that infinity, not 10 m, is the farthest depth that can be told
_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1)


def make_compressed_depth(types: MessageTypes, header: Any, depth: np.ndarray, encoding: str = '32FC1') -> Any:
    """Return depth as the sensor_msgs/CompressedImage that compressed_depth_image_transport decodes to this encoding.

    A header of 12 bytes (int32 0, and two float32 that decode words w > 0 to a / (w - b) m), then a 16-bit PNG: inverse
    depth for 32FC1, for 16UC1 millimetres. 0 is no depth: NaN, infinity, and in 16UC1 what does not fit. In 32FC1 what is
    nearer than 0.155 m comes out as that.

    :param depth: float32 [H, W] m
    :param encoding: 32FC1 or 16UC1
    """
    if encoding == '16UC1':
        a, b, words = 0.0, 0.0, millimetres(depth)
    else:
        a, b = _QUANTUM, _OFFSET
        known = (depth > 0) & np.isfinite(depth)
        words = np.rint(np.minimum(a / np.where(known, depth, 1) + b, 65535))
        words = np.where(known, words, 0).astype(np.uint16)
    head = struct.pack('<iff', _INVERSE_DEPTH, a, b)
    png = cv2.imencode('.png', words, _PNG)[1]
    return types.make('sensor_msgs/msg/CompressedImage', header=header, format=f'{encoding}; compressedDepth png',
                      data=np.concatenate([np.frombuffer(head, np.uint8), png.reshape(-1)]))


def make_jpeg(types: MessageTypes, header: Any, rgb: np.ndarray) -> Any:
    """Return an image, rgb uint8 [H, W, 3], as the JPEG that compressed_image_transport decodes to rgb8."""
    jpeg = cv2.imencode('.jpg', cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))[1]
    return types.make('sensor_msgs/msg/CompressedImage', header=header, format='rgb8; jpeg compressed bgr8',
                      data=jpeg.reshape(-1))

"""Image buffers as ROS names them, seen as arrays: the hot encodings without a copy, the rest through OpenCV."""
from __future__ import annotations

import sys

import cv2
import numpy as np

from semdepth_ros.jpeg_markers import expect_whole_jpeg

# encoding: (channels, dtype, layout). A view of the buffer; OpenCV's order (bgr) for the types that name no colours.
DIRECT = {
    'rgb8': (3, 'u1', 'rgb'), 'bgr8': (3, 'u1', 'bgr'), 'rgba8': (4, 'u1', 'rgba'), 'bgra8': (4, 'u1', 'bgra'),
    'mono8': (1, 'u1', 'mono8'), 'mono16': (1, 'u2', 'mono16'), '8UC1': (1, 'u1', 'mono8'), '8UC3': (3, 'u1', 'bgr'),
    '8UC4': (4, 'u1', 'bgra'), '16UC1': (1, 'u2', 'mono16'), '32FC1': (1, 'f4', 'float32'),
}
# encoding: (channels, layout). 16 bits a channel, reduced to their upper 8.
DEEP = {'rgb16': (3, 'rgb'), 'bgr16': (3, 'bgr'), 'rgba16': (4, 'rgba'), 'bgra16': (4, 'bgra'),
        '16UC3': (3, 'bgr'), '16UC4': (4, 'bgra')}
# encoding: (bytes a channel, OpenCV's conversion to rgb)
BAYER = {f'bayer_{pattern}{8 * size}': (size, getattr(cv2, f'COLOR_Bayer{pattern.upper()}2RGB'))
         for pattern in ('rggb', 'bggr', 'gbrg', 'grbg') for size in (1, 2)}
# encoding: OpenCV's conversion of two bytes a pixel to rgb
YUV422 = {'uyvy': cv2.COLOR_YUV2RGB_UYVY, 'yuv422': cv2.COLOR_YUV2RGB_UYVY,
          'yuyv': cv2.COLOR_YUV2RGB_YUYV, 'yuv422_yuy2': cv2.COLOR_YUV2RGB_YUYV}
# encoding: (rows of chroma for two rows of luma, OpenCV's conversion to rgb)
PLANAR = {'nv12': (1, cv2.COLOR_YUV2RGB_NV12), 'nv21': (1, cv2.COLOR_YUV2RGB_NV21), 'nv24': (4, cv2.COLOR_YUV2RGB_NV12)}
SUPPORTED = (*DIRECT, *DEEP, *BAYER, *YUV422, *PLANAR)


def view(data, height: int, width: int, step: int, encoding: str,
         is_bigendian: bool = False) -> tuple[np.ndarray, str]:
    """Return an image message's buffer as an array and the layout of its pixels.

    The encodings of DIRECT in this machine's byte order share the buffer's memory; padded rows become strides.

    :param data: bytes-like or uint8 array of at least height * step bytes
    :param step: bytes from one row to the next
    :return: [H, W] or [H, W, C] and a key of semdepth_ros.frame.LAYOUTS, or 'float32' for 32FC1
    :raises ValueError: unknown encoding, zero size, step too small for the width, buffer too small
    """
    if encoding not in SUPPORTED:
        raise ValueError(f'image encoding is {encoding!r}, expected one of {", ".join(SUPPORTED)}')
    if height < 1 or width < 1:
        raise ValueError(f'image is {width}x{height}, expected at least 1x1')
    if encoding in DIRECT:
        channels, dtype, layout = DIRECT[encoding]
        return _rows(data, height, width, step, channels, dtype, encoding, is_bigendian), layout
    if encoding in DEEP:
        channels, layout = DEEP[encoding]
        deep = _rows(data, height, width, step, channels, 'u2', encoding, is_bigendian)
        return (deep >> 8).astype(np.uint8), layout
    if encoding in BAYER:
        size, code = BAYER[encoding]
        return _bayer(_rows(data, height, width, step, 1, f'u{size}', encoding, is_bigendian), code), 'rgb'
    if encoding in YUV422:
        _expect_even(width, 'width', encoding)
        pairs = _rows(data, height, width, step, 2, 'u1', encoding, False)
        return cv2.cvtColor(np.ascontiguousarray(pairs), YUV422[encoding]), 'rgb'
    return _planar(data, height, width, step, encoding), 'rgb'


def depth_view(data, height: int, width: int, step: int, encoding: str, is_bigendian: bool = False) -> np.ndarray:
    """Return a depth image message as metres, float32 [H, W]: 32FC1 as it is, 16UC1 in millimetres with 0 as NaN.

    REP 117 and REP 118.

    :raises ValueError: any other encoding, or what view raises
    """
    if encoding not in ('32FC1', '16UC1', 'mono16'):
        raise ValueError(f'depth image encoding is {encoding!r}, expected 32FC1 or 16UC1')
    depth, _ = view(data, height, width, step, encoding, is_bigendian)
    if depth.dtype.kind == 'f':
        return depth
    return np.where(depth > 0, depth / np.float32(1000), np.float32(np.nan))


def decompress(data) -> tuple[np.ndarray, str]:
    """Return the image inside a JPEG or PNG and the layout of its pixels: bgr, bgra, mono8 or mono16.

    :param data: bytes-like or uint8 array
    :raises ValueError: empty, cut off, of another kind, or damaged; of a JPEG as far as expect_whole_jpeg can tell
    """
    buffer = np.frombuffer(data, dtype=np.uint8)
    _expect_whole(buffer)
    try:
        image = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        image = None
    if image is None or image.dtype.kind != 'u':
        raise ValueError(f'compressed image of {len(buffer)} bytes cannot be decoded, expected a whole JPEG or PNG')
    if image.dtype == np.uint16 and image.ndim == 3:
        image = (image >> 8).astype(np.uint8)
    return image, _LAYOUT_OF[image.shape[2:], image.dtype.itemsize]


_LAYOUT_OF = {((), 1): 'mono8', ((), 2): 'mono16', ((3,), 1): 'bgr', ((4,), 1): 'bgra'}
_NATIVE_IS_BIG = sys.byteorder == 'big'


def _expect_whole(buffer: np.ndarray) -> None:
    """A PNG has checksums, which OpenCV checks; of it only the end is looked for, to say what is wrong."""
    if not len(buffer):
        raise ValueError('compressed image is empty')
    head = buffer[:2].tobytes()
    if head == b'\xff\xd8':
        expect_whole_jpeg(buffer)
    elif head == b'\x89P' and b'IEND' not in buffer.tobytes():
        raise ValueError(f'compressed image of {len(buffer)} bytes is cut off: its end marker is missing')


def _rows(data, height, width, step, channels, dtype, encoding, is_bigendian) -> np.ndarray:
    dtype = np.dtype(dtype)
    least = width * channels * dtype.itemsize
    if step < least:
        raise ValueError(f'image step is {step} bytes, expected at least {least} for {width} pixels of {encoding}')
    buffer = np.frombuffer(data, dtype=np.uint8)
    needed = (height - 1) * step + least
    if buffer.size < needed:
        raise ValueError(f'image data is {buffer.size} bytes, expected {height * step} for {height} rows of {step}')
    big = bool(is_bigendian) and dtype.itemsize > 1
    shape = (height, width, channels) if channels > 1 else (height, width)
    strides = (step, channels * dtype.itemsize, dtype.itemsize)[:len(shape)]
    array = np.ndarray(shape, dtype.newbyteorder('>' if big else '<'), buffer, strides=strides)
    return array.astype(dtype) if big != _NATIVE_IS_BIG and dtype.itemsize > 1 else array


def _bayer(mosaic: np.ndarray, code: int) -> np.ndarray:
    if min(mosaic.shape) < 2:
        raise ValueError(f'bayer image is {mosaic.shape[1]}x{mosaic.shape[0]}, expected at least 2x2')
    rgb = cv2.cvtColor(np.ascontiguousarray(mosaic), code)
    return rgb if rgb.dtype == np.uint8 else (rgb >> 8).astype(np.uint8)


def _planar(data, height, width, step, encoding) -> np.ndarray:
    chroma_rows, code = PLANAR[encoding]
    _expect_even(width, 'width', encoding)
    _expect_even(height, 'height', encoding)
    total = height + height * chroma_rows // 2
    buffer = np.frombuffer(data, dtype=np.uint8)
    if buffer.size == total * width:  # drivers disagree on the step of planes that have no padding
        step = width
    rows = _rows(buffer, total, width, step, 1, 'u1', encoding, False)
    if encoding != 'nv24':
        return cv2.cvtColor(np.ascontiguousarray(rows), code)
    chroma = _rows(buffer[height * step:], height, 2 * width, 2 * step, 1, 'u1', encoding, False)
    luma = rows[:height].repeat(2, axis=0).repeat(2, axis=1)  # nv24 is nv12 of an image twice the size
    return np.ascontiguousarray(cv2.cvtColor(np.concatenate([luma, chroma]), code)[::2, ::2])


def _expect_even(size: int, name: str, encoding: str) -> None:
    if size % 2:
        raise ValueError(f'{encoding} image has {name} {size}, expected an even number')

"""Image buffers as ROS names them, seen as arrays: the hot encodings without a copy, the rest through OpenCV."""
from __future__ import annotations

import sys

import cv2
import numpy as np

from semdepth_ros.bit_depth import BitDepth
from semdepth_ros.compressed_format import CompressedFormat
from semdepth_ros.jpeg_markers import expect_whole_jpeg

# encoding: (channels, dtype, layout). A view of the buffer; OpenCV's order (bgr) for the types that name no colours.
DIRECT = {
    'rgb8': (3, 'u1', 'rgb'), 'bgr8': (3, 'u1', 'bgr'), 'rgba8': (4, 'u1', 'rgba'), 'bgra8': (4, 'u1', 'bgra'),
    'mono8': (1, 'u1', 'mono8'), 'mono16': (1, 'u2', 'mono16'), '8UC1': (1, 'u1', 'mono8'), '8UC3': (3, 'u1', 'bgr'),
    '8UC4': (4, 'u1', 'bgra'), '16UC1': (1, 'u2', 'mono16'), '32FC1': (1, 'f4', 'float32'),
}
# encoding: (channels, layout). 16 bits a channel, reduced to the upper 8 of those that are used.
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
# words of 16 bits, of which a sensor may use fewer
WORDS = ('mono16', '16UC1', *DEEP, *(encoding for encoding, (size, _) in BAYER.items() if size == 2))


def view(data, height: int, width: int, step: int, encoding: str, is_bigendian: bool = False,
         depth: BitDepth | None = None) -> tuple[np.ndarray, str]:
    """Return an image message's buffer as an array and the layout of its pixels.

    The encodings of DIRECT in this machine's byte order share the buffer's memory; padded rows become strides.

    :param data: bytes-like or uint8 array of at least height * step bytes
    :param step: bytes from one row to the next
    :param depth: scales words of 16 bits to their full range; where None they are as they come
    :return: [H, W] or [H, W, C] and a key of semdepth_ros.frame.LAYOUTS, or 'float32' for 32FC1
    :raises ValueError: unknown encoding, zero size, step too small for the width, buffer too small
    """
    if encoding not in SUPPORTED:
        raise ValueError(f'image encoding is {encoding!r}, expected one of {", ".join(SUPPORTED)}')
    if height < 1 or width < 1:
        raise ValueError(f'image is {width}x{height}, expected at least 1x1')
    if encoding in DIRECT:
        channels, dtype, layout = DIRECT[encoding]
        array = _rows(data, height, width, step, channels, dtype, encoding, is_bigendian)
        return (_scaled(array, depth) if layout == 'mono16' else array), layout
    if encoding in DEEP:
        channels, layout = DEEP[encoding]
        deep = _rows(data, height, width, step, channels, 'u2', encoding, is_bigendian)
        return _upper_byte(_scaled(deep, depth)), layout
    if encoding in BAYER:
        size, code = BAYER[encoding]
        mosaic = _rows(data, height, width, step, 1, f'u{size}', encoding, is_bigendian)
        return _bayer(_scaled(mosaic, depth), code), 'rgb'
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


def decompress(data, image_format: str = '', depth: BitDepth | None = None) -> tuple[np.ndarray, str]:
    """Return the image inside a JPEG, PNG or WebP and the layout of its pixels: rgb, bgr, rgba, bgra, mono8 or mono16.

    A JPEG is turned as its EXIF orientation says. A Bayer mosaic that was compressed as a grey picture is made colour.

    :param data: bytes-like or uint8 array
    :param image_format: what a CompressedImage says of it; see CompressedFormat
    :param depth: as for view
    :raises ValueError: empty, cut off, of another kind, or damaged; of a JPEG as far as expect_whole_jpeg can tell; a
        format that is no camera image's
    """
    told = CompressedFormat(image_format)
    told.expect_camera_image(given=depth is not None and depth.given)
    image = _decoded(np.frombuffer(data, dtype=np.uint8), image_format)
    if image.dtype == np.uint16:
        image = _scaled(image, depth)
    if told.is_mosaic and (image.ndim == 2 or _is_grey(image)):
        mosaic = image if image.ndim == 2 else np.ascontiguousarray(image[..., 0])
        return _bayer(mosaic, BAYER[told.mosaic(mosaic.dtype)][1]), 'rgb'
    if image.dtype == np.uint16 and image.ndim == 3:
        image = _upper_byte(image)
    layout = _LAYOUT_OF[image.shape[2:], image.dtype.itemsize]
    return image, layout.replace('bgr', 'rgb') if told.is_rgb else layout


def _decoded(buffer: np.ndarray, image_format: str) -> np.ndarray:
    _expect_whole(buffer)
    # OpenCV turns a JPEG by its EXIF orientation unless it is to leave it unchanged, as alpha asks of a PNG.
    flags = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH if _is_jpeg(buffer) else cv2.IMREAD_UNCHANGED
    try:
        image = cv2.imdecode(buffer, flags)
    except cv2.error:
        image = None
    if image is None or image.dtype.kind != 'u' or (image.shape[2:], image.dtype.itemsize) not in _DECODED:
        said = f' and format {image_format!r}' if image_format else ''
        raise ValueError(f'compressed image of {len(buffer)} bytes{said} cannot be decoded, expected a whole JPEG, PNG '
                         'or WebP')
    return image


def _is_grey(image: np.ndarray) -> bool:
    return bool((image[..., 0] == image[..., 1]).all() and (image[..., 0] == image[..., 2]).all())


def _scaled(array: np.ndarray, depth: BitDepth | None) -> np.ndarray:
    return depth.scaled(array) if depth is not None and array.dtype == np.uint16 else array


def _upper_byte(deep: np.ndarray) -> np.ndarray:
    return (deep >> 8).astype(np.uint8)


_LAYOUT_OF = {((), 1): 'mono8', ((), 2): 'mono16', ((3,), 1): 'bgr', ((4,), 1): 'bgra'}
_DECODED = (*_LAYOUT_OF, ((3,), 2), ((4,), 2))
_NATIVE_IS_BIG = sys.byteorder == 'big'


def _expect_whole(buffer: np.ndarray) -> None:
    """A PNG has checksums, which OpenCV checks; of it only the end is looked for, to say what is wrong."""
    if not len(buffer):
        raise ValueError('compressed image is empty')
    if _is_jpeg(buffer):
        expect_whole_jpeg(buffer)
    elif buffer[:2].tobytes() == b'\x89P' and b'IEND' not in buffer.tobytes():
        raise ValueError(f'compressed image of {len(buffer)} bytes is cut off: its end marker is missing')


def _is_jpeg(buffer: np.ndarray) -> bool:
    return buffer[:2].tobytes() == b'\xff\xd8'


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
    return rgb if rgb.dtype == np.uint8 else _upper_byte(rgb)


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

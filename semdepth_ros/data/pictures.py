"""Image files of every kind a sequence keeps: colour images, depth and labels."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from semdepth_ros.bit_depth import BitDepth
from semdepth_ros.image_encodings import decompress

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg')
# run lengths and Huffman codes: as small as a search for repeats at level 3, and written in half the time
PNG_OPTIONS = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
_TO_RGB = {'bgr': cv2.COLOR_BGR2RGB, 'bgra': cv2.COLOR_BGRA2RGB, 'rgba': cv2.COLOR_RGBA2RGB,
           'mono8': cv2.COLOR_GRAY2RGB}


def as_rgb(image: np.ndarray, layout: str) -> np.ndarray:
    """Return uint8 [H, W, 3] in rgb order of an image in any layout of semdepth_ros.frame.LAYOUTS."""
    if layout == 'mono16':
        image, layout = (image >> 8).astype(np.uint8), 'mono8'
    image = np.ascontiguousarray(image)
    return image if layout == 'rgb' else cv2.cvtColor(image, _TO_RGB[layout])


def read_rgb(path: Path, depth: BitDepth | None = None) -> np.ndarray:
    """Read a PNG or JPEG, colour or grey, as uint8 [H, W, 3] rgb, turned as its EXIF orientation says.

    :param depth: of pictures in words of 16 bits; where None they are taken for full
    :raises ValueError: the file is damaged or no image
    """
    return as_rgb(*_read(path, depth))


def holds_words(path: Path) -> bool:
    """Return whether a file is a PNG of 16 bits a channel, by its header."""
    with path.open('rb') as stream:
        head = stream.read(25)
    return head[:8] == b'\x89PNG\r\n\x1a\n' and head[24:] == b'\x10'


def is_turned(path: Path, image: np.ndarray) -> bool:
    """Return whether an image that was read from a file stands across the way it is stored."""
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return stored is not None and stored.shape[:2] == image.shape[1::-1] != image.shape[:2]


def read_bytes(path: Path) -> np.ndarray:
    """Read a one-channel 8-bit PNG as uint8 [H, W].

    :raises ValueError: the file is damaged, has several channels or 16 bits
    """
    return _read_layout(path, 'mono8', '8-bit')


def read_depth(path: Path, units_per_metre: float) -> np.ndarray:
    """Read a one-channel 16-bit PNG as metres, float32 [H, W]; 0 becomes NaN.

    :raises ValueError: the file is damaged, has several channels or 8 bits
    """
    units = _read_layout(path, 'mono16', '16-bit')
    return np.where(units > 0, units / np.float32(units_per_metre), np.float32(np.nan))


def depth_units(depth: np.ndarray, units_per_metre: float) -> np.ndarray:
    """Return depth [m] as the uint16 of a depth PNG: sky, NaN and what does not fit become 0."""
    units = np.rint(np.where(np.isfinite(depth), depth, 0).astype(np.float64) * units_per_metre)
    return np.where((units > 0) & (units < 65536), units, 0).astype(np.uint16)


def write_picture(path: Path, image: np.ndarray, jpeg_quality: int = 95) -> None:
    """Write rgb uint8 [H, W, 3] or one channel [H, W] uint8 or uint16 as PNG or JPEG, by the suffix of path.

    :raises OSError: the file cannot be written
    """
    image = np.ascontiguousarray(image)
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    options = PNG_OPTIONS if path.suffix == '.png' else [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality]
    path.write_bytes(cv2.imencode(path.suffix, image, options)[1].tobytes())


def _read(path: Path, depth: BitDepth | None = None) -> tuple[np.ndarray, str]:
    try:
        return decompress(path.read_bytes(), depth=depth)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None


def _read_layout(path: Path, expected: str, bits: str) -> np.ndarray:
    image, layout = _read(path)
    if layout != expected:
        raise ValueError(f'{path} is a {layout} picture, expected one channel of {bits}')
    return image

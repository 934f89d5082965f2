"""The size of a JPEG or PNG from its header, without decoding it."""
from __future__ import annotations

import struct

import numpy as np

_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # JPEG's markers that a size follows
_TAIL = 4096  # in which the end marker is looked for


def compressed_size(data: bytes | np.ndarray) -> tuple[int, int]:
    """Return width and height [px] of the image in these bytes.

    :raises ValueError: empty, of another kind, without a size, or without its end marker
    """
    data = bytes(data)
    if data[:2] == b'\xff\xd8':
        size, end = _jpeg_size(data), b'\xff\xd9'
    elif data[:8] == b'\x89PNG\r\n\x1a\n':
        size, end = struct.unpack_from('>II', data, 16) if len(data) >= 24 else None, b'IEND'
    else:
        raise ValueError(f'compressed image of {len(data)} bytes is neither a JPEG nor a PNG')
    if size is None or end not in data[-_TAIL:]:
        raise ValueError('compressed image is cut off: its '
                         + ('size' if size is None else 'end marker') + ' is missing')
    return size


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Go from segment to segment up to the frame header."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        if data[at + 1] == 0xFF:  # padding
            at += 1
        elif data[at + 1] in _FRAMES:
            height, width = struct.unpack_from('>HH', data, at + 5)
            return width, height
        else:
            at += 2 + struct.unpack_from('>H', data, at + 2)[0]
    return None

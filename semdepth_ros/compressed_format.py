"""What the text in a CompressedImage's format says of the pixels inside."""
from __future__ import annotations

import re

import numpy as np

_MOSAIC = re.compile(r'bayer_(rggb|bggr|gbrg|grbg)')
NO_CAMERA = ('16UC1', '32FC1')  # encodings that depth images have


class CompressedFormat:
    """The words of compressed_image_transport: `rgb8; jpeg compressed bgr8`, encoding of the source; codec, order.

    Drivers that write only `jpeg` or `png` have nothing more to say: their pictures are what the codec says.

    :param text: the message's field
    """

    def __init__(self, text: str):
        self.text = text
        self.encoding, _, self._codec = (part.strip() for part in text.partition(';'))

    @property
    def is_mosaic(self) -> bool:
        """Whether the source was a Bayer mosaic; one that was made colour before it was compressed says `bgr8`."""
        return bool(_MOSAIC.match(self.encoding)) and not re.search(r'compressed (bgr|rgb)', self._codec)

    @property
    def is_rgb(self) -> bool:
        """Whether red and blue were handed to the codec the other way round than it expects.

        As compressed_image_transport reads it: what was not compressed as bgr keeps the order of the source.
        """
        return bool(re.search(r'compressed rgb', self._codec))

    def mosaic(self, dtype: np.dtype) -> str:
        """Return the encoding of the mosaic in words of this type, such as bayer_rggb8."""
        return f'{_MOSAIC.match(self.encoding)[0]}{8 * np.dtype(dtype).itemsize}'

    def expect_camera_image(self, given: bool = False) -> None:
        """Expect that the source was a camera image.

        :param given: somebody has said how many bits its words have, so it is no depth image
        :raises ValueError: it was a depth image
        """
        words = given and self.encoding == '16UC1'
        if 'compressedDepth' in self._codec or (self.encoding in NO_CAMERA and not words):
            raise ValueError(f'compressed image has format {self.text!r}, which is that of a depth image')

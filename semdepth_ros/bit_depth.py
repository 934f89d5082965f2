"""How many of their 16 bits images use: sensors of 10 to 14 bits send words, and do not fill them."""
from __future__ import annotations

import logging

import numpy as np

AUTOMATIC = 0
USUAL = (8, 10, 12, 14, 16)  # what sensors have
FIRST_IMAGES = 8  # that tell the range of a recording
LOGGER = logging.getLogger(__name__)


class BitDepth:
    """The bits that the words of one camera's images use, and the scaling that makes white of the largest.

    Told by the largest value seen so far: a frame that needs more bits widens the range from then on.

    :param bits: what is known of the camera; AUTOMATIC where nothing is
    :param name: whose images, for warnings
    :raises ValueError: bits are neither AUTOMATIC nor 8 to 16
    """

    def __init__(self, bits: int = AUTOMATIC, name: str = 'images'):
        if bits != AUTOMATIC and not 8 <= bits <= 16:
            raise ValueError(f'image_bits is {bits}, expected 0 (automatic) or 8 to 16')
        self.given, self.bits, self._name = bits != AUTOMATIC, bits, name
        self._told, self._widens = False, not self.given

    def widen(self, largest: int) -> None:
        """Take in the largest value of images; say once that they do not use all bits, and what changes later."""
        needed = next(bits for bits in USUAL if largest < 1 << bits)
        if not self._widens or not largest or needed <= self.bits:
            return
        if self._told:
            LOGGER.warning('%s: a value of %d needs %d bits, not %d; scaled by that from here on', self._name, largest,
                           needed, self.bits)
        elif needed < 16:
            self._told = True
            LOGGER.warning('%s: of 16 bits only %d are used (the largest value is %d), and images are scaled by that; '
                           'image_bits sets it', self._name, needed, largest)
        self.bits = needed

    def fixed(self) -> BitDepth:
        """Return one that does not widen, for images that are read in any order."""
        fixed = BitDepth(self.bits, self._name)
        fixed.given, fixed._widens = self.given, False
        return fixed

    def scaled(self, image: np.ndarray) -> np.ndarray:
        """Return words that use all 16 bits, themselves where they do; what is larger than the range is white.

        :param image: uint16 [...]
        """
        if self._widens and self.bits < 16:
            self.widen(int(image.max()))
        if self.bits in (AUTOMATIC, 16):
            return image
        return np.minimum(image, np.uint16((1 << self.bits) - 1)) << np.uint16(16 - self.bits)


class LargestValue(BitDepth):
    """Looks at words on their way and leaves them as they are."""

    def __init__(self):
        super().__init__()
        self.largest = 0

    def scaled(self, image: np.ndarray) -> np.ndarray:
        """Remember the largest value."""
        self.largest = max(self.largest, int(image.max()))
        return image

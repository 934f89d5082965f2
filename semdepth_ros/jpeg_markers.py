"""Whether a JPEG is whole, told by its markers alone (ITU-T T.81, annex B)."""
from __future__ import annotations

import numpy as np

_FILL, _END, _SCAN, _INTERVAL, _LINES = 0xFF, 0xD9, 0xDA, 0xDD, 0xDC
_FIRST_RESTART = 0xD0
# What may stand between scans: tables, comments and application data, and the next scan; before the first, frames too.
_BETWEEN = frozenset({0xC4, 0xCC, _SCAN, 0xDB, _LINES, _INTERVAL, *range(0xE0, 0xF0), 0xFE})
_BEFORE = _BETWEEN | (frozenset(range(0xC0, 0xD0)) - {0xC8})


def expect_whole_jpeg(buffer: np.ndarray) -> None:
    """Expect that segments follow one another without a gap, and that scans are free of foreign markers up to the end.

    Decoders fill what they cannot read with grey and call it a success. Found are: data that is cut off, markers in a
    scan that do not belong there (400 bytes of noise leave one three times out of four), restart markers that are
    missing or out of order. Not found is damage in a scan that leaves no such trace, as bytes that are lost or zeroed
    in a JPEG without restart markers, or an end marker that stands too early: only decoding would tell, and OpenCV's
    decoder tells stderr alone. What lies behind the end marker is not looked at: drivers pad.

    :param buffer: uint8 [N], beginning with FF D8
    :raises ValueError: it is cut off or damaged
    """
    _Walk(buffer).to_the_end()


class _Walk:
    """A position that goes from marker to marker."""

    def __init__(self, buffer: np.ndarray):
        places = np.flatnonzero(buffer[:-1] == _FILL)
        codes = buffer[places + 1]
        is_marker = (codes != 0) & (codes != _FILL)  # FF 00 is the number 255
        self._buffer, self._places, self._codes = buffer, places[is_marker], codes[is_marker]
        self._others = np.flatnonzero((self._codes & 0xF8) != _FIRST_RESTART)
        self._at, self._interval, self._allowed, self._in_scan = 2, 0, _BEFORE, False

    def to_the_end(self) -> None:
        """Go from marker to marker up to the end marker.

        :raises ValueError: as expect_whole_jpeg
        """
        code = None
        while code != _END:
            place, code = self._next_marker()
            if code != _END:
                self._read_segment(place, code)

    def _next_marker(self) -> tuple[int, int]:
        """Return the next marker other than a restart: where it is and its code."""
        first = index = int(np.searchsorted(self._places, self._at))
        if self._in_scan:
            other = np.searchsorted(self._others, first)
            index = int(self._others[other]) if other < len(self._others) else len(self._places)
            self._expect_restarts_in_order(first, index)
        if index == len(self._places):
            raise self._cut_off()
        place, code = int(self._places[index]), int(self._codes[index])
        if not self._in_scan and (self._buffer[self._at:place] != _FILL).any():
            raise self._damaged(f'there is no marker at byte {self._at}')
        if code != _END and code not in self._allowed:
            raise self._damaged(f'marker ff{code:02x} at byte {place} does not belong there')
        return place, code

    def _expect_restarts_in_order(self, first: int, end: int) -> None:
        if end > first and not self._interval:
            raise self._damaged(f'there is a restart marker at byte {self._places[first]}, but no restart interval')
        wrong = np.flatnonzero(self._codes[first:end] != _FIRST_RESTART + np.arange(end - first) % 8)
        if len(wrong):
            place = self._places[first + wrong[0]]
            raise self._damaged(f'the restart marker at byte {place} is out of order')

    def _read_segment(self, place: int, code: int) -> None:
        """Step behind a segment, and behind the scan's header if it is one."""
        head = self._buffer[place + 2:place + 6].tolist()
        if len(head) < 4:
            raise self._cut_off()
        length = 256 * head[0] + head[1]
        expected = {_SCAN: 6 + 2 * head[2], _INTERVAL: 4, _LINES: 4}.get(code, max(length, 2))
        if length != expected:
            raise self._damaged(f'segment ff{code:02x} at byte {place} has {length} bytes, expected {expected}')
        if place + 2 + length > len(self._buffer):
            raise self._cut_off()
        if code == _INTERVAL:
            self._interval = 256 * head[2] + head[3]
        self._at, self._in_scan = place + 2 + length, code == _SCAN
        if self._in_scan:
            self._allowed = _BETWEEN

    def _cut_off(self) -> ValueError:
        return ValueError(f'compressed image of {len(self._buffer)} bytes is cut off: its end marker is missing')

    def _damaged(self, how: str) -> ValueError:
        return ValueError(f'compressed image of {len(self._buffer)} bytes is damaged: {how}')

"""A few frames of a stream whose end is not known, evenly spread over it."""
from __future__ import annotations

from typing import Any


class SpreadFrames:
    """Keeps every n-th frame, and doubles n as the stream goes on; never more than four times `most`."""

    def __init__(self, most: int):
        self._most, self._step, self._seen = most, 1, 0
        self._kept: list[Any] = []

    def offer(self, frame: Any) -> None:
        """Take in the next frame."""
        if self._most and self._seen % self._step == 0:
            self._kept.append(frame)
            if len(self._kept) > 4 * self._most:
                self._kept, self._step = self._kept[::2], 2 * self._step
        self._seen += 1

    def chosen(self) -> list[Any]:
        """Return at most `most` of the frames, from the middles of as many equal parts of what was kept."""
        count = min(self._most, len(self._kept))
        return [self._kept[int((i + 0.5) * len(self._kept) / count)] for i in range(count)]

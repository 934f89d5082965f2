"""Two streams of the same messages, of which the second takes over from the first where they meet."""
from __future__ import annotations

import zlib
from collections import deque
from typing import Any

from semdepth_ros.bridge.messages import stamp_ns

_REMEMBERED = 300  # messages of the first stream by which the second may lag


class Overlap:
    """Remembers what the first stream has delivered and what the second has brought, while both run.

    A message is known by its stamp and its data, since drivers without a clock stamp all alike.
    """

    def __init__(self):
        self._delivered: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)
        self._ahead: list[tuple[tuple[int, int], Any]] = []

    @property
    def waiting(self) -> list[Any]:
        """What the second stream has brought and may still come from the first as well, oldest first."""
        return [message for _, message in self._ahead]

    def first(self, message: Any) -> None:
        """Note a message that the first stream has delivered."""
        self._delivered.append(_key(message))

    def second(self, message: Any) -> None:
        """Note a message that the second stream has brought."""
        self._ahead.append((_key(message), message))

    def meet(self) -> bool:
        """Return whether both have brought the same message; what the second brought up to it is then done with."""
        known = [key in self._delivered for key, _ in self._ahead]
        if not any(known):
            return False
        last = len(known) - known[::-1].index(True)
        for key, _ in self._ahead[:last]:
            self._is_known(key)
        del self._ahead[:last]
        return True

    def is_double(self, message: Any) -> bool:
        """Return whether the first stream has delivered this message of the second; each counts once."""
        return self._is_known(_key(message))

    def _is_known(self, key: tuple[int, int]) -> bool:
        if key in self._delivered:
            self._delivered.remove(key)
            return True
        return False


def _key(message: Any) -> tuple[int, int]:
    return stamp_ns(message.header), zlib.crc32(getattr(message, 'data', b''))

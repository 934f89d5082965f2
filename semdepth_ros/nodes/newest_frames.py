"""The newest frames of a camera, handed over together: a learner needs three that follow each other."""
from __future__ import annotations

import threading
from collections import deque
from typing import Any


class NewestFrames:
    """Keeps what has come last until somebody takes it; put() and take() may be called by different threads."""

    def __init__(self):
        self._waiting: deque[tuple[Any, int, int | None]] = deque()
        self._newest_ns: int | None = None
        self._lock = threading.Lock()

    def put(self, item: Any, stamp_ns: int, most: int) -> int:
        """Let an item wait beside others, the oldest of which are dropped; return how many were.

        :param most: items that wait at most
        """
        with self._lock:
            self._waiting.append((item, stamp_ns, self._newest_ns))
            self._newest_ns, before = stamp_ns, len(self._waiting)
            while len(self._waiting) > most:
                self._waiting.popleft()
            return before - len(self._waiting)

    def take(self) -> list[tuple[Any, int | None]]:
        """Return what waits, oldest first, each with the stamp of the item that came right before it; None: nothing did."""
        with self._lock:
            taken = [(item, follows_ns) for item, _, follows_ns in self._waiting]
            self._waiting.clear()
        return taken

"""Ctrl-C between steps instead of within them."""
from __future__ import annotations

import signal
import threading


class Interruption:
    """While entered, the first SIGINT or SIGTERM only sets `requested`; a second one acts as it always did."""

    signals = (signal.SIGINT, signal.SIGTERM)

    def __init__(self):
        self.requested = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._request) for number in self.signals}
        return self

    def __exit__(self, *exception) -> None:
        self._restore()

    def _request(self, number: int, frame) -> None:
        self.requested = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

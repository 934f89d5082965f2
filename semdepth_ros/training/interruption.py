"""Ctrl-C between steps instead of within them, agreed on by all processes."""
from __future__ import annotations

import signal
import threading

from lightning.fabric import Fabric


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


def ignore_signals(worker: int) -> None:
    """Leave Ctrl-C and SIGTERM, which a terminal or `timeout` sends to every process, to the one that trains.

    For a DataLoader's workers: they end when the loader or its process does.
    """
    for number in Interruption.signals:
        signal.signal(number, signal.SIG_IGN)


def any_process(fabric: Fabric, flag: bool) -> bool:
    """Return whether the flag is set in any process of the run: the same answer in all. All have to call this."""
    return flag if fabric.world_size == 1 else bool(fabric.all_reduce(int(flag), reduce_op='max'))

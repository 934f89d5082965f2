"""Messages of two topics paired by their stamps: by message_filters where it is installed, else by our own rule."""
from __future__ import annotations

from typing import Any, Protocol

from semdepth_ros.bridge.stamp_pairs import StampPairs

try:
    import message_filters
except ImportError:  # it comes with a ROS installation, not from PyPI
    message_filters = None


class Pairing(Protocol):
    """What pairs: see StampPairs."""

    def add(self, topic: int, message: Any) -> tuple[Any, Any] | None:
        """Take in a message of topic 0 or 1, or anything with its header; return the pair it completes, if any."""

    def forget(self, topic: int) -> None:
        """Forget what waits of a topic."""


class FilteredPairs:
    """Pairs as StampPairs does, with message_filters' TimeSynchronizer or, with a slop, its approximate one."""

    def __init__(self, queue: int, slop_ns: int = 0):
        self._inputs = message_filters.SimpleFilter(), message_filters.SimpleFilter()
        self._paired: list[tuple[Any, Any]] = []
        synchronizer = (message_filters.ApproximateTimeSynchronizer(self._inputs, queue, slop_ns * 1e-9) if slop_ns
                        else message_filters.TimeSynchronizer(self._inputs, queue))
        # Only takes notes: what a callback raises would leave the synchronizer's lock locked for ever.
        synchronizer.registerCallback(lambda *pair: self._paired.append(pair))
        self._synchronizer = synchronizer

    def add(self, topic: int, message: Any) -> tuple[Any, Any] | None:
        """Take in a message; return the pair it completes, if any."""
        self._inputs[topic].signalMessage(message)
        return self._paired.pop() if self._paired else None

    def forget(self, topic: int) -> None:
        """Forget what waits of a topic."""
        self._synchronizer.queues[topic].clear()


def pairing(queue: int, slop_ns: int = 0) -> Pairing:
    """Return what pairs messages here.

    :param queue: messages of a topic that may wait
    :param slop_ns: how far apart the stamps of a pair may be, less than this; 0 for equal stamps only
    """
    return (FilteredPairs if message_filters else StampPairs)(queue, slop_ns)

"""Messages of two topics that belong together by their stamps, as message_filters pairs them."""
from __future__ import annotations

from typing import Any

from semdepth_ros.bridge.messages import stamp_ns


class StampPairs:
    """Pairs every message with one of the other topic: of the same stamp, or the nearest that is there already.

    A pair is made as soon as it can be, and its messages are then used up, as message_filters' TimeSynchronizer and
    ApproximateTimeSynchronizer do. Beyond `queue` the oldest message of a topic is forgotten.

    :param slop_ns: how far apart the stamps of a pair may be, less than this; 0 for equal stamps only
    """

    def __init__(self, queue: int, slop_ns: int = 0):
        self._queue, self._slop_ns = queue, slop_ns
        self._waiting: tuple[dict[int, Any], dict[int, Any]] = ({}, {})

    def add(self, topic: int, message: Any) -> tuple[Any, Any] | None:
        """Take in a message of topic 0 or 1, or anything with its header; return the pair it completes, if any.

        :return: what came of topic 0, what came of topic 1
        """
        mine, others, stamp = self._waiting[topic], self._waiting[1 - topic], stamp_ns(message.header)
        mine[stamp] = message
        while len(mine) > self._queue:
            del mine[min(mine)]
        partner = self._partner(stamp, others)
        if partner is None or stamp not in mine:
            return None
        pair = (mine.pop(stamp), others.pop(partner))
        return pair if topic == 0 else pair[::-1]

    def forget(self, topic: int) -> None:
        """Forget what waits of a topic, as when its clock was set back: what is older would be forgotten first."""
        self._waiting[topic].clear()

    def _partner(self, stamp: int, others: dict[int, Any]) -> int | None:
        if not self._slop_ns:
            return stamp if stamp in others else None
        nearest = min(others, key=lambda other: abs(other - stamp), default=None)
        return nearest if nearest is not None and abs(nearest - stamp) < self._slop_ns else None

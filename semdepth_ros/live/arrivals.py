"""When which output of which frame came back over the graph."""
from __future__ import annotations

from collections.abc import Collection
import threading
import time

NEEDED = ('depth/image', 'semantic/image')  # a frame that has both counts as perceived


class Arrivals:
    """When which output of which frame arrived; any thread may note, any may wait."""

    def __init__(self):
        self._changed = threading.Condition()
        self._times: dict[int, dict[str, float]] = {}

    def note(self, topic: str, stamp_ns: int) -> None:
        """Remember that this output has arrived now."""
        with self._changed:
            self._times.setdefault(stamp_ns, {}).setdefault(topic, time.monotonic())
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget all: the same stamps are about to come again."""
        with self._changed:
            self._times.clear()

    def wait_for(self, topics: Collection[str], stamp_ns: int, timeout_s: float) -> float | None:
        """Return when the last of these outputs of a frame arrived, None if one did not within the time."""
        with self._changed:
            self._changed.wait_for(lambda: self._has(topics, stamp_ns), timeout_s)
            return max(self._times[stamp_ns][t] for t in topics) if self._has(topics, stamp_ns) else None

    def wait_for_one(self, stamps_ns: Collection[int], timeout_s: float) -> None:
        """Wait until the needed outputs of one of these frames have arrived."""
        with self._changed:
            self._changed.wait_for(lambda: any(self._has(NEEDED, s) for s in stamps_ns), timeout_s)

    def complete(self, topics: Collection[str] = NEEDED) -> dict[int, float]:
        """Return, by stamp, when the last of these outputs arrived."""
        with self._changed:
            return {stamp: max(times[t] for t in topics) for stamp, times in self._times.items()
                    if self._has(topics, stamp)}

    def _has(self, topics: Collection[str], stamp_ns: int) -> bool:
        return set(topics) <= self._times.get(stamp_ns, {}).keys()

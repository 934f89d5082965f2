"""One thread that works on the newest item of every source."""
from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Any

Taken = list[tuple[Hashable, Any]]


def alone(source: Hashable, waiting: Sequence[Hashable]) -> list[Hashable]:
    """Return the sources that are taken with one: none."""
    return []


class NewestFirstWorker:
    """Calls work([(source, item), ...]) on its own thread; of every source only the newest item waits.

    Sources take turns: the one that has waited longest comes next, and with it those that beside says.

    :param work: must not raise; an exception that it does raise ends the thread after failed has been told
    :param beside: given the source whose turn it is and the others that wait, longest first, returns those of them that
        are taken with it
    """

    def __init__(self, work: Callable[[Taken], None], failed: Callable[[BaseException], None],
                 beside: Callable[[Hashable, Sequence[Hashable]], Collection[Hashable]] = alone):
        self._work, self._failed, self._beside = work, failed, beside
        self._waiting: dict[Hashable, Any] = {}
        self._changed, self._running, self._busy = threading.Condition(), True, False
        self._thread = threading.Thread(target=self._run, name='perceive', daemon=True)
        self._thread.start()

    def put(self, source: Hashable, item: Any) -> bool:
        """Let an item wait; return whether it replaced an older one of its source."""
        with self._changed:
            replaced = source in self._waiting
            self._waiting[source] = item
            self._changed.notify()
        return replaced

    def clear(self) -> list[Hashable]:
        """Drop what waits, wait for what is being worked on, and return the sources of what was dropped."""
        with self._changed:
            dropped = list(self._waiting)
            self._waiting.clear()
            if threading.current_thread() is not self._thread:
                self._changed.wait_for(lambda: not self._busy, timeout=30.0)
        return dropped

    def stop(self) -> None:
        """Drop what waits, finish what is being worked on, and end the thread."""
        with self._changed:
            self._running = False
            self._waiting.clear()
            self._changed.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=30.0)

    def _run(self) -> None:
        try:
            while True:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._waiting or not self._running)
                    if not self._running:
                        return
                    taken = self._take()
                    self._busy = True
                self._work(taken)
        except BaseException as error:
            with self._changed:
                self._busy = self._running = False
                self._changed.notify_all()
            self._failed(error)

    def _take(self) -> Taken:
        first, *others = self._waiting
        return [(source, self._waiting.pop(source)) for source in (first, *self._beside(first, others))]

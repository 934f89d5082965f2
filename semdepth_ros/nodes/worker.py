"""One thread that works on the newest item of every source."""
from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any


class NewestFirstWorker:
    """Calls work(source, item) on its own thread; of every source only the newest item waits.

    Sources take turns: the one that has waited longest comes next.

    :param work: must not raise; an exception that it does raise ends the thread after failed has been told
    """

    def __init__(self, work: Callable[[Hashable, Any], None], failed: Callable[[BaseException], None]):
        self._work, self._failed = work, failed
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
                    source = next(iter(self._waiting))
                    item = self._waiting.pop(source)
                    self._busy = True
                self._work(source, item)
        except BaseException as error:
            with self._changed:
                self._busy = self._running = False
                self._changed.notify_all()
            self._failed(error)

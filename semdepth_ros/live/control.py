"""What a long run on a graph is held by: a signal that stops it, somebody who is told of it, a node that must live."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import threading

Progress = Callable[[int, int], None]


class Stopped(RuntimeError):
    """A signal came."""


@dataclass(frozen=True)
class RunControl:
    """How a run is stopped, watched and told of.

    :param stop: ends the run when set
    :param say: told every step in one line
    :param progress: returns what is called with (done, total), given what is counted
    :param check: raises RuntimeError if what the run needs has ended
    """

    stop: threading.Event
    say: Callable[[str], None]
    progress: Callable[[str], Progress]
    check: Callable[[], None] = lambda: None

    def expect_going(self) -> None:
        """Raise Stopped if a signal has come, and whatever check raises."""
        if self.stop.is_set():
            raise Stopped('stopped by a signal')
        self.check()

    def counting(self, noun: str) -> Progress:
        """Return what says how far the counting of something has come, and ends it if the run must end."""
        tell = self.progress(noun)

        def advance(done: int, total: int) -> None:
            self.expect_going()
            tell(done, total)
        return advance

"""How many steps a run takes: those its recipe says, or those that fit into a given time."""
from __future__ import annotations

import sys
import time
from collections.abc import Callable

# steps before the pace is measured (kernels are chosen, caches fill), and steps that it is measured over at first
SETTLING, MEASURED = 20, 40
# the number of steps is set anew after each of these shares of the time; beyond the last it stands
CORRECTIONS = (0.1, 0.2, 0.35, 0.5, 0.65, 0.8)


class Steps:
    """The steps of a run that is given a number of them, or a time.

    With a time, `total` is beyond reach until the pace is known; then it is what fits, corrected a few times as the pace
    becomes better known, so that the schedule ends with the time. As long as a validation takes is left free for the
    last one. Form ours.

    :param steps: the recipe's, where no time is given
    :param seconds: the time from now on; None takes the steps
    :param clock: seconds of a steady clock
    """

    def __init__(self, steps: int, seconds: float | None = None, clock: Callable[[], float] = time.monotonic):
        self.total = steps if seconds is None else sys.maxsize
        self._seconds, self._clock, self._start = seconds, clock, clock()
        self._due, self._reserve, self._settled = list(CORRECTIONS), 0.0, None

    def validated(self, seconds: float) -> None:
        """Say how long a validation took."""
        self._reserve = max(self._reserve, seconds)

    def done(self, step: int, first: int = 0) -> None:
        """Take note that so many steps are done, of a run that began at the first; set `total` anew where it is due."""
        if self._seconds is None:
            return
        now, taken = self._clock(), step - first
        share = (now - self._start) / self._seconds
        if taken == SETTLING:
            self._settled = now
        if share >= 1:
            self.total = min(self.total, step)
        elif taken == SETTLING + MEASURED or taken > SETTLING + MEASURED and self._due and share >= self._due[0]:
            self._due = [due for due in self._due if due > share]
            a_step = (now - self._settled) / (taken - SETTLING)
            left = self._start + self._seconds - self._reserve - now
            self.total = step + max(int(left / a_step), 1)

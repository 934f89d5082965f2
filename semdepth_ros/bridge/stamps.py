"""What the times of a stream's frames tell: its period, frames that are missing, time that goes backwards."""
from __future__ import annotations

from collections import deque
from statistics import median

_LEAST = 5  # differences before a period is believed
_INTERRUPTION_S = 5.0


class StampWatch:
    """Follows the stamps of one stream of images."""

    def __init__(self):
        self.missing = 0
        self._last: int | None = None
        self._steps: deque[int] = deque(maxlen=31)

    def see(self, stamp_ns: int) -> bool:
        """Take in the next stamp; return False, and start anew, if time went backwards.

        A step of more than one and a half periods counts as missing frames; one of more than five seconds is an
        interruption, after which the stream starts anew. Equal stamps (drivers without a clock) say nothing.
        """
        last, self._last = self._last, stamp_ns
        step = 0 if last is None else stamp_ns - last
        if step < 0 or step > _INTERRUPTION_S * 1e9:
            self._steps.clear()
            return step >= 0
        if step:
            period = self.period_ns
            if period and step > 1.5 * period:
                self.missing += round(step / period) - 1
            self._steps.append(step)
        return True

    def restart(self) -> None:
        """Forget the stream, as when it is subscribed anew; what was counted stays."""
        self._last = None
        self._steps.clear()

    @property
    def period_ns(self) -> float | None:
        """The usual step between frames [ns], None before a few have been seen."""
        return median(self._steps) if len(self._steps) >= _LEAST else None

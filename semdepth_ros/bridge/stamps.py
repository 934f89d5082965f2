"""What the times of a stream's frames tell: its period, frames that are missing, time that goes backwards."""
from __future__ import annotations

from collections import deque
from statistics import median

_LEAST = 5  # differences before a period is believed
_INTERRUPTION_S = 5.0
_EARLY_NS, _EARLY = 20_000_000, 0.2  # that a frame may be, and in parts of the period


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


class StampPace:
    """Lets so many frames a second of a stream pass, by their stamps."""

    def __init__(self):
        self._last_ns = self._due_ns = 0

    def lets_pass(self, stamp_ns: int, rate_hz: float) -> bool:
        """Return whether this frame is to be taken, the next one of the stream; at a rate of 0 every frame is.

        What comes late does not put off the next, so that on the whole the rate is kept; after a gap, and when time goes
        backwards, it begins anew.
        """
        before, self._last_ns = self._last_ns, stamp_ns
        if rate_hz <= 0 or stamp_ns == before:  # of a driver without a clock
            return True
        backwards = stamp_ns < before
        period = round(1e9 / rate_hz)
        self._due_ns = min(self._due_ns, stamp_ns + period)  # the rate has been raised
        if not backwards and stamp_ns < self._due_ns - min(_EARLY_NS, _EARLY * period):
            return False
        is_late = stamp_ns > self._due_ns + period
        self._due_ns = (stamp_ns if backwards or is_late else self._due_ns) + period
        return True

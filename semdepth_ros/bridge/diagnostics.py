"""How a node is doing: counters, rates, latencies, and the diagnostic message they are sent in."""
from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping
from statistics import median
from typing import Any

import numpy as np

from semdepth_ros.bridge.messages import MessageTypes

OK, WARN, ERROR, STALE = range(4)
_WINDOW_S = 10.0
_RECENT = 32  # rises that a period is taken from


class Statistics:
    """Counts of one stream, its rates and its latencies by stage. Any thread may call any method."""

    def __init__(self):
        self._lock = threading.Lock()
        self._counts = Counter()
        self._times = {}
        self._latencies = {}

    def count(self, name: str, now_s: float | None = None, times: int = 1) -> None:
        """Add to a counter; with a time [s, steady] its rate is kept as well."""
        with self._lock:
            self._counts[name] += times
            if now_s is not None:
                self._times.setdefault(name, deque(maxlen=1000)).append(now_s)

    def latency(self, stages_ms: Mapping[str, float]) -> None:
        """Note how long each stage of one frame took [ms]."""
        with self._lock:
            for stage, value in stages_ms.items():
                self._latencies.setdefault(stage, deque(maxlen=200)).append(value)

    def total(self, name: str) -> int:
        """Return a counter."""
        with self._lock:
            return self._counts[name]

    def totals(self) -> Counter:
        """Return all counters as they are at one moment."""
        with self._lock:
            return self._counts.copy()

    def rate(self, name: str, now_s: float) -> float:
        """Return how often a second a counter rose during the last ten seconds, up to now: silence makes it fall."""
        with self._lock:
            times = [t for t in self._times.get(name, ()) if now_s - t <= _WINDOW_S]
        if len(times) < 2 or times[-1] <= times[0]:
            return 0.0
        return min((len(times) - 1) / (times[-1] - times[0]), len(times) / (now_s - times[0]))

    def last_s(self, name: str) -> float | None:
        """Return when a counter rose last [s, steady], None if it never did."""
        with self._lock:
            times = self._times.get(name)
            return times[-1] if times else None

    def period_s(self, name: str) -> float:
        """Return the usual time between two rises of a counter [s], 0 where it is not known."""
        with self._lock:
            times = list(self._times.get(name, ()))[-_RECENT:]
        return median(b - a for a, b in zip(times, times[1:])) if len(times) > 1 else 0.0

    def percentiles(self) -> dict[str, tuple[float, float, float]]:
        """Return the median, 95th and 99th percentile of every stage's latency [ms] over the last 200 frames."""
        with self._lock:
            stages = {stage: list(values) for stage, values in self._latencies.items()}
        return {stage: tuple(float(p) for p in np.percentile(values, (50, 95, 99))) for stage, values in stages.items()}


def make_status(types: MessageTypes, name: str, hardware_id: str, level: int, message: str,
                values: Mapping[str, Any]) -> Any:
    """Return a diagnostic_msgs/DiagnosticStatus.

    :param values: shown in this order; numbers with a fraction are given four digits
    """
    pairs = [types.make('diagnostic_msgs/msg/KeyValue', key=key, value=_text(value)) for key, value in values.items()]
    return types.make('diagnostic_msgs/msg/DiagnosticStatus', level=bytes([level]), name=name, message=message,
                      hardware_id=hardware_id, values=pairs)


def make_diagnostics(types: MessageTypes, header: Any, statuses: list[Any]) -> Any:
    """Return a diagnostic_msgs/DiagnosticArray."""
    return types.make('diagnostic_msgs/msg/DiagnosticArray', header=header, status=statuses)


def _text(value: Any) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value)

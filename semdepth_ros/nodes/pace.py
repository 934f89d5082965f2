"""How much of the time learning may take, so that perception beside it keeps its own."""
from __future__ import annotations

import math

from semdepth_ros.bridge.perception_load import PerceptionLoad

LEAST_SHARE, LESS, MORE = 0.02, 0.5, 1.25
SILENT_S = 10.0  # without word of perception there is nothing to be considerate of


class Pace:
    """The share of the time that learning takes: halved while perception is behind, a quarter more while it is not.

    Perception is behind where images were dropped since it was heard last, where its 95th percentile is longer than the
    time between images, or longer by most_slowdown than the least that was ever heard of it (form ours). It reports the
    last 200 frames, so the percentile lags; drops do not.

    :param most_share: what learning takes where nobody is behind
    :param most_slowdown: of perception's 95th percentile, relative
    """

    def __init__(self, most_share: float, most_slowdown: float):
        self.share, self.is_behind = most_share, False
        self._most_share, self._most_slowdown = most_share, most_slowdown
        self._quiet_ms, self._dropped, self._heard_s = math.inf, None, -math.inf

    def hear(self, load: PerceptionLoad, now_s: float) -> None:
        """Take in what perception says of itself, at a time of the steady clock [s]."""
        dropped = 0 if self._dropped is None or load.dropped < self._dropped else load.dropped - self._dropped
        self._dropped, self._heard_s = load.dropped, now_s
        if load.p95_ms > 0:
            self._quiet_ms = min(self._quiet_ms, load.p95_ms)
        slow = load.p95_ms > min(load.period_ms, (1 + self._most_slowdown) * self._quiet_ms)
        self.is_behind = bool(dropped or slow)
        self.share = max(LESS * self.share, LEAST_SHARE) if self.is_behind else min(MORE * self.share, self._most_share)

    def rest_s(self, took_s: float, now_s: float) -> float:
        """Return how long to rest after work that took so long [s]."""
        if now_s - self._heard_s > SILENT_S:
            self.share, self.is_behind = self._most_share, False
        return took_s * (1 - self.share) / self.share

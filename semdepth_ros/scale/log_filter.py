"""A one-dimensional Kalman filter of ln(scale)."""
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LogFilterRule:
    """How fast a scale may drift and what is an outlier (form ours).

    :param drift: standard deviation of the random walk of ln(scale) after one second, whatever is seen
    :param view_drift: the same from one view to the next: a network's scale is not the same everywhere
    :param gate: squared deviations beyond which a measurement is an outlier: chi-square, one degree of freedom, 99.5 %
    :param patience: outliers in a row after which they are believed, if they agree, and the filter starts anew
    :param longest_gap_s: time without frames that counts as drift at most
    """

    drift: float = 0.007
    view_drift: float = 0.03
    gate: float = 7.88
    patience: int = 8
    longest_gap_s: float = 60.0


class LogScaleFilter:
    """A random walk, measured now and then.

    `log` is the estimate of ln(scale), `variance` its variance, infinite before any measurement; `starts` counts how
    often it has begun anew.
    """

    def __init__(self, rule: LogFilterRule = LogFilterRule()):
        self.rule = rule
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.log, self.variance, self.starts, self._outliers = 0.0, math.inf, 0, []

    def predict(self, elapsed_s: float) -> None:
        """Let time pass: the variance grows, the scale stays."""
        self.variance += self.rule.drift ** 2 * min(max(elapsed_s, 0.0), self.rule.longest_gap_s)

    def predict_view(self) -> None:
        """Let another view come: the variance grows."""
        self.variance += self.rule.view_drift ** 2

    def measure(self, log_scale: float, log_sigma: float) -> bool:
        """Take in a measurement; return whether it agrees with the estimate as it then is."""
        variance = log_sigma ** 2
        innovation = log_scale - self.log
        if innovation ** 2 > self.rule.gate * (self.variance + variance):
            return self._outlier(log_scale, variance)
        if math.isinf(self.variance):
            return self._start(log_scale, variance)
        self._outliers = []
        gain = self.variance / (self.variance + variance)
        self.log += gain * innovation
        self.variance *= 1 - gain
        return True

    def _outlier(self, log_scale: float, variance: float) -> bool:
        self._outliers = [*self._outliers, log_scale][-self.rule.patience:]
        if len(self._outliers) < self.rule.patience or np.std(self._outliers) ** 2 > 4 * variance:
            return False
        return self._start(float(np.median(self._outliers)), variance)

    def _start(self, log_scale: float, variance: float) -> bool:
        self.log, self.variance, self.starts, self._outliers = log_scale, variance, self.starts + 1, []
        return True

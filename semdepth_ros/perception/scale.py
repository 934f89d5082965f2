"""Where the factor from the network's depth to metres comes from: nowhere, a parameter, or the camera's height."""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from semdepth_ros.classes import CITYSCAPES, TRAIN_ID, SemanticClass
from semdepth_ros.frame_perception import Perception, Scale
from semdepth_ros.geometry.ground_plane import GroundPlane, GroundPlaneRule, fit_ground_plane


class ScaleSource(Protocol):
    """Knows the scale, and may learn from what is perceived with it."""

    @property
    def scale(self) -> Scale:
        """The scale for the next frame."""

    def observe(self, perception: Perception) -> None:
        """Take note of a perceived frame."""


@dataclass(frozen=True)
class GivenScale:
    """A scale that somebody else knows; by default none: 1, not metric."""

    scale: Scale = Scale()

    def observe(self, perception: Perception) -> None:
        """Take no note."""


def fixed_scale(value: float) -> GivenScale:
    """Return the source of a scale that was measured once.

    :raises ValueError: the value is not positive and finite
    """
    _expect_positive(value, 'scale')
    return GivenScale(Scale(float(value), 0.0, True))


@dataclass(frozen=True)
class ScaleFilterRule:
    """How fast a scale may drift and when it is believed (form ours).

    :param drift: standard deviation of the random walk of ln(scale) after one second
    :param gate: squared deviations beyond which a measurement is an outlier: chi-square, one degree of freedom, 99.5 %
    :param patience: outliers in a row after which they are believed and the filter starts anew
    :param metric_sigma: deviation of ln(scale) below which depth counts as metric
    :param lost_sigma: deviation above which it no longer does
    :param longest_gap_s: time without frames that counts as drift at most
    """

    drift: float = 0.01
    gate: float = 7.88
    patience: int = 10
    metric_sigma: float = 0.05
    lost_sigma: float = 0.12
    longest_gap_s: float = 60.0


class LogScaleFilter:
    """A one-dimensional Kalman filter of ln(scale): a random walk, measured now and then."""

    def __init__(self, rule: ScaleFilterRule = ScaleFilterRule()):
        self.rule = rule
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._log, self._variance, self._outliers = 0.0, math.inf, []
        self._metric = False

    @property
    def scale(self) -> Scale:
        """The scale, its deviation, and whether it may be called metric; 1 and not metric before any measurement."""
        if math.isinf(self._variance):
            return Scale()
        value = math.exp(self._log)
        return Scale(value, value * math.sqrt(self._variance), self._metric)

    def predict(self, elapsed_s: float) -> None:
        """Let time pass: the variance grows, the scale stays."""
        elapsed_s = min(max(elapsed_s, 0.0), self.rule.longest_gap_s)
        self._variance += self.rule.drift ** 2 * elapsed_s
        self._judge()

    def measure(self, log_scale: float, log_sigma: float) -> bool:
        """Take in a measurement; return whether it passed the gate."""
        variance = log_sigma ** 2
        if math.isinf(self._variance):
            self._log, self._variance = log_scale, variance
            return True
        innovation = log_scale - self._log
        if innovation ** 2 > self.rule.gate * (self._variance + variance):
            return self._outlier(log_scale, variance)
        self._outliers = []
        gain = self._variance / (self._variance + variance)
        self._log += gain * innovation
        self._variance *= 1 - gain
        self._judge()
        return True

    def _outlier(self, log_scale: float, variance: float) -> bool:
        self._outliers.append(log_scale)
        if len(self._outliers) >= self.rule.patience and np.std(self._outliers) ** 2 <= 4 * variance:
            self._log, self._variance, self._metric = float(np.median(self._outliers)), variance, False
            self._outliers = []
        else:
            self._outliers = self._outliers[-self.rule.patience:]
        return False

    def _judge(self) -> None:
        """Call the scale metric below one deviation and stop above another, so that the flag does not flicker."""
        sigma = math.sqrt(self._variance)
        self._metric = sigma < (self.rule.lost_sigma if self._metric else self.rule.metric_sigma)


class CameraHeight:
    """Scale from the known height of the camera over the height at which the perceived road lies.

    It is filtered over time; while no road can be trusted it stays as it is and its deviation grows. New
    weights start it anew.

    :param height_m: of the lens above the road [m]
    :param classes: whose `ground` flag says what may carry the plane; road alone where enough of it is seen
    :raises ValueError: the height is not positive and finite
    """

    def __init__(self, height_m: float, classes: tuple[SemanticClass, ...] = CITYSCAPES,
                 plane_rule: GroundPlaneRule = GroundPlaneRule(), filter_rule: ScaleFilterRule = ScaleFilterRule()):
        _expect_positive(height_m, 'camera height')
        self.height_m, self.plane_rule = height_m, plane_rule
        self.filter = LogScaleFilter(filter_rule)
        self.plane: GroundPlane | None = None
        self._ground = np.zeros(256, dtype=bool)
        self._ground[[c.train_id for c in classes if c.ground]] = True
        self._stamp_ns: int | None = None
        self._version: int | None = None

    @property
    def scale(self) -> Scale:
        """The scale for the next frame."""
        return self.filter.scale

    def observe(self, perception: Perception) -> None:
        """Fit the road's plane and take its height in; `plane` then holds it, in metres as perceived, or None."""
        if perception.model_version != self._version:
            self.filter.reset()
            self._version = perception.model_version
        elapsed_s = 0.0 if self._stamp_ns is None else (perception.stamp_ns - self._stamp_ns) / 1e9
        self._stamp_ns = perception.stamp_ns
        self.filter.predict(elapsed_s)
        self.plane = self._fit(perception) if perception.camera is not None else None
        if self.plane is not None:
            unscaled_height = self.plane.height_m / perception.scale.value
            self.filter.measure(math.log(self.height_m / unscaled_height), self.plane.log_sigma)

    def _fit(self, perception: Perception) -> GroundPlane | None:
        road = perception.labels == TRAIN_ID['road']
        if np.count_nonzero(road) < self.plane_rule.min_area * road.size:
            road = self._ground[perception.labels]
        return fit_ground_plane(perception.depth, road, perception.camera, self.plane_rule)


def _expect_positive(value: float, what: str) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f'{what} is {value}, expected a positive number')

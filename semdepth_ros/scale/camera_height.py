"""The scale from the known height of a camera over the height at which the perceived road lies."""
from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from semdepth_ros.classes import CITYSCAPES, SemanticClass
from semdepth_ros.frame_perception import Perception, Scale
from semdepth_ros.geometry.ground_plane import fit_plane
from semdepth_ros.scale.agreement import Agreement, AgreementRule, ScaleView
from semdepth_ros.scale.fresh_view import FreshView
from semdepth_ros.scale.log_filter import LogFilterRule, LogScaleFilter
from semdepth_ros.scale.road import RoadRule, RoadSight, road_height, road_sight
from semdepth_ros.scale.sources import expect_positive
from semdepth_ros.scale.tilt import LearnedTilt, Mount, Tilt, TiltRule


@dataclass(frozen=True)
class CameraHeightRule:
    """What the scale rests on, and when it may be called metric (form ours).

    :param bias: deviation of ln(scale) that no number of views averages out: between validation drives
    :param learned_bias: the same where the tilt is learned: depth that bends as z^b passes for a tilt, and misses by b
    :param told_tilt: deviation of a tilt that is told: how well a mount is measured [rad]
    :param view_sigma: deviation of one view's ln(scale)
    :param contradiction: deviations by which a frame's own road may differ from the scale that it is published with
    :param quiet_s: time without such a frame after which depth may be metric again
    :param metric_sigma: relative deviation below which depth counts as metric
    :param lost_sigma: deviation above which it no longer does
    """

    bias: float = 0.05
    learned_bias: float = 0.12
    told_tilt: float = np.radians(0.5)
    view_sigma: float = 0.06
    contradiction: float = 2.0
    quiet_s: float = 1.0
    metric_sigma: float = 0.15
    lost_sigma: float = 0.18
    road: RoadRule = RoadRule()
    tilt: TiltRule = TiltRule()
    agreement: AgreementRule = AgreementRule()
    filter: LogFilterRule = LogFilterRule()


class CameraHeight:
    """Learns the scale from one fresh view of the road after another.

    Under the camera's tilt every frame's road says a height of the lens; the known height over it is the scale. It is
    filtered over views; while no road is seen it stays and its deviation grows. New weights start it anew. A network's
    scale is not the same everywhere: a frame whose own road speaks against the filter is not metric.

    :param mount: where the camera is; without a tilt, that is learned from the road
    :param classes: whose `ground` flag says what may carry the road
    :raises ValueError: the height is not positive and finite
    """

    def __init__(self, mount: Mount, classes: tuple[SemanticClass, ...] = CITYSCAPES,
                 rule: CameraHeightRule = CameraHeightRule()):
        self.move(mount)
        self.rule, self._classes = rule, classes
        self._ground = np.zeros(256, dtype=bool)
        self._ground[[c.train_id for c in classes if c.ground]] = True
        self._stamp_ns: int | None = None
        self._version: int | None = None
        self._begin()

    def move(self, mount: Mount) -> None:
        """Say where the camera is from the next frame on; what was learned stays, for the scale is the network's.

        :raises ValueError: the height is not positive and finite
        """
        expect_positive(mount.height_m, 'camera height')
        self.mount = mount

    @property
    def tilt(self) -> Tilt | None:
        """How the camera looks at the road, as told or as learned so far."""
        return self.mount.tilt or self._learned.tilt

    @property
    def scale(self) -> Scale:
        """The scale for the next frame; 1 and not metric before any measurement."""
        if math.isinf(self._filter.variance):
            return Scale()
        value = math.exp(self._filter.log)
        return Scale(value, value * self._sigma(), self._metric)

    @property
    def doubt(self) -> str:
        """Why depth is not metric, in words; empty where it is."""
        return self._doubt

    @property
    def agreement(self) -> Agreement:
        """What the views have said."""
        return self._agreement

    def observe(self, perception: Perception) -> Perception:
        """Take note of a frame; return it, not metric where its own road speaks against the scale it was given."""
        if perception.model_version != self._version:
            self._version = perception.model_version
            self._begin()
        if self._stamp_ns is not None:
            self._filter.predict((perception.stamp_ns - self._stamp_ns) / 1e9)
        self._stamp_ns = perception.stamp_ns
        sight = None if perception.camera is None else road_sight(perception, self._ground, self.rule.road)
        contradiction = '' if sight is None else self._contradiction(sight, math.log(perception.scale.value))
        if contradiction:
            self._contradicted_s = perception.stamp_ns / 1e9
        if sight is not None and self._fresh.is_fresh(perception):
            self._look(sight)
        self._doubt = contradiction or self._why_not(perception.stamp_ns / 1e9)
        self._metric = not self._doubt
        if not contradiction:
            return perception
        return replace(perception, scale=replace(perception.scale, metric=False))

    def _begin(self) -> None:
        self._filter, self._agreement = LogScaleFilter(self.rule.filter), Agreement(self.rule.agreement)
        self._learned, self._fresh = LearnedTilt(self.rule.tilt), FreshView(self._classes)
        self._waiting: deque[RoadSight] = deque(maxlen=self.rule.tilt.memory)
        self._metric, self._doubt, self._contradicted_s = False, 'no view of the road yet', -math.inf

    def _look(self, sight: RoadSight) -> None:
        """Measure this view, and those that have waited for the tilt to be known."""
        self._filter.predict_view()
        if self.mount.tilt is None:
            plane = fit_plane(sight.points, self.rule.road.plane)
            if plane is not None:
                self._learned.take(plane)
        self._waiting.append(sight)
        while self._waiting and self.tilt is not None:
            self._measure(self._waiting.popleft(), self.tilt)

    def _contradiction(self, sight: RoadSight, log_scale: float) -> str:
        """Return what a frame's road says if that is far from a scale, nothing if it is not or cannot be told."""
        road = road_height(sight, self.tilt, self.rule.road) if self.tilt is not None else None
        if road is None or math.isinf(self._filter.variance):
            return ''
        difference = math.log(self.mount.height_m) - road.log_height - log_scale
        far = abs(difference) > self.rule.contradiction * self._sigma()
        return f'the road in view says {100 * math.expm1(difference):+.0f} %' if far else ''

    def _measure(self, sight: RoadSight, tilt: Tilt) -> None:
        road = road_height(sight, tilt, self.rule.road)
        if road is None or not road.spans:
            return
        log_scale = math.log(self.mount.height_m) - road.log_height
        before, starts = self._filter.log, self._filter.starts
        agrees = road.agrees and self._filter.measure(log_scale, self.rule.view_sigma)
        if self._filter.starts > starts:
            self._agreement.clear()
        innovation = log_scale - before if starts == self._filter.starts > 0 else 0.0
        self._agreement.take(ScaleView(sight.stamp_s, log_scale, innovation, road.bend, road.distance, agrees))

    def _sigma(self) -> float:
        """Relative deviation: of the filter, of views from each other, and what no number of views averages out."""
        rule, learned = self.rule, self.mount.tilt is None
        bias = rule.learned_bias if learned else math.hypot(rule.bias, rule.told_tilt * self._agreement.distance)
        return math.sqrt(self._filter.variance + self._agreement.scatter ** 2 + bias ** 2)

    def _why_not(self, now_s: float) -> str:
        if self.tilt is None:
            return f'{self._learned.planes} planes of the road do not say how the camera is mounted'
        if self._agreement.doubt:
            return self._agreement.doubt
        limit = self.rule.lost_sigma if self._metric else self.rule.metric_sigma
        if self._sigma() > limit:
            return f'the scale is known to {100 * self._sigma():.0f} %, expected {100 * limit:.0f} %'
        quiet = abs(now_s - self._contradicted_s) >= self.rule.quiet_s
        return '' if quiet else 'the road in view said something else a moment ago'

"""One scale out of several sources that know nothing of each other, and whether they bear each other out."""
from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from semdepth_ros.frame_perception import Perception, Scale
from semdepth_ros.scale.agreement import Agreement, AgreementRule, ScaleView
from semdepth_ros.scale.camera_height import CameraHeight
from semdepth_ros.scale.log_filter import LogFilterRule, LogScaleFilter

CAMERA_HEIGHT = 'camera_height'


@dataclass(frozen=True)
class ViewScaleRule:
    """How a scale is measured along the way, and when it is believed (form ours).

    :param step_m: way after which what is measured counts as another view
    :param least_each: measurements that make a view
    :param least_m: way over which views must agree
    :param newest: views that together say what a source says now
    :param single: newest single measurements by which a frame is reckoned to stray
    :param bias: deviation of ln(scale) that no number of views averages out: the network's, and that of wheels and mount
    :param view_sigma: deviation of one view's ln(scale)
    """

    step_m: float = 2.0
    least_each: int = 2
    least_m: float = 20.0
    newest: int = 4
    single: int = 120
    bias: float = 0.09
    view_sigma: float = 0.06
    agreement: AgreementRule = AgreementRule(views='views along the way')
    filter: LogFilterRule = LogFilterRule()


class ViewScale:
    """The scale by measurements along the way: filtered over views as that of the camera's height is.

    While nothing is measured it stays and its deviation grows. A view is the median of what was measured on its way, and the
    scale that of many views; but it is single frames that are published with it, and so its deviation holds how far single
    measurements stray.
    """

    def __init__(self, rule: ViewScaleRule = ViewScaleRule()):
        self.rule, self._filter, self._agreement = rule, LogScaleFilter(rule.filter), Agreement(rule.agreement)
        self._newest: deque[float] = deque(maxlen=rule.newest)      # whatever the filter makes of them
        self._strays: deque[float] = deque(maxlen=rule.single)
        self._gathered: list[float] = []
        self._ways: list[float] = []
        self._from_m: float | None = None

    @property
    def is_started(self) -> bool:
        """Whether anything has been measured."""
        return not math.isinf(self._filter.variance)

    @property
    def log(self) -> float:
        """ln(scale)."""
        return self._filter.log

    @property
    def sigma(self) -> float:
        """Relative standard deviation."""
        return math.sqrt(self._filter.variance + max(self._agreement.scatter, self.stray) ** 2 + self.rule.bias ** 2)

    @property
    def stray(self) -> float:
        """Standard deviation of a normal distribution as single measurements' 90 % distance from ln(scale) has it."""
        return float(np.quantile(self._strays, 0.9) / 1.645) if self._strays else 0.0

    @property
    def newest(self) -> float | None:
        """ln(scale) by the newest views alone, agreeing or not; None before there are enough."""
        return float(np.median(self._newest)) if len(self._newest) == self.rule.newest else None

    @property
    def doubt(self) -> str:
        """Why it is not to be believed, in words; empty where it is."""
        if not self.is_started:
            return 'nothing has been measured'
        if self._agreement.doubt:
            return self._agreement.doubt
        way_m = self._ways[-1] - self._ways[0]
        return '' if way_m >= self.rule.least_m else f'views of {way_m:.0f} of the {self.rule.least_m:.0f} m that it takes'

    def predict(self, elapsed_s: float) -> None:
        """Let time pass."""
        self._filter.predict(elapsed_s)

    def take(self, stamp_s: float, way_m: float, log_scales: list[float]) -> None:
        """Take what was measured at one place.

        :param way_m: travelled so far
        :param log_scales: ln(scale); what is not finite is left out
        """
        single = [value for value in log_scales if math.isfinite(value)]
        self._gathered += single
        if self.is_started:
            self._strays.extend(abs(value - self.log) for value in single)
        self._from_m = way_m if self._from_m is None else self._from_m
        if way_m - self._from_m < self.rule.step_m or len(self._gathered) < self.rule.least_each:
            return
        log_scale, self._gathered, self._from_m = float(np.median(self._gathered)), [], way_m
        self._newest.append(log_scale)
        self._filter.predict_view()
        before, starts = self._filter.log, self._filter.starts
        agrees = self._filter.measure(log_scale, self.rule.view_sigma)
        if self._filter.starts > starts:
            self._agreement.clear()
            self._strays.clear()
            self._ways = []
        innovation = log_scale - before if starts == self._filter.starts > 0 else 0.0
        self._agreement.take(ScaleView(stamp_s, log_scale, innovation, 0.0, 0.0, agrees))
        self._ways = [*self._ways, way_m][-self.rule.agreement.memory:]


@dataclass(frozen=True)
class FusionRule:
    """When sources contradict each other, and what is left of their errors together (form ours).

    :param contradiction: deviations by which the newest views of a source may differ from another source
    :param floor: relative deviation below which nothing brings it: the network errs for all sources alike
    :param metric_sigma, lost_sigma: as for the camera's height
    """

    contradiction: float = 2.5
    floor: float = 0.07
    metric_sigma: float = 0.15
    lost_sigma: float = 0.18
    view: ViewScaleRule = ViewScaleRule()


@dataclass(frozen=True)
class SourceScale:
    """What one source says: ln(scale), its relative deviation, what its newest views say alone, and why it is doubted."""

    name: str
    log: float
    sigma: float
    newest: float | None
    doubt: str


class FusedScale:
    """The scale by a known camera height and by whatever else measures it along the way.

    Those that stand by their own rules count, each by its variance; sources that have odometry in common have its errors
    in common, and do not make each other more certain. It is not metric while the newest views of a source contradict
    another one, or itself: one of them is wrong, and nobody knows which. Where none stands by its rules the scale stays
    what it was, and its deviation grows.

    :param camera_height: None where the height is not known
    """

    def __init__(self, camera_height: CameraHeight | None = None, rule: FusionRule = FusionRule()):
        self.rule, self.camera_height = rule, camera_height
        self._views: dict[str, ViewScale] = {}
        self._stamp_ns: int | None = None
        self._metric, self._doubt = False, 'nothing has been measured'
        self._sources: tuple[str, ...] = ()
        self._log, self._sigma = 0.0, math.inf

    @property
    def scale(self) -> Scale:
        """The scale; 1 and not metric before anything was measured."""
        if math.isinf(self._sigma):
            return Scale()
        value = math.exp(self._log)
        return Scale(value, value * self._sigma, self._metric)

    @property
    def doubt(self) -> str:
        """Why it is not metric, in words; empty where it is."""
        return self._doubt

    @property
    def sources(self) -> tuple[str, ...]:
        """What it rests on at present."""
        return self._sources

    def observe(self, perception: Perception) -> Perception:
        """Let time pass up to a frame, and let the camera's height look at it; return the frame as that does."""
        if self._stamp_ns is not None:
            for view in self._views.values():
                view.predict((perception.stamp_ns - self._stamp_ns) / 1e9)
        self._stamp_ns = perception.stamp_ns
        seen = perception if self.camera_height is None else self.camera_height.observe(perception)
        self._fuse()
        return seen if self._metric else replace(seen, scale=replace(seen.scale, metric=False))

    def take(self, name: str, stamp_s: float, way_m: float, log_scales: list[float]) -> None:
        """Take what a source has measured, as ViewScale.take does."""
        if name not in self._views:
            self._views[name] = ViewScale(self.rule.view)
        self._views[name].take(stamp_s, way_m, log_scales)
        self._fuse()

    def _fuse(self) -> None:
        said = self._said()
        stand = [source for source in said if not source.doubt]
        if not said:
            self._metric, self._doubt = False, self._height_doubt() or 'nothing has been measured'
            return
        self._log, self._sigma = self._together(stand or said)
        self._sources = tuple(source.name for source in stand)
        limit = self.rule.lost_sigma if self._metric else self.rule.metric_sigma
        doubt = self._contradiction(said, stand)
        if not doubt and not stand:
            doubt = '; '.join(f'{source.name}: {source.doubt}' for source in said)
        if not doubt and self._sigma > limit:
            doubt = f'the scale is known to {100 * self._sigma:.0f} %, expected {100 * limit:.0f} %'
        self._metric, self._doubt = not doubt, doubt

    def _said(self) -> list[SourceScale]:
        said = [SourceScale(name, v.log, v.sigma, v.newest, v.doubt) for name, v in self._views.items() if v.is_started]
        height = self.camera_height
        if height is not None and height.scale.sigma:
            scale = height.scale
            newest = [view.log_scale for view in height.agreement.views[-self.rule.view.newest:]]
            said.append(SourceScale(CAMERA_HEIGHT, math.log(scale.value), scale.sigma / scale.value,
                                    float(np.median(newest)) if len(newest) == self.rule.view.newest else None, height.doubt))
        return said

    def _height_doubt(self) -> str:
        return '' if self.camera_height is None else self.camera_height.doubt

    def _together(self, sources: list[SourceScale]) -> tuple[float, float]:
        """Return ln(scale) and its deviation: those that share odometry first, then that and the camera's height.

        How far they are apart is part of it: a network whose depth is bent has one scale for the road and another for what
        stands beside it.
        """
        families = [[s for s in sources if (s.name == CAMERA_HEIGHT) == own] for own in (True, False)]
        logs, sigmas = [], []
        for family in filter(None, families):
            weights = np.array([s.sigma ** -2 for s in family])
            logs.append(float(np.average([s.log for s in family], weights=weights)))
            sigmas.append(float(np.average([s.sigma for s in family], weights=weights)))
        weights = np.array(sigmas) ** -2.0
        log = float(np.average(logs, weights=weights))
        apart = np.array([s.log for s in sources]) - log
        between = float(np.average(apart ** 2, weights=[s.sigma ** -2 for s in sources]))
        return log, math.sqrt(max(1 / weights.sum(), self.rule.floor ** 2) + between)

    def _contradiction(self, said: list[SourceScale], stand: list[SourceScale]) -> str:
        """Return which source's newest views speak against one that stands; deviations that a lie has widened hide none."""
        for one in said:
            for other in stand if one.newest is not None else ():
                apart = one.newest - other.log
                sigma = min(other.sigma, self.rule.metric_sigma)
                if one is not other:
                    sigma = math.hypot(sigma, min(one.sigma, self.rule.metric_sigma))
                if abs(apart) > self.rule.contradiction * sigma:
                    than = 'they have said so far' if one is other else f'{other.name} says'
                    return f'the newest views by {one.name} say {100 * math.exp(apart):.0f} % of what {than}'
        return ''

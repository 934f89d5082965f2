"""Whether what was measured of a scale, view after view, agrees well enough to call depth metric."""
from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class AgreementRule:
    """When views are believed (form ours).

    :param memory: newest views that count
    :param least: fewest views that must have measured
    :param span_s: least time from the first to the last of them [s]
    :param newest: newest views that must not speak against the others
    :param share: least fraction of the newest views that agree
    :param max_bend: largest median bend of the road, see RoadHeight
    :param scatter: least standard deviation of ln(scale) from frame to frame that is reckoned with
    :param views: what views are, in words
    """

    memory: int = 40
    least: int = 12
    span_s: float = 3.0
    newest: int = 8
    share: float = 0.5
    max_bend: float = 0.08
    scatter: float = 0.055
    views: str = 'views of a level road'


@dataclass(frozen=True)
class ScaleView:
    """What one view says.

    :param stamp_s: when [s]
    :param log_scale: ln(scale)
    :param innovation: how far that is from what the views before it said; 0 for the first
    :param bend, distance: see RoadHeight
    :param agrees: whether its road is level, and its scale that of the others
    """

    stamp_s: float
    log_scale: float
    innovation: float
    bend: float
    distance: float
    agrees: bool


class Agreement:
    """Keeps the newest views and judges them."""

    def __init__(self, rule: AgreementRule = AgreementRule()):
        self.rule, self._views = rule, deque(maxlen=rule.memory)

    @property
    def views(self) -> list[ScaleView]:
        """The views, the newest last."""
        return list(self._views)

    def clear(self) -> None:
        """Forget all views."""
        self._views.clear()

    def take(self, view: ScaleView) -> None:
        """Take note of a view that shows the road near and far."""
        self._views.append(view)

    @property
    def scatter(self) -> float:
        """Standard deviation of a normal distribution with the views' 90 % innovation, agreeing or not."""
        if not self._views:
            return self.rule.scatter
        return max(self.rule.scatter, float(np.quantile([abs(v.innovation) for v in self._views], 0.9) / 1.645))

    @property
    def distance(self) -> float:
        """Median distance of the road that was measured [heights]."""
        return float(np.median([v.distance for v in self._views if v.agrees] or [0.0]))

    @property
    def doubt(self) -> str:
        """Why the views do not bear out a scale, in words; empty where they do."""
        rule, agreeing = self.rule, [v for v in self._views if v.agrees]
        newest = list(self._views)[-rule.newest:]
        if len(agreeing) < rule.least:
            return f'{len(agreeing)} of the {rule.least} {rule.views} that it takes'
        span_s = agreeing[-1].stamp_s - agreeing[0].stamp_s
        if span_s < rule.span_s:
            return f'views of {span_s:.1f} of the {rule.span_s:.1f} s that it takes'
        if np.mean([v.agrees for v in newest]) < rule.share:
            return f'{sum(not v.agrees for v in newest)} of the newest {len(newest)} views do not agree'
        bend = float(np.median([v.bend for v in agreeing]))
        if abs(bend) > rule.max_bend:
            return f'the road seems to bend {"down" if bend > 0 else "up"} by {100 * abs(bend):.0f} % of the height'
        return ''

"""What a learner is doing, as one value that another thread may read."""
from __future__ import annotations

import math
from dataclasses import dataclass, field

from semdepth_ros.adaptation.adapter import Adapter, Observation
from semdepth_ros.adaptation.gates import GATES

WAITING, PAUSED, HELD, LEARNING, TRIAL, WATCHING, FAULT = (
    'waiting', 'paused', 'held', 'learning', 'trial', 'watching', 'fault')
TRIALS = ('promoted', 'would promote', 'trial failed', 'rolled back')


@dataclass(frozen=True)
class GateState:
    """One gate: whether it was open at last, how often it was not, and what was measured against what."""

    name: str
    open: bool
    rejections: int
    value: float
    limit: float


@dataclass(frozen=True)
class Status:
    """A learner at one moment; numbers that are not known are NaN.

    :param state: one of the names above
    :param losses: of the last step, by term
    :param scale, scale_sigma, metric, scale_sources: of the served weights' depth, its relative deviation, and what it rests on
    :param scale_doubt: why it is not metric
    :param flicker: of the factory weights' depth, see Flicker
    """

    state: str = WAITING
    reason: str = 'no images yet'
    stamp_ns: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    gates: tuple[GateState, ...] = ()
    losses: dict[str, float] = field(default_factory=dict)
    loss_mean: float = math.nan
    loss_deviation: float = math.nan
    learning_rate: float = math.nan
    change: float = math.nan
    scale: float = math.nan
    scale_sigma: float = math.nan
    metric: bool = False
    scale_sources: tuple[str, ...] = ()
    scale_doubt: str = ''
    flicker: float = math.nan
    factory: str = ''
    served: int = 0
    newest: int = 0
    trial_error: float = math.nan
    served_error: float = math.nan
    last_verdict: str = ''
    replay: int = 0
    replay_capacity: int = 0


def status_of(adapter: Adapter, observation: Observation, stamp_ns: int) -> Status:
    """Return a learner's status after a frame.

    :param observation: what came of the frame
    """
    keeper, learner, report = adapter.gates, adapter.learner, adapter.last_report
    names = [*GATES, *(name for name in keeper.rejections if name not in GATES)]
    gates = tuple(GateState(name, keeper.last[name].open if name in keeper.last else True, keeper.rejections[name],
                            *((keeper.last[name].value, keeper.last[name].limit) if name in keeper.last
                              else (math.nan, math.nan))) for name in names)
    return Status(
        _state(adapter, observation), observation.reason or observation.event or adapter.last_verdict, stamp_ns,
        dict(adapter.counts), gates, dict(adapter.last_losses), learner.watch.mean, learner.watch.deviation,
        learner.learning_rate, learner.change(), *_scale(adapter),
        adapter.serving.factory.card.factory, adapter.served.number, adapter.serving.served.number,
        *((_mean(report.candidate), _mean(report.served)) if report else (math.nan, math.nan)),
        adapter.last_verdict, len(adapter.lessons.replay), adapter.settings.memory.triplets)


def _scale(adapter: Adapter) -> tuple[float, float, bool, tuple[str, ...], str, float]:
    scale, doubt, flicker = adapter.metric.scale, adapter.metric.doubt, adapter.flicker.value
    if not scale.sigma:
        return math.nan, math.nan, False, (), doubt, flicker
    return scale.value, scale.sigma / scale.value, scale.metric, adapter.metric.fused.sources, doubt, flicker


def _state(adapter: Adapter, observation: Observation) -> str:
    if adapter.paused or adapter.mode == 'off':
        return PAUSED
    if observation.event in TRIALS:
        return TRIAL
    if adapter.watching:
        return WATCHING
    if observation.stepped:
        return LEARNING
    return HELD if observation.gate else WAITING if observation.number < 2 else LEARNING


def _mean(errors: tuple[float, ...]) -> float:
    return sum(errors) / len(errors) if errors else math.nan

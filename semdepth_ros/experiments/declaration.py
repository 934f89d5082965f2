"""A declared experiment: arms that differ in what their recipes say, and what is expected of them."""
from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from semdepth_ros.evaluation.bootstrap import CHANGES
from semdepth_ros.evaluation.dense_evaluation import metric_names
from semdepth_ros.experiments.arm_filter import ArmFilter
from semdepth_ros.settings import SettingsError, between, one_of, positive

GIVEN = ('prediction', 'labels')
KNOBS = ('same_speed', 'repetitive')     # of the world; off unless they are said
UNSAID = (*KNOBS, 'preset')              # what fingerprints leave out where it is off: results are older than it


@dataclass(frozen=True)
class FleetOfDrives:
    """Drives through training towns, as `semdepth world --fleet` renders them.

    :param drives, frames: how many, and frames of each
    :param size: of the images (width, height) [px]
    :param same_speed, repetitive, preset: as semdepth_ros.world.fleet.draw_fleet has them
    :param label_noise: rates that semdepth_ros.world.noisy_labels takes; where given, drives have noisy labels too
    :param jpeg: whether images are written as JPEG instead of PNG: read twice as fast
    """

    drives: int
    frames: int
    size: tuple[int, int]
    split: str = 'train'
    seed: int = 0
    label_noise: dict[str, Any] | None = None
    jpeg: bool = False
    same_speed: float = 0.0
    repetitive: float = 0.0
    preset: str = ''

    def __post_init__(self):
        for name in ('drives', 'frames'):
            positive(name, getattr(self, name))
        between(self, 0, 1, *KNOBS)
        if min(self.size) < 1:
            raise SettingsError(f'size is {list(self.size)}, expected [width, height] in pixels')


@dataclass(frozen=True)
class TrainingData:
    """What an arm learns from: a fleet, rendered where it is missing, or a source as in recipes.

    :param labels, strides, min_distance_m, cache, options: as in a recipe's data
    """

    fleet: FleetOfDrives | None = None
    source: str | None = None
    labels: Any = 'true'
    strides: tuple[int, ...] = (1,)
    min_distance_m: float = 0.05
    cache: str = 'ram'
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        if (self.fleet is None) == (self.source is None):
            raise SettingsError('fleet and source are both given or both missing, expected one of them')


@dataclass(frozen=True)
class Towns:
    """The test towns that every arm is measured in: town n has the seed first_seed + n and the presets in turn.

    :param same_speed, repetitive: shares of towns, as semdepth_ros.world.fleet.chosen_kinds has them
    """

    count: int = 16
    frames: int = 8
    first_seed: int = 300
    presets: tuple[str, ...] = ('day',)
    rate_hz: float = 1.0
    size: tuple[int, int] = (640, 192)
    split: str = 'test'
    same_speed: float = 0.0
    repetitive: float = 0.0

    def __post_init__(self):
        between(self, 2, math.inf, 'count')
        between(self, 0, 1, *KNOBS)
        for name in ('frames', 'rate_hz'):
            positive(name, getattr(self, name))
        if not self.presets or min(self.size) < 1:
            raise SettingsError(f'presets is {list(self.presets)} and size {list(self.size)}, expected at least one '
                                f'preset and [width, height] in pixels')


@dataclass(frozen=True)
class Start:
    """The checkpoint that all arms of a seed start from: an arm's recipe, trained for so many steps."""

    arm: str
    steps: int

    def __post_init__(self):
        positive('start.steps', self.steps)


@dataclass(frozen=True)
class Arm:
    """One arm.

    :param set: dotted keys of the recipe and their values
    :param about: what it is, in a few words
    :param against: the arm that it is compared with
    :param data: which of the experiment's training data; empty for the first
    :param filter: which images of the data it does not learn from; None learns from all
    :param given: what a guidance by labels is given when the arm is measured: the network's own prediction, or the true
        labels
    """

    name: str
    set: dict[str, Any] = field(default_factory=dict)
    about: str = ''
    against: str | None = None
    data: str = ''
    filter: ArmFilter | None = None
    given: str = 'prediction'

    def __post_init__(self):
        one_of('given', self.given, GIVEN)
        if not self.name.replace('_', '').isalnum():
            raise SettingsError(f'name is {self.name!r}, expected letters, digits and _')


@dataclass(frozen=True)
class Hypothesis:
    """What is expected, said before the runs.

    It holds where the change of the metric from the reference to the arm is at most (at least) so much, and its
    interval over towns lies wholly below (above) `interval`.

    :param text: in words
    :param metric: one of DenseEvaluation's
    :param change: 'relative' to the reference's mean, or 'absolute'
    :param interval: None asks nothing of it
    """

    text: str
    metric: str
    arm: str
    reference: str
    change: str = 'relative'
    at_most: float | None = None
    at_least: float | None = None
    interval: float | None = 0.0

    def __post_init__(self):
        one_of('change', self.change, CHANGES)
        if self.metric not in metric_names():
            raise SettingsError(f'metric is {self.metric!r}, expected one of those in docs/ABLATIONS.md, such as '
                                f'median_scaled.within_border_5px.abs_rel')
        if (self.at_most is None) == (self.at_least is None):
            raise SettingsError('at_most and at_least are both given or both missing, expected one of them')


@dataclass(frozen=True)
class Experiment:
    """A declared experiment.

    :param recipe: the recipe that arms are overrides of, by path or name
    :param set: overrides that all arms have, before their own
    :param steps: what every arm trains for; or
    :param minutes: that an arm may take on average, from which steps equal for all follow
    :param start: None starts every arm from fresh weights
    :param data: training data by name, as TrainingData
    :param real: names of folder sequences with truth, looked for in the folder that the command is given
    """

    recipe: str
    arms: tuple[Arm, ...]
    data: dict[str, TrainingData]
    name: str = ''
    title: str = ''
    about: str = ''
    set: dict[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] = (1, 2)
    steps: int | None = None
    minutes: float | None = None
    start: Start | None = None
    towns: Towns = Towns()
    real: tuple[str, ...] = ()
    hypotheses: tuple[Hypothesis, ...] = ()

    def __post_init__(self):
        if (self.steps is None) == (self.minutes is None):
            raise SettingsError('steps and minutes are both given or both missing, expected one of them')
        positive('steps or minutes', self.steps or self.minutes or 0)
        if not (self.arms and self.data and self.seeds):
            raise SettingsError('arms, data or seeds is empty, expected at least one of each')
        _expect_unique('seeds', self.seeds)
        _expect_unique('arms', [arm.name for arm in self.arms])
        for arm in self.arms:
            _expect_known(f'arm {arm.name!r}: data', arm.data or None, self.data)
            _expect_known(f'arm {arm.name!r}: against', arm.against, self.arm_names)
            _expect_known(f'arm {arm.name!r}: filter.by', arm.filter and arm.filter.by, self.arm_names)
            if arm.filter and self.arm(arm.filter.by).filter:
                raise SettingsError(f'arm {arm.name!r}: filter.by is {arm.filter.by!r}, which has a filter itself, '
                                    f'expected an arm without')
        _expect_known('start.arm', self.start and self.start.arm, self.arm_names)
        if self.start and self.arm(self.start.arm).filter:
            raise SettingsError(f'start.arm is {self.start.arm!r}, which has a filter, expected an arm without')
        for hypothesis in self.hypotheses:
            for name in (hypothesis.arm, hypothesis.reference):
                _expect_known(f'hypothesis {hypothesis.text!r}: arm or reference', name, self.arm_names)

    @property
    def arm_names(self) -> tuple[str, ...]:
        """The names of the arms, in order."""
        return tuple(arm.name for arm in self.arms)

    def arm(self, name: str) -> Arm:
        """Return an arm by name.

        :raises SettingsError: there is none
        """
        _expect_known('arm', name, self.arm_names)
        return self.arms[self.arm_names.index(name)]

    def data_of(self, arm: Arm) -> TrainingData:
        """Return what an arm learns from."""
        return self.data[arm.data] if arm.data else next(iter(self.data.values()))


def _expect_unique(what: str, values) -> None:
    twice = [value for i, value in enumerate(values) if value in values[:i]]
    if twice:
        raise SettingsError(f'{what} has {twice[0]!r} twice')


def _expect_known(what: str, name: str | None, known) -> None:
    if name is not None and name not in known:
        raise SettingsError(f'{what} is {name!r}, expected one of {list(known)}')

"""What is to be trained and measured, under what recipe, where it is kept, and when a result is of just that."""
from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from semdepth_ros.experiments.declaration import KNOBS, UNSAID, Arm, Experiment, FleetOfDrives, Towns, TrainingData
from semdepth_ros.settings import SettingsError
from semdepth_ros.training.checkpoint import FREE_KEYS
from semdepth_ros.training.recipe import Recipe, RecipeError
from semdepth_ros.training.recipe_file import find_recipe, read_recipe

# arms see other triplets than the checkpoint that they start from did
ARM_SEED = 10_000


@dataclass(frozen=True)
class Folders:
    """Where things are kept.

    :param work: renderings, checkpoints, models, and measurements of single towns
    :param docs: a folder an experiment, with results that can be committed, tables and plots
    :param real: holds folder sequences with truth; None where there are none
    """

    work: Path
    docs: Path
    real: Path | None = None


@dataclass(frozen=True)
class Run:
    """One arm with one seed.

    :param steps: that it trains for
    :param start: whether it is the checkpoint that arms of this seed start from
    """

    experiment: Experiment
    arm: Arm
    seed: int
    steps: int
    start: bool = False

    @property
    def said(self) -> str:
        """What messages call it."""
        return f'{"start" if self.start else self.arm.name}, seed {self.seed}'

    @property
    def begins_from(self) -> Run | None:
        """The run whose weights this one starts from; None for fresh ones."""
        start = self.experiment.start
        if self.start or start is None:
            return None
        return Run(self.experiment, self.experiment.arm(start.arm), self.seed, start.steps, start=True)

    @property
    def filtered_by(self) -> Run | None:
        """The run whose model says which images this one does not learn from; None where it learns from all."""
        if self.arm.filter is None:
            return None
        return replace(self, arm=self.experiment.arm(self.arm.filter.by))

    @property
    def needs(self) -> tuple[Run, ...]:
        """The runs that have to be trained before this one."""
        return tuple(run for run in (self.begins_from, self.filtered_by) if run is not None)

    def recipe(self, folders: Folders) -> Recipe:
        """Return what the run is trained by.

        :raises RecipeError: the arm's overrides cannot be followed; the arm is named
        """
        fixed = {'seed': self.seed if self.start else self.seed + ARM_SEED, 'steps': self.steps, 'validation': [],
                 'name': f'{self.experiment.name}_{self.arm.name}',
                 'data': [_entry(self.experiment.data_of(self.arm), folders) | self._filter(folders)]}
        try:
            recipe = read_recipe(self.experiment.recipe, copy.deepcopy(self._overrides) | fixed)
        except RecipeError as error:
            raise RecipeError(f'arm {self.arm.name!r}: {error}') from None
        return replace(recipe, log_every=min(recipe.log_every, recipe.steps))

    @property
    def training(self) -> dict[str, Any]:
        """Everything declared that decides what weights come out, as plain values."""
        content = yaml.safe_load(find_recipe(self.experiment.recipe).read_text())
        base, changes = ({key: value for key, value in each.items() if key not in FREE_KEYS | {'data', 'seed'}}
                         for each in (content, self._overrides))
        begun = self.begins_from
        content = {'recipe': base, 'set': changes, 'data': declared(self.experiment.data_of(self.arm)),
                   'steps': self.steps, 'seed': self.seed, 'start': begun and begun.training}
        if self.arm.filter:
            content['filter'] = asdict(self.arm.filter) | {'by': self.filtered_by.training}
        return content

    @property
    def fingerprint(self) -> str:
        """What a result of this run has: of the training, and of how it is measured in the towns."""
        towns = declared(self.experiment.towns)
        return fingerprint({'training': self.training, 'towns': towns, 'given': self.arm.given})

    @property
    def _overrides(self) -> dict[str, Any]:
        return self.experiment.set | self.arm.set

    def training_folder(self, folders: Folders) -> Path:
        """Where checkpoints, logs and in the end weights are."""
        return folders.work / ('starts' if self.start else 'arms') / fingerprint(self.training) / f's{self.seed}'

    def _filter(self, folders: Folders) -> dict[str, str]:
        return {'filter': str(self.flags(folders))} if self.arm.filter else {}

    def flags(self, folders: Folders) -> Path:
        """Where the list of the images is that an arm with a filter does not learn from."""
        return self.training_folder(folders) / 'filter.json'

    def model(self, folders: Folders) -> Path:
        """The trained weights: a model file; of a start, plain weights in single precision."""
        return self.training_folder(folders) / ('weights.safetensors' if self.start else 'model.safetensors')

    def measured_folder(self, folders: Folders) -> Path:
        """Where the measurements of single towns are kept until all are there."""
        return folders.work / 'measured' / self.fingerprint

    def result(self, folders: Folders) -> Path:
        """Where the result goes."""
        return folders.docs / self.experiment.name / 'results' / f'{self.arm.name}_s{self.seed}.json'


def runs_of(experiment: Experiment, steps: int, only: tuple[str, ...] = ()) -> list[Run]:
    """Return the runs of an experiment, seed by seed.

    :param only: names of arms; empty for all
    :raises SettingsError: no such arm
    """
    chosen = [experiment.arm(name) for name in only] or experiment.arms
    return [Run(experiment, arm, seed, steps) for seed in experiment.seeds for arm in chosen]


def expect_sound(runs: list[Run], folders: Folders) -> None:
    """Raise RecipeError, naming the arm, where a run or what it begins from has a recipe that cannot be followed."""
    for run in {run.arm.name: run for run in with_needs(runs)}.values():
        recipe = run.recipe(folders)
        if run.filtered_by:
            run.arm.filter.road_by(run.filtered_by.recipe(folders), recipe)


def with_needs(runs: list[Run]) -> list[Run]:
    """Return the runs and all that have to be trained before them."""
    return [*runs, *(each for run in runs if run.needs for each in with_needs(list(run.needs)))]


def declared(settings: Any) -> dict[str, Any]:
    """Return what a dataclass declares as plain values, without what of UNSAID is off."""
    def said(content: dict[str, Any]) -> dict[str, Any]:
        return {key: said(value) if isinstance(value, dict) else value for key, value in content.items()
                if value or key not in UNSAID}
    return said(asdict(settings))


def fleet_folder(fleet: FleetOfDrives, folders: Folders) -> Path:
    """Where a fleet is rendered."""
    width, height = fleet.size
    name = f'{fleet.split}_{fleet.drives}x{fleet.frames}_{width}x{height}_s{fleet.seed}' + '_jpeg' * fleet.jpeg
    name += f'_{fleet.preset}' * bool(fleet.preset) + _knobs_in_name(fleet)
    return folders.work / 'data' / (name if fleet.label_noise is None else f'{name}_{fingerprint(fleet.label_noise)}')


def town_folders(towns: Towns, folders: Folders) -> dict[str, tuple[str, int, Path]]:
    """Return preset, seed and folder of every test town, by name."""
    width, height = towns.size
    where = folders.work / 'data' / f'{towns.split}_towns_{towns.frames}x{towns.rate_hz:g}hz_{width}x{height}'
    where = where.with_name(where.name + _knobs_in_name(towns))
    seeds = range(towns.first_seed, towns.first_seed + towns.count)
    each = [(towns.presets[n % len(towns.presets)], seed) for n, seed in enumerate(seeds)]
    return {f'{preset}_{seed}': (preset, seed, where / f'{preset}_{seed}') for preset, seed in each}


def fingerprint(content: Any) -> str:
    """Return a short hash of plain values, whatever the order of keys."""
    try:
        text = json.dumps(content, sort_keys=True)
    except TypeError as error:
        raise SettingsError(f'an experiment holds a value that is neither text, number, list nor mapping: {error}') \
            from None
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _knobs_in_name(settings: FleetOfDrives | Towns) -> str:
    return ''.join(f'_{name}{getattr(settings, name):g}' for name in KNOBS if getattr(settings, name))


def _entry(data: TrainingData, folders: Folders) -> dict[str, Any]:
    source = data.source if data.fleet is None else str(fleet_folder(data.fleet, folders))
    return {'source': source, 'labels': data.labels, 'strides': list(data.strides), 'cache': data.cache,
            'min_distance_m': data.min_distance_m, 'options': data.options}

"""Training twice: the second time without the images in which the first model sees through the ground."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from lightning.fabric import Fabric

from semdepth_ros.data import open_data
from semdepth_ros.data.sample import Sample, Sequence
from semdepth_ros.evaluation.protocol import Perceived
from semdepth_ros.networks import JointNetwork, load_network
from semdepth_ros.training.checkpoint import LAST, CheckpointError, expect_same_recipe
from semdepth_ros.training.export import export_model
from semdepth_ros.training.filtering.flag_list import FlagList
from semdepth_ros.training.filtering.rule import FilterRule, label_kind
from semdepth_ros.training.filtering.survey import FilterSource, Progress, find_flagged
from semdepth_ros.training.recipe import Recipe, RecipeError
from semdepth_ros.training.trainer import TrainingResult, train
from semdepth_ros.whole_files import written_whole

SECOND_FROM = ('start', 'stage1')
MODEL_NAME, BEGAN_NAME = 'model.safetensors', 'second_from.txt'
Perceiver = Callable[[Path], tuple[Callable[[Sample], Perceived], dict[str, Any]]]


@dataclass(frozen=True)
class TwoStages:
    """How a training in two stages is done; after Guizilini et al. 2020, who train anew on what is left.

    :param begin: gives the network that a stage begins with, the same every time
    :param fabric: gives a launched Fabric of one process
    :param perceiver: gives of a model file what DepthPerceptor.perceive is, and what a list of flagged images says of
        the model
    :param is_metric: whether a trained network's depth is in metres
    :param rule: when an image is flagged
    :param labels: whose classes say where road is; None for label_kind's
    :param knows_classes: whether the network that begin gives has learned classes before
    :param second_from: the weights stage 2 begins with: 'start' as stage 1 did, 'stage1' those it came to
    """

    begin: Callable[[], JointNetwork]
    fabric: Callable[[], Fabric]
    perceiver: Perceiver
    is_metric: Callable[[TrainingResult], bool]
    rule: FilterRule = FilterRule()
    labels: str | None = None
    second_from: str = 'start'
    knows_classes: bool = False
    opener: Callable[..., list[Sequence]] = open_data
    progress: Progress = lambda done, total: None
    say: Callable[[str], None] = print

    def train(self, recipe: Recipe, out: Path, resume: bool = False) -> Path | None:
        """Train, filter, train: OUT/stage1, OUT/filter.json with OUT/flagged, OUT/stage2; each stage leaves a model.

        Resumed, it goes on in the part where it was ended. Each part is what it would be by itself, so that the whole
        is the same however often it was ended.

        :return: the model file of stage 2; None where Ctrl-C ended stage 1 or 2 after a step. Ctrl-C while filtering
            raises KeyboardInterrupt
        :raises RecipeError, CheckpointError: what cannot be used, in one line, where it can before work begins
        """
        sources = self._sources(recipe)
        self._expect_to_go_on(recipe, out, resume)
        first, second = out / 'stage1' / MODEL_NAME, out / 'stage2' / MODEL_NAME
        if not self._stage(recipe, first, self.begin, 'stage 1'):
            return None
        flags = self._flags(sources, out)
        counts = flags.counts()
        self.say(f'flagged: {counts["flagged"]} of {counts["images"]} images; list in {out / "filter.json"}')
        self._expect_same_beginning(out / 'stage2')
        filtered = tuple(replace(entry, filter=str(out / 'filter.json')) for entry in recipe.data)
        begin = self.begin if self.second_from == 'start' else lambda: load_network(first)[0]
        return second if self._stage(replace(recipe, data=filtered), second, begin, 'stage 2') else None

    def _sources(self, recipe: Recipe) -> list[FilterSource]:
        for entry in recipe.data:
            if entry.filter is not None:
                raise RecipeError(f'data {entry.source!r} has a filter already: two stages make one of their own')
        return [FilterSource(entry, self.labels or label_kind(recipe, entry)) for entry in recipe.data]

    def _expect_to_go_on(self, recipe: Recipe, out: Path, resume: bool) -> None:
        begun = out / 'stage1' / 'recipe.yaml'
        if begun.exists() and not resume:
            raise CheckpointError(f'{out} holds a run already: continue it with --resume, or name another folder')
        if resume and not begun.exists():
            raise CheckpointError(f'nothing to resume: {begun} does not exist')
        if begun.exists():
            expect_same_recipe(begun, yaml.safe_load(begun.read_text()), recipe)

    def _expect_same_beginning(self, folder: Path) -> None:
        """Keep what stage 2 begins with in its folder; raise CheckpointError where it began with the other."""
        file = folder / BEGAN_NAME
        if file.exists() and file.read_text().strip() != self.second_from:
            raise CheckpointError(f'{folder} began with the weights of {file.read_text().strip()!r}, not '
                                  f'{self.second_from!r}: remove it, or ask for the same')
        written_whole(file, lambda path: path.write_text(f'{self.second_from}\n'))

    def _stage(self, recipe: Recipe, model: Path, begin: Callable[[], JointNetwork], said: str) -> bool:
        """Train a stage in its model's folder and write the model, unless it is there; return whether it is then."""
        if model.exists():
            self.say(f'{said}: done before; model in {model}')
            return True
        folder = model.parent
        result = train(recipe, begin(), self.fabric(), folder, (folder / LAST).exists(), opener=self.opener)
        if result.interrupted:
            self.say(f'{said}: stopped after step {result.step} of {recipe.steps}')
            return False
        export_model(model, result.network, recipe, result.step, result.frames, self.is_metric(result), self.opener,
                     self.knows_classes or recipe.losses.semantic.weight > 0)
        self.say(f'{said}: {result.step} steps done; model in {model}')
        return True

    def _flags(self, sources: list[FilterSource], out: Path) -> FlagList:
        perceive, model = self.perceiver(out / 'stage1' / MODEL_NAME)
        file = out / 'filter.json'
        if not file.exists():
            return find_flagged(sources, perceive, self.rule, file, model, out / 'flagged', self.opener, self.progress)
        flags = FlagList.read(file)
        asked = [source.labels for source in sources]
        if (flags.model, flags.rule, [source.labels for source in flags.sources]) != (model, asdict(self.rule), asked):
            raise CheckpointError(f'{file} was made by another model or rule, or by other labels: remove it, and '
                                  f'{out / "stage2"} with it')
        return flags

"""The training loop."""
from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from lightning.fabric import Fabric
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from semdepth_ros.data import open_data
from semdepth_ros.data.sample import Sequence
from semdepth_ros.networks import JointNetwork
from semdepth_ros.networks.gradient_balance import GradientBalance
from semdepth_ros.processor import bfloat16_flag
from semdepth_ros.training.appearance import change_colours
from semdepth_ros.training.batch import collate
from semdepth_ros.training.checkpoint import LAST, CheckpointError, load_checkpoint, save_checkpoint
from semdepth_ros.training.finite_watch import FiniteWatch
from semdepth_ros.training.frame_store import DrawDataset, FrameStore
from semdepth_ros.training.interruption import Interruption, any_process, ignore_signals
from semdepth_ros.training.log import TrainingLog
from semdepth_ros.training.loss_scale import MOST_SKIPPED, LossScale
from semdepth_ros.training.objective import joint_losses, labelled_terms, needs_of
from semdepth_ros.training.optimisation import (WeightAverage, build_optimiser, freeze_norm, freeze_untrained,
                                                learning_rate, set_learning_rate)
from semdepth_ros.training.pace import Steps
from semdepth_ros.training.recipe import Recipe, RecipeError
from semdepth_ros.training.triplets import (StepNumbers, TripletDataset, TripletSource, labelled_share, open_entry,
                                            triplet_source)
from semdepth_ros.training.validation import ValidationFrame, validate, validation_frames
from semdepth_ros.training.view import View, image_pairs
from semdepth_ros.whole_files import written_whole

_STEP_DRAW = 3
_LOG = logging.getLogger(__name__)


@dataclass
class TrainingResult:
    """What a run came to.

    :param network: averaged weights where the recipe averages, else the last
    :param step: steps done
    :param checkpoint: where the run can be continued from
    :param interrupted: whether Ctrl-C or SIGTERM ended it
    :param travel_known: whether the camera's travel is known in some of the triplets that it learned from
    :param metrics: of the last validation
    :param frames: the validation frames
    """

    network: JointNetwork
    step: int
    checkpoint: Path
    interrupted: bool
    travel_known: bool = False
    metrics: dict[str, float] = field(default_factory=dict)
    frames: list[ValidationFrame] = field(default_factory=list)


def train(recipe: Recipe, network: JointNetwork, fabric: Fabric, out: str | Path, resume: bool = False,
          stop_at: int | None = None, opener: Callable[..., list[Sequence]] = open_data,
          minutes: float | None = None) -> TrainingResult:
    """Train a network as the recipe says, leaving checkpoints, logs and the recipe in out.

    Every draw is a pure function of the seed and the step, so that a resumed run repeats the uninterrupted one: on a
    CPU bit for bit. Only the camera's travelled distance, and true depth where a term asks for it, are taken from what
    the data knows; motions themselves are learned.

    :param network: changed in place
    :param resume: continue from out's last checkpoint
    :param stop_at: leave after this step, the schedule unchanged
    :param minutes: train for this time from now on, reading included, instead of the recipe's steps
    :raises RecipeError, CheckpointError, NonFiniteLossError: each with one line
    """
    out, steps = Path(out), Steps(recipe.steps, None if minutes is None else 60 * minutes)
    _expect_no_run(out, resume)
    dataset, store = _training_data(recipe, fabric, opener)
    frames = _validation_data(recipe, opener)
    network.returned_scales = recipe.scales
    if recipe.channels_last:
        network.to(memory_format=torch.channels_last)
    freeze_untrained(network, recipe.losses, recipe.sizes[0], recipe.focal_px)
    _start(network, recipe)
    optimiser = build_optimiser(network, recipe.optimisation)
    model, optimiser = fabric.setup(network, optimiser)
    average = WeightAverage(network, recipe.optimisation.ema)
    state = {'network': network, 'optimiser': optimiser, 'average': average, 'step': 0, 'recipe': recipe.as_dict(),
             'precision': fabric.strategy.precision, 'processes': fabric.world_size}
    if recipe.balance is not None:
        network.balance = state['balance'] = GradientBalance(recipe.balance)
    if resume:
        load_checkpoint(fabric, out, state, recipe)
        if recipe.balance is not None:
            network.balance.to(fabric.device)
    _write_recipe(out, recipe, fabric)
    depth_range, first = tuple(network.architecture['depth_range']), state['step']
    last_step = partial(_last_step, steps, stop_at)
    metrics: dict[str, float] = {}
    scale, finite = LossScale(fabric), FiniteWatch(fabric, out)
    loader = iter(_loader(dataset, store, recipe, fabric, first, None if minutes is not None else last_step()))
    folder, stopping = out if fabric.is_global_zero else None, False
    with TrainingLog(folder, first, last_step(), recipe.log_every) as log, Interruption() as interruption:
        while state['step'] < last_step() and not stopping:
            # the draws and the learning rate of this step are a function of its number
            step = state['step']
            rate = learning_rate(recipe.optimisation, step, steps.total)
            set_learning_rate(optimiser, rate)
            torch.manual_seed(step_seed(recipe.seed, step, fabric.global_rank))

            # the network sees changed colours, the objective those of the camera
            drawn = next(loader)
            batch = store.cut(drawn) if store else fabric.to_device(drawn)
            images = batch.images.float() / 255                                           # [B, 3, 3, H, W]
            coloured = change_colours(images, drawn.colour)
            prediction = model(_laid_out(coloured[:, 0], recipe), pairs=_laid_out(image_pairs(coloured), recipe),
                               labels=batch.labels)
            view = View(prediction, batch, images, depth_range, recipe.focal_px, step)
            losses = joint_losses(view, recipe.losses, every=fabric.world_size > 1)
            finite.loss(step, batch, losses)

            # weights move where the gradient is finite
            fabric.backward(losses['total'])
            norm = fabric.clip_gradients(model, optimiser, max_norm=recipe.optimisation.clip_norm or math.inf,
                                         error_if_nonfinite=False)
            if not scale.is_sought or scale.skipped == MOST_SKIPPED:
                finite.gradient(norm, step, batch, losses)
            if scale.step(optimiser):
                average.update(network)
            optimiser.zero_grad()
            state['step'] = step + 1
            steps.done(step + 1, first)
            log.expect(last_step())

            # what is said, looked at and kept
            said = {'ahead': ahead(prediction.extras['translation'])} | (network.balance.logged if network.balance else {})
            log.step(step, losses | said, recipe.batch * fabric.world_size, learning_rate=rate,
                     **scale.logged)
            last, stopping = state['step'] >= last_step(), any_process(fabric, interruption.requested)
            if frames and (last or state['step'] % recipe.validate_every == 0):
                began = time.monotonic()
                metrics = validate(average.network, frames, recipe.focal_px)
                log.write(state['step'], 'validation', metrics)
                log.say(f'step {state["step"]}: ' + ' '.join(f'{k} {v:.3f}' for k, v in metrics.items()))
                log.restart_clock()
                steps.validated(time.monotonic() - began)
                _start(network, recipe)
            if last or stopping or state['step'] % recipe.checkpoint_every == 0:
                finite.check()
                save_checkpoint(fabric, out, state)
    return TrainingResult(average.network, state['step'], out / LAST, stopping, dataset.travel_known, metrics, frames)


def build_fabric(recipe: Recipe, device: str = 'auto', devices: int | str = 1, nodes: int = 1,
                 strategy: str = 'auto') -> Fabric:
    """Return a launched Fabric for the recipe's precision, or for 32-true on a processor without bfloat16 arithmetic.

    Such a one computes in single precision all the same and rounds before and after: a step takes 1.7 times as long.

    :param device: 'auto', 'cpu' or 'cuda'
    :param devices: how many of them on each machine
    :raises RecipeError: what is asked for is not there
    """
    precision = recipe.precision
    on_cpu = device == 'cpu' or device == 'auto' and not torch.cuda.is_available()
    if on_cpu and not bfloat16_flag():
        precision = '32-true'
    try:
        fabric = Fabric(accelerator=device, devices=devices, num_nodes=nodes, strategy=strategy, precision=precision)
    except (RuntimeError, ValueError, ImportError) as error:
        raise RecipeError(f'device {device} x {devices}, strategy {strategy}, precision {recipe.precision} cannot be '
                          f'had: {" ".join(str(error).split())}') from None
    fabric.launch()
    if precision != recipe.precision and fabric.is_global_zero:
        _LOG.warning('training in %s instead of %s: this processor has no bfloat16 arithmetic', precision, recipe.precision)
    return fabric


def ahead(translation: Tensor) -> Tensor:
    """Return the mean cosine between learned motions [N, 3] and straight ahead: near 1 for a car that looks forward."""
    return (-translation[:, 2] / translation.norm(dim=1).clamp(min=1e-6)).detach().float().mean()


def step_seed(seed: int, step: int, rank: int) -> int:
    """Return the seed of everything drawn within one step of one process."""
    return int(np.random.SeedSequence([seed, _STEP_DRAW, step, rank]).generate_state(1)[0])


def _expect_no_run(out: Path, resume: bool) -> None:
    if not resume and (out / LAST).exists():
        raise CheckpointError(f'{out} holds a run already: continue it with --resume, or name another folder')


def _last_step(steps: Steps, stop_at: int | None) -> int:
    return steps.total if stop_at is None else min(stop_at, steps.total)


def _write_recipe(out: Path, recipe: Recipe, fabric: Fabric) -> None:
    if fabric.is_global_zero:
        text = yaml.safe_dump(recipe.as_dict(), sort_keys=False)
        written_whole(out / 'recipe.yaml', lambda path: path.write_text(text))


def _training_data(recipe: Recipe, fabric: Fabric, opener: Callable[..., list[Sequence]]
                   ) -> tuple[TripletDataset, FrameStore | None]:
    """Return the triplets, and the store their frames lie in where the recipe keeps them on the device."""
    if not recipe.data:
        raise RecipeError('no training data: name it in the recipe (data:) or with --data')

    def progress(frames: range) -> tqdm:
        return tqdm(frames, desc='reading', unit='frame', leave=False, disable=not fabric.is_global_zero)

    needs, labelled = needs_of(recipe.losses), labelled_terms(recipe.losses)
    sources = [triplet_source(entry, open_entry(entry, opener), progress, 'depth' in needs) for entry in recipe.data]
    for source in sources:
        if fabric.is_global_zero and source.left_out:
            _LOG.warning(source.said_of_left_out())
        if labelled and source.entry.labels != 'none':
            _expect_labels(source, labelled, fabric)
    step_size = recipe.batch * fabric.world_size
    dataset = TripletDataset(sources, recipe.sizes, recipe.augmentation, recipe.seed, step_size,
                             recipe.steps * step_size, needs)
    on_device = {entry.cache == 'device' for entry in recipe.data}
    if on_device == {True, False}:
        raise RecipeError('cache is device in some entries of data and not in others, expected it in all or none')
    return dataset, FrameStore(sources, needs, fabric.device, progress) if True in on_device else None


def _expect_labels(source: TripletSource, labelled: list[str], fabric: Fabric) -> None:
    """Raise RecipeError where no frame has the labels asked for; warn where some have none."""
    share, entry = labelled_share(source), source.entry
    if not share:
        terms = ' and '.join(f'losses.{name}' for name in labelled)
        raise RecipeError(f'{entry.source!r} has no {entry.labels} labels: set labels of this data to none, or '
                          f'{terms} to 0')
    if share < 1 and fabric.is_global_zero:
        _LOG.warning('%s: %.0f %% of the frames have no %s labels', entry.source, 100 * (1 - share), entry.labels)


def _validation_data(recipe: Recipe, opener: Callable[..., list[Sequence]]) -> list[ValidationFrame]:
    sequences = [sequence for entry in recipe.validation for sequence in open_entry(entry, opener)]
    return validation_frames(sequences, recipe.sizes[0], recipe.validation_frames)


def _loader(dataset: TripletDataset, store: FrameStore | None, recipe: Recipe, fabric: Fabric, first: int,
            last: int | None) -> DataLoader:
    """Return batches of this process's triplets from the first step on, of their draws where frames lie in a store."""
    return DataLoader(DrawDataset(dataset, store) if store else dataset,
                      batch_sampler=StepNumbers(recipe.batch, fabric.global_rank, fabric.world_size, first, last),
                      num_workers=recipe.workers, collate_fn=None if store else collate,
                      pin_memory=fabric.device.type == 'cuda', persistent_workers=recipe.workers > 0,
                      worker_init_fn=ignore_signals)


def _start(network: JointNetwork, recipe: Recipe) -> None:
    """Put the network into training mode, but for what the recipe freezes."""
    network.train()
    if recipe.optimisation.freeze_encoder_norm:
        freeze_norm(network.encoder)


def _laid_out(images: Tensor, recipe: Recipe) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last if recipe.channels_last else torch.contiguous_format)

"""Training one run: from the weights it begins from to a model file."""
from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from semdepth_ros.experiments.depth_perceptor import perceiver
from semdepth_ros.experiments.plan import Folders, Run, fingerprint, with_needs
from semdepth_ros.model_file import tensor_hash
from semdepth_ros.networks import JointNetwork, adopt, build_network
from semdepth_ros.networks.guidance.segmenter_guidance import SegmenterGuidance
from semdepth_ros.training.checkpoint import LAST
from semdepth_ros.training.export import export_model
from semdepth_ros.training.filtering.flag_list import FlagList
from semdepth_ros.training.filtering.survey import FilterSource, find_flagged
from semdepth_ros.training.log import LOG_NAME
from semdepth_ros.training.recipe import Recipe
from semdepth_ros.training.trainer import build_fabric, train
from semdepth_ros.whole_files import written_whole

PACE_SETTLING, PACE_STEPS = 10, 20
FACTS_NAME = 'facts.json'


def expect_networks(runs: list[Run], folders: Folders) -> None:
    """Build the network of every arm once, and of what it begins from, so that what is missing is told before work begins.

    :raises ValueError: a segmenter or weights that cannot be used, in one line that names the arm
    """
    for run in {run.arm.name: run for run in with_needs(runs)}.values():
        try:
            build_network(run.recipe(folders).architecture)
        except ValueError as error:
            raise ValueError(f'arm {run.arm.name!r}: {error}') from error


def train_run(run: Run, folders: Folders, device: str) -> bool:
    """Train a run, or train it on from its last checkpoint; return whether it reached its end.

    In the end the folder has the weights (Run.model) and `facts.json`: seconds a step, which parts started fresh, a
    digest of the data, of the weights it began from and of a segmenter that guides it, the precision it was trained in,
    and how many images were left out where the arm has a filter; and no checkpoint, which is ten times as large.

    :raises ValueError: a recipe, data or checkpoint that cannot be used, in one line
    """
    recipe, folder, model = run.recipe(folders), run.training_folder(folders), run.model(folders)
    left_out = filter_data(run, folders, device) if run.arm.filter else {}
    network, fresh = begun_network(recipe, run.begins_from and run.begins_from.model(folders))
    fabric = build_fabric(recipe, device)
    result = train(recipe, network, fabric, folder, resume=(folder / LAST).exists())
    if result.interrupted and result.step < recipe.steps:
        return False
    facts = {'seconds_per_step': round(seconds_per_step(folder / LOG_NAME, recipe.batch), 4), 'fresh': fresh,
             'data': digest_of([Path(entry.source) for entry in recipe.data]),
             'precision': fabric.strategy.precision.precision} | left_out
    if run.begins_from:
        facts['start'] = hashlib.sha256(run.begins_from.model(folders).read_bytes()).hexdigest()[:8]
    segmenters = [part.segmenter for part in result.network.modules() if isinstance(part, SegmenterGuidance)]
    if segmenters:
        facts['segmenter'] = tensor_hash(segmenters[0].state_dict())[:8]
    written_whole(folder / FACTS_NAME, lambda path: path.write_text(json.dumps(facts)))
    if run.start:
        weights = {name: tensor.contiguous() for name, tensor in result.network.state_dict().items()}
        written_whole(model, lambda path: save_file(weights, path))
    else:
        metric = recipe.losses.velocity.weight > 0 and result.travel_known
        begun = run.begins_from
        taught = any(each.losses.semantic.weight > 0 for each in (recipe, *([begun.recipe(folders)] if begun else [])))
        export_model(model, result.network, recipe, result.step, result.frames, metric, classes_taught=taught)
    result.checkpoint.unlink()
    return True


def filter_data(run: Run, folders: Folders, device: str) -> dict[str, dict[str, int]]:
    """List the images that a run does not learn from, where that is not done; return how many of them are flagged.

    Beside the list is a folder of pictures, `flagged`. What was ended goes on with the next sequence.
    """
    file = run.flags(folders)
    if not file.exists():
        by, recipe = run.filtered_by, run.recipe(folders)
        arm_filter = run.arm.filter
        source = FilterSource(replace(recipe.data[0], filter=None), arm_filter.road_by(by.recipe(folders), recipe))
        perceive, model = perceiver(by.model(folders), device)
        find_flagged([source], perceive, arm_filter.rule, file, model, file.with_name('flagged'))
    return {'flagged': FlagList.read(file).counts()}


def begun_network(recipe: Recipe, weights: Path | None) -> tuple[JointNetwork, list[str]]:
    """Return a network with these weights, and which parts of it they do not have: those start fresh, from the seed.

    :param weights: a safetensors file; None starts all afresh
    """
    torch.manual_seed(recipe.seed)
    network = build_network(recipe.architecture)
    return network, [] if weights is None else adopt(network, load_file(weights))


def measure_pace(run: Run, folders: Folders, device: str) -> bool:
    """Measure the seconds that a step of a run takes, in a few steps from fresh weights; return whether it was left to.

    What was measured is in pace_file.
    """
    file = pace_file(run, folders)
    recipe = replace(run.recipe(folders), log_every=PACE_SETTLING, steps=PACE_SETTLING + PACE_STEPS)
    recipe = replace(recipe, data=tuple(replace(entry, filter=None) for entry in recipe.data))     # not known yet
    folder = file.with_suffix('')
    shutil.rmtree(folder, ignore_errors=True)
    try:
        result = train(recipe, begun_network(recipe, None)[0], build_fabric(recipe, device), folder)
        if result.step < recipe.steps:
            return False
        pace = seconds_per_step(folder / LOG_NAME, recipe.batch, settling=1)
        written_whole(file, lambda path: path.write_text(json.dumps({'seconds_per_step': round(pace, 4)})))
        return True
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def pace_file(run: Run, folders: Folders) -> Path:
    """Where the pace of a run's arm is."""
    return folders.work / 'pace' / f'{fingerprint(replace(run, steps=1, seed=0).training)}.json'


def seconds_per_step(log: Path, batch: int, settling: int = 0) -> float:
    """Return the mean time of a step, from the lines of a training log.

    :param settling: lines at the beginning that are left out
    """
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    rates = [line['images_per_s'] for line in lines if line['kind'] == 'train']
    rates = rates[settling:] or rates
    return sum(batch / rate for rate in rates) / len(rates) if rates else float('nan')


def digest_of(sources: list[Path]) -> str:
    """Return a digest of the first image, and its labels, of every sequence in folders of them; empty without any.

    Renderings of other code have another.
    """
    files = [file for source in sources for part in ('images', 'labels', 'labels_noisy')
             for folder in sorted(source.glob(f'*/{part}')) for file in sorted(folder.iterdir())[:1]]
    digest = hashlib.sha256(b''.join(file.read_bytes() for file in files))
    return digest.hexdigest()[:8] if files else ''

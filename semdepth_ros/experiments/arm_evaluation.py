"""Measuring one trained run: in every test town, on real frames, and what it costs."""
from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from semdepth_ros.data import FolderSequence, open_data, rectified
from semdepth_ros.evaluation.dense_evaluation import DenseEvaluation
from semdepth_ros.evaluation.protocol import SequenceEvaluation
from semdepth_ros.experiments.arm_training import FACTS_NAME, begun_network
from semdepth_ros.experiments.cost import network_cost
from semdepth_ros.experiments.depth_perceptor import DepthPerceptor
from semdepth_ros.experiments.plan import Folders, Run, town_folders
from semdepth_ros.experiments.results import code_version, write_result
from semdepth_ros.model_file import ModelCard
from semdepth_ros.networks import load_network
from semdepth_ros.perception.benchmark import machine
from semdepth_ros.perception.device import choose_device
from semdepth_ros.training.triplets import depth_of
from semdepth_ros.whole_files import read_json, written_whole

# what of a real sequence's evaluation a result keeps
REAL_PARTS = ('frames', 'depth', 'semantics')


def measure_run(run: Run, folders: Folders, device: str) -> bool:
    """Measure a trained run and write its result; what was measured before is kept. Return True.

    :raises ValueError: towns, real folders or the model cannot be read
    """
    network, card = load_network(run.model(folders))
    recipe, where = run.recipe(folders), choose_device(device)
    learned = recipe.losses.semantic.weight > 0
    perceptor = DepthPerceptor(network, card, where, given_labels=run.arm.given == 'labels')
    weights = hashlib.sha256(run.model(folders).read_bytes()).hexdigest()[:8]      # trained anew, a run has others
    kept, start = run.measured_folder(folders) / weights, start_perceptor(run, folders, card, where)
    measured = {name: _kept(kept / f'{name}.json', lambda path=path: town(perceptor, path, learned, start))
                for name, (_, _, path) in town_folders(run.experiment.towns, folders).items()}
    real = {name: _kept(kept / f'real_{name}.json', lambda path=path: real_sequence(perceptor, path, learned))
            for name, path in real_folders(run, folders).items()}
    facts = read_json(run.training_folder(folders) / FACTS_NAME) or {}
    write_result(run.result(folders), {
        'experiment': run.experiment.name, 'arm': run.arm.name, 'seed': run.seed, 'fingerprint': run.fingerprint,
        'steps': run.steps, 'start_steps': run.begins_from.steps if run.begins_from else 0, **facts,
        'seconds': round(facts['seconds_per_step'] * run.steps) if 'seconds_per_step' in facts else None,
        'code': code_version(), 'machine': machine(where), 'given': run.arm.given,
        'cost': network_cost(load_network(run.model(folders))[0], recipe.sizes[0], where) | {
            'file_mb': round(run.model(folders).stat().st_size / 1e6, 2)},
        'towns': {name: part['figures'] for name, part in measured.items()},
        'rendering': {name: part['rendering'] for name, part in measured.items()}, 'real': real})
    return True


def real_folders(run: Run, folders: Folders) -> dict[str, Path]:
    """Return the real sequences that are there, by name; none for an arm that is given true labels, which they lack."""
    wanted = run.experiment.real if folders.real and run.arm.given == 'prediction' else ()
    paths = {name: folders.real / name for name in wanted}
    return {name: path for name, path in paths.items() if path.is_dir()}


def start_perceptor(run: Run, folders: Folders, card: ModelCard, device: torch.device) -> DepthPerceptor | None:
    """Return the weights that a run began from; None where it began from none, or they are not there any more.

    :param card: of the run's own model: the start's differs in its architecture alone
    """
    begun = run.begins_from
    if begun is None or not begun.model(folders).exists():
        return None
    network, _ = begun_network(begun.recipe(folders), begun.model(folders))
    return DepthPerceptor(network, replace(card, architecture=network.architecture), device)


def town(perceptor: DepthPerceptor, path: Path, learned: bool, start: DepthPerceptor | None = None) -> dict[str, Any]:
    """Return the figures of one town's frames, and a digest of the truth they were compared with.

    :param learned: whether classes were learned and are compared
    :param start: the weights that training began from
    """
    evaluation, digest, sequence = DenseEvaluation(), hashlib.sha256(), FolderSequence(path)
    for index in range(len(sequence)):
        sample = sequence[index]
        output, truth = perceptor.perceive(sample), depth_of(sample)
        digest.update(truth.tobytes() + sample.labels.tobytes() + sample.image.tobytes())
        evaluation.add(output.depth, truth, sample.labels, output.labels if learned else None,
                       None if start is None else start.perceive(sample).depth, sample.camera)
    return {'figures': evaluation.result(), 'rendering': digest.hexdigest()[:8]}


def real_sequence(perceptor: DepthPerceptor, path: Path, learned: bool) -> dict[str, Any]:
    """Return a real sequence's evaluation by the protocol of `semdepth evaluate`, on the frames that have truth."""
    parts: dict[str, Any] = {}
    for sequence in map(rectified, open_data(path)):
        evaluation = SequenceEvaluation(sequence.name)
        for index in getattr(sequence, 'frames_with_truth', None) or range(len(sequence)):
            sample = sequence[index]
            evaluation.add(replace(sample, noisy_labels=None), perceptor.perceive(sample))
        result = evaluation.result()
        parts |= {name: result[name] for name in REAL_PARTS if name in result and (learned or name != 'semantics')}
    return parts


def _kept(path: Path, measure) -> dict[str, Any]:
    """Return what the file holds, after measuring it where there is none."""
    content = read_json(path)
    if content is None:
        content = measure()
        written_whole(path, lambda partial: partial.write_text(json.dumps(content)))
    return content

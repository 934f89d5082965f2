"""From a trained network to a model file."""
from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from semdepth_ros.classes import untaught
from semdepth_ros.data import open_data
from semdepth_ros.data.sample import Sequence
from semdepth_ros.model_file import InputRule, ModelCard
from semdepth_ros.networks import JointNetwork, save_network
from semdepth_ros.training.recipe import Recipe, RecipeError
from semdepth_ros.training.triplets import open_entry
from semdepth_ros.training.validation import ValidationFrame, fit_sigma, validate, validation_frames


def export_model(path: str | Path, network: JointNetwork, recipe: Recipe, step: int, frames: list[ValidationFrame],
                 metric: bool, opener: Callable[..., list[Sequence]] = open_data, classes_taught: bool = True) -> ModelCard:
    """Write a model file with what the validation frames say of the network; return its card.

    :param network: as trained, single precision
    :param step: steps trained
    :param metric: whether known travel taught it metres
    :param classes_taught: whether anything taught it classes; else the card names none, lest the sky be seen where
        there is none, and depth be left out there
    :param frames: two of them become the probe frames; without any, frames of the first training sequence do
    """
    network = network.eval().cpu()
    network.returned_scales = 4
    metrics = validate(network, frames, recipe.focal_px) if frames else {}
    sigma = fit_sigma(network, frames, recipe.focal_px)
    sequences = [sequence for entry in recipe.data for sequence in open_entry(entry, opener)]
    width, height = recipe.sizes[0]
    card = ModelCard(
        architecture=network.architecture, name=recipe.name, input=InputRule(pixels=width * height),
        focal_px=recipe.focal_px, depth_range_m=tuple(network.architecture['depth_range']), cameras=_cameras(sequences),
        recipe=recipe.as_dict() | {'trained_steps': step},
        metrics={f'validation at {width}x{height}, {len(frames)} frames': metrics},
        metric=metric, **({} if classes_taught else {'classes': untaught(network.architecture['classes'])}),
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds'),
        **({} if sigma is None else {'sigma': sigma}))
    shown = frames or validation_frames(sequences[:1], recipe.sizes[0], 2)
    if len(shown) < 2:
        raise RecipeError(f'a model file needs two probe frames, but there are {len(shown)} frames')
    first, last = (len(shown) - 1) // 3, -(-2 * (len(shown) - 1) // 3)
    return save_network(path, network, card, [shown[i].image.permute(1, 2, 0).numpy() for i in (first, last)])


def _cameras(sequences: list[Sequence]) -> list[dict]:
    """Return the different cameras of the sequences, as plain numbers."""
    cameras = dict.fromkeys(sequence.camera for sequence in sequences if sequence.camera is not None)
    return [asdict(camera) | {'distortion': list(camera.distortion)} for camera in cameras]

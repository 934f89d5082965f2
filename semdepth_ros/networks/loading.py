"""Model files to networks and back."""
from __future__ import annotations

import os

from torch import Tensor

from semdepth_ros.model_file import PROBE, ModelCard, ModelFileError, find_model, read_model
from semdepth_ros.networks.architecture import build_network
from semdepth_ros.networks.joint import MEAN, STD, JointNetwork


def load_network(path: str | os.PathLike) -> tuple[JointNetwork, ModelCard]:
    """Return the network of a model file, in evaluation mode and single precision on the CPU, and its card.

    :param path: a file or a packaged model's name
    :raises ModelFileError: whatever is wrong, in one line
    """
    path = find_model(path)
    tensors, card = read_model(path)
    try:
        network = network_of(tensors, card)
    except ModelFileError as error:
        raise ModelFileError(f'{path}: {error}') from error
    return network, card


def network_of(tensors: dict[str, Tensor], card: ModelCard) -> JointNetwork:
    """Return the network, in evaluation mode, of what read_model returned.

    :raises ModelFileError: an architecture that is unknown, a tensor that it lacks, has no place for, or has in another shape
    """
    try:
        network = build_network(card.architecture)
    except (ValueError, ImportError) as error:
        raise ModelFileError(f'architecture cannot be built: {error}') from error
    weights = {name: tensor for name, tensor in tensors.items() if not name.startswith(PROBE)}
    _check_shapes(weights, network.state_dict())
    if len(card.classes) != network.architecture['classes']:
        raise ModelFileError(f'card names {len(card.classes)} classes, its architecture has {network.architecture["classes"]}')
    if (card.input.mean, card.input.std) != (MEAN, STD):
        raise ModelFileError(f'card asks for mean {card.input.mean} and std {card.input.std}, expected {MEAN} and {STD}')
    network.load_state_dict(weights)
    return network.eval()


def _check_shapes(weights: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    for name in expected:
        if name not in weights:
            raise ModelFileError(f'tensor {name} is missing')
        if weights[name].shape != expected[name].shape:
            raise ModelFileError(f'tensor {name} has shape {list(weights[name].shape)}, expected {list(expected[name].shape)}')
    for name in weights:
        if name not in expected:
            raise ModelFileError(f'tensor {name} has no place in the architecture')

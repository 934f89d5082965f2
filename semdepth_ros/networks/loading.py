"""Model files to networks and back."""
from __future__ import annotations

import copy
import os
from collections.abc import Collection

import numpy as np
from torch import Tensor

from semdepth_ros.model_file import PROBE, ModelCard, ModelFileError, find_model, read_model, save_model, stored
from semdepth_ros.networks.architecture import build_network
from semdepth_ros.networks.joint import JointNetwork
from semdepth_ros.networks.normalisation import MEAN, STD
from semdepth_ros.networks.probes import make_probes


def save_network(path: str | os.PathLike, network: JointNetwork, card: ModelCard,
                 probe_images: Collection[np.ndarray]) -> ModelCard:
    """Write a network with two probe frames to a model file, and return the card as written.

    The probes' outputs are those of the weights as the file stores them. The network may be in training mode and on any
    device.

    :param probe_images: two of uint8 [h, w, 3] rgb, at network size
    :raises ModelFileError: a weight that is not finite in half precision
    """
    weights = stored(network.state_dict())
    as_stored = copy.deepcopy(network).cpu().float().eval()
    as_stored.load_state_dict(weights)
    return save_model(path, weights | make_probes(as_stored, probe_images), card)


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

    :raises ModelFileError: an architecture that is unknown or contradicts the card; a tensor that is missing, misshapen
        or has no place
    """
    _expect_self_contained(card.architecture)
    try:
        network = build_network(card.architecture | {'pretrained': False})
    except ValueError as error:
        raise ModelFileError(f'network cannot be built: {error}') from error
    weights = {name: tensor for name, tensor in tensors.items() if not name.startswith(PROBE)}
    _check_shapes(weights, network.state_dict())
    _check_card(card, network.architecture)
    network.load_state_dict(weights)
    return network.eval()


def _expect_self_contained(architecture: dict) -> None:
    """Raise ModelFileError where building the network would ask a hub or another file."""
    if str(architecture.get('encoder')).startswith('transformers:') and not architecture.get('encoder_config'):
        raise ModelFileError('architecture has a transformers encoder without its encoder_config')
    guidance = architecture.get('guidance')
    segmenter = guidance.get('segmenter') if isinstance(guidance, dict) else None
    if isinstance(segmenter, str):
        raise ModelFileError(f'architecture names the segmenter {segmenter!r}, expected its description')
    if isinstance(segmenter, dict) and isinstance(segmenter.get('architecture'), dict):
        _expect_self_contained(segmenter['architecture'])


def _check_card(card: ModelCard, architecture: dict) -> None:
    classes, depth_range = architecture['classes'], architecture['depth_range']
    rule = card.input
    if len(card.classes) != classes:
        raise ModelFileError(f'card names {len(card.classes)} classes, its architecture has {classes}')
    if list(card.depth_range_m) != list(depth_range):
        raise ModelFileError(f'card has the depth range {list(card.depth_range_m)}, its architecture {depth_range}')
    if (rule.mean, rule.std) != (MEAN, STD):
        raise ModelFileError(f'card asks for mean {rule.mean} and std {rule.std}, expected {MEAN} and {STD}')


def _check_shapes(weights: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    for name in expected:
        if name not in weights:
            raise ModelFileError(f'tensor {name} is missing')
        shape, fitting = list(weights[name].shape), list(expected[name].shape)
        if shape != fitting:
            raise ModelFileError(f'tensor {name} has shape {shape}, expected {fitting}')
    for name in weights:
        if name not in expected:
            raise ModelFileError(f'tensor {name} has no place in the architecture')

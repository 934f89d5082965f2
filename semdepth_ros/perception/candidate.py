"""Weights on their way to be served: read, found to be of the same network as those served, and tried on the device."""
from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from semdepth_ros.model_file import ModelCard, ModelFileError, find_model, read_model
from semdepth_ros.networks import JointNetwork, check_probes, network_of
from semdepth_ros.networks.architecture import complete
from semdepth_ros.perception.engines.engine import Engine

_MUST_AGREE = ('factory', 'architecture', 'input', 'classes', 'depth_range_m')


@dataclass(frozen=True)
class Weights:
    """A network and the card of its weights."""

    network: JointNetwork
    card: ModelCard


@dataclass(frozen=True)
class Candidate:
    """Weights that may be served, and the engine that has run their probe frames."""

    weights: Weights
    engine: Engine

    @property
    def card(self) -> ModelCard:
        """The card of these weights."""
        return self.weights.card


def read_candidate(path: str | os.PathLike, served: Weights, engine: Engine, version: int | None = None,
                   sha256: str | None = None) -> Candidate:
    """Return the weights of a file, checked to be another version of those served.

    :param engine: the engine that serves; the probe frames run through a twin of it
    :param version: the version that the file must say it is; None for any
    :param sha256: what the file must have, in hex; None for any
    :raises ModelFileError: a file that cannot be read, is of another factory, architecture, version or hash, or whose
        probes come out wrong
    """
    path = find_model(path)
    tensors, card = read_model(path, sha256)
    try:
        if version not in (None, card.version):
            raise ModelFileError(f'model card has version {card.version}, expected {version}')
        _expect_relative(card, served)
        network = network_of(tensors, card)
        twin = engine.twin(network)
        check_probes(twin, tensors)
    except ModelFileError as error:
        raise ModelFileError(f'{Path(path)}: {error}') from error
    return Candidate(Weights(network, card), twin)


def _expect_relative(card: ModelCard, served: Weights) -> None:
    mine, theirs = asdict(served.card), asdict(card)
    mine['architecture'] = served.network.architecture
    try:
        theirs['architecture'] = complete(card.architecture)
    except ValueError as error:
        raise ModelFileError(str(error)) from error
    for name in _MUST_AGREE:
        if _plain(mine[name]) != _plain(theirs[name]):
            raise ModelFileError(f'{name} is {_short(theirs[name])}, '
                                 f'expected that of the weights being served, {_short(mine[name])}')


def _plain(value) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _short(value) -> str:
    text = str(value)
    return text if len(text) <= 60 else f'{text[:57]}...'

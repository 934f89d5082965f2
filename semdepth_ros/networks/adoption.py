"""Weights of one network for another that is not quite the same."""
from __future__ import annotations

import dataclasses
from typing import Any

from torch import Tensor

from semdepth_ros.networks.architecture import build_network
from semdepth_ros.networks.guidance import GUIDANCES, complete_guidance
from semdepth_ros.networks.joint import JointNetwork


def adopt(network: JointNetwork, weights: dict[str, Tensor]) -> list[str]:
    """Give a network the weights that have its tensors' names and shapes; return the parts that have others.

    A part is named by the first word of its tensors' names. Convolutions that decoders share take the weights of a depth
    decoder that had its own.
    """
    own = network.state_dict()
    path = 'depth_decoder.path.'
    begun = {f'trunk.{name.removeprefix(path)}': tensor for name, tensor in weights.items() if name.startswith(path)}
    weights = begun | weights
    fitting = {name: tensor for name, tensor in weights.items() if name in own and own[name].shape == tensor.shape}
    network.load_state_dict(fitting, strict=False)
    return sorted({name.partition('.')[0] for name in own.keys() - fitting})


def with_guidance(network: JointNetwork, guidance: Any) -> JointNetwork:
    """Return a network with the guidance that a recipe names and all other weights of this one, or this one itself where
    it has guidance of that kind, or the recipe names `plain`.

    What is new starts fresh from torch's random numbers, and so that depth is that of the network without: kinds that start
    otherwise by themselves (`initial_weights: random`) start as identity here, unless the recipe asks for the other.

    :param guidance: as an architecture has it
    """
    kinds = [_kinds(each) for each in (guidance, network.architecture['guidance'])]
    if kinds[0] in (kinds[1], ['plain']):
        return network
    several = isinstance(guidance, (list, tuple))
    begun = [_passing(each) for each in guidance] if several else _passing(guidance)
    other = build_network(network.architecture | {'guidance': begun})
    adopt(other, {name: tensor for name, tensor in network.state_dict().items() if not name.startswith('guidance.')})
    return other


def _passing(guidance: Any) -> Any:
    content = dict(guidance) if isinstance(guidance, dict) else {'kind': guidance}
    fields = {field.name for field in dataclasses.fields(GUIDANCES[content['kind']].settings)}
    return {'initial_weights': 'identity', **content} if 'initial_weights' in fields else content


def _kinds(guidance: Any) -> list[str]:
    whole = complete_guidance(guidance)
    return [each['kind'] for each in (whole if isinstance(whole, list) else [whole])]

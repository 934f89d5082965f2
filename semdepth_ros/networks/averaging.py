"""Averages of networks that were trained on from the same weights."""
from __future__ import annotations

import copy
from collections.abc import Sequence

import torch

from semdepth_ros.networks.joint import JointNetwork


@torch.no_grad()
def average_networks(networks: Sequence[JointNetwork], shares: Sequence[float]) -> JointNetwork:
    """Return a network with the weighted mean of the weights, and of the running statistics, of several.

    Such means often do better on images unlike those trained on than any of the networks (Wortsman et al. 2022, "model
    soups"), if these share a beginning: weights of separate runs have no meaningful mean. That running statistics are
    averaged as weights are, instead of measured again, is form ours.

    :param networks: of one architecture; not changed
    :param shares: one for each, positive; they are brought to a sum of 1
    :raises ValueError: no networks, shares that are not positive or not as many, or another architecture
    """
    if not networks or len(networks) != len(shares):
        raise ValueError(f'{len(networks)} networks have {len(shares)} shares, expected one for each, and at least one')
    if not all(0 < share < float('inf') for share in shares):
        raise ValueError(f'shares are {list(shares)}, expected positive numbers')
    states = [network.state_dict() for network in networks]
    shapes = [{name: tensor.shape for name, tensor in state.items()} for state in states]
    if any(other != shapes[0] for other in shapes[1:]):
        raise ValueError('the networks are of different architectures, expected one')
    mean = copy.deepcopy(networks[0])
    total = sum(shares)
    for name, tensor in mean.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(sum(state[name].double() * (share / total) for state, share in zip(states, shares)))
    return mean

"""What a network costs to run."""
from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from semdepth_ros.networks import JointNetwork
from semdepth_ros.perception.benchmark import time_network
from semdepth_ros.perception.device import choose_precision
from semdepth_ros.perception.engines.folded import FoldedEngine

TIMED_RUNS = 30


def network_cost(network: JointNetwork, size: tuple[int, int], device: torch.device) -> dict:
    """Return parameters, multiply-accumulates (macs) and latency of one image through the whole network but for its
    pose network, which runs only in training.

    Counted are the products of convolutions, matrices and attention. Latency is that of the engine that serves the
    network, at the precision it chooses, in turns with the network as it is in single precision [ms].

    :param network: in evaluation mode
    :param size: of the network's input (width, height) [px]
    """
    return {'size': list(size), 'parameters': parameters(network), 'macs': macs(network, size),
            'latency_ms': latency(network, size, device)}


def parameters(network: JointNetwork) -> int:
    """Return the number of weights without the pose network's."""
    return sum(p.numel() for name, p in network.named_parameters() if not name.startswith('pose_network.'))


@torch.no_grad()
def macs(network: JointNetwork, size: tuple[int, int]) -> int:
    """Return the multiply-accumulates of one image: half of the operations that torch counts."""
    scales, network.returned_scales = network.returned_scales, 2
    image = torch.zeros(1, 3, size[1], size[0], device=next(network.parameters()).device)
    try:
        with FlopCounterMode(display=False) as counter:
            network(image)
    finally:
        network.returned_scales = scales
    return counter.get_total_flops() // 2


def latency(network: JointNetwork, size: tuple[int, int], device: torch.device) -> dict:
    """Return the median times of the engine and of the network as it is [ms], and the engine's precision."""
    engine = FoldedEngine(network.cpu(), device, choose_precision(device))
    times = time_network(engine, network, *size, TIMED_RUNS)
    return {'precision': times['precision'], 'engine': times['engine']['p50'],
            'eager_float32': times['eager_float32']['p50']}

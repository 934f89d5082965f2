"""How the weights move: optimiser, learning rate by step, averaged weights."""
from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import nn

from semdepth_ros.networks import JointNetwork
from semdepth_ros.training.recipe import LossWeights, Optimisation

OPTIMISER_CLASSES = {'adam': torch.optim.Adam, 'adamw': torch.optim.AdamW}


def freeze_untrained(network: JointNetwork, losses: LossWeights, scales: int) -> None:
    """Switch off the gradients of the parts that no term of the loss reaches.

    DistributedDataParallel waits for the gradient of every part that has not said so.
    """
    decoder, depth = network.depth_decoder, losses.photometric or losses.smoothness
    reached = {network.encoder: depth or losses.semantic, network.semantic_decoder: losses.semantic, decoder: depth,
               network.guidance: depth, network.pose_network: losses.photometric or losses.velocity}
    for part, is_reached in reached.items():
        part.requires_grad_(bool(is_reached))
    decoder.heads[max(scales, decoder.fewest_heads):].requires_grad_(False)


def build_optimiser(network: nn.Module, settings: Optimisation) -> torch.optim.Optimizer:
    """Return the optimiser; biases and normalisation have no weight decay."""
    kernels = [p for p in network.parameters() if p.dim() > 1]
    others = [p for p in network.parameters() if p.dim() <= 1]
    groups = [{'params': kernels, 'weight_decay': settings.weight_decay}, {'params': others, 'weight_decay': 0.0}]
    return OPTIMISER_CLASSES[settings.optimiser](groups, lr=settings.learning_rate)


def learning_rate(settings: Optimisation, step: int, steps: int) -> float:
    """Return the learning rate of a step: a linear rise, then the schedule.

    That is half a cosine down to final_fraction, or falls by factor at each milestone.
    """
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    if settings.schedule == 'steps':
        return settings.learning_rate * settings.factor ** sum(step >= milestone for milestone in settings.milestones)
    progress = min((step - settings.warmup_steps) / max(steps - settings.warmup_steps, 1), 1)
    share = settings.final_fraction + (1 - settings.final_fraction) * (1 + math.cos(math.pi * progress)) / 2
    return settings.learning_rate * share


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group this learning rate."""
    for group in optimiser.param_groups:
        group['lr'] = rate


class WeightAverage:
    """An exponential average of a network's weights and buffers, as a network of its own (Polyak and Juditsky 1992).

    Early on the average forgets faster than its decay: after n updates at most (1 + n) / (10 + n) is kept.

    :param decay: what is kept at each update; 0 keeps no average, and `network` is then the trained one
    """

    def __init__(self, network: nn.Module, decay: float):
        self.decay, self.updates = decay, 0
        self.network = copy.deepcopy(network).requires_grad_(False) if decay else network

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take the network's weights into the average."""
        if not self.decay:
            return
        keep = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        average, latest = self.network.state_dict(), network.state_dict()
        floating = [name for name, value in average.items() if value.is_floating_point()]
        torch._foreach_lerp_([average[n] for n in floating], [latest[n] for n in floating], 1 - keep)
        for name in average.keys() - set(floating):
            average[name].copy_(latest[name])

    def state_dict(self) -> dict[str, Any]:
        """Return what load_state_dict takes."""
        return {'updates': self.updates, 'network': self.network.state_dict() if self.decay else {}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved average."""
        self.updates = state['updates']
        if self.decay:
            self.network.load_state_dict(state['network'])

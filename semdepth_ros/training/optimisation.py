"""How the weights move: optimiser, learning rate by step, averaged weights."""
from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import nn

from semdepth_ros.networks import JointNetwork
from semdepth_ros.training.batch import TripletBatch
from semdepth_ros.training.objective import Losses, terms_of
from semdepth_ros.training.recipe import Optimisation
from semdepth_ros.training.terms import TERMS
from semdepth_ros.training.view import View, image_pairs

OPTIMISER_CLASSES = {'adam': torch.optim.Adam, 'adamw': torch.optim.AdamW}


def freeze_untrained(network: JointNetwork, losses: Losses, size: tuple[int, int], focal_px: float) -> None:
    """Switch off the gradients of the parameters that no term of the objective ever reaches.

    DistributedDataParallel waits for the gradient of every parameter that has not said so. Reached means that autograd
    returns a gradient, whatever its value: a gate that starts at 0 still trains what lies behind it.

    :param network: left as it was but for `requires_grad`
    :param size: of the images that are tried (width, height) [px]
    """
    parameters = {name: p for name, p in network.named_parameters() if p.requires_grad}
    tried = copy.deepcopy(network).train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        batch = _made_up_batch(size, network.architecture['classes'])
        images = torch.rand(batch.images.shape)
        prediction = tried(images[:, 0], pairs=image_pairs(images))
        view = View(prediction, batch, images, tuple(network.architecture['depth_range']), focal_px)
        total = sum(TERMS[name].function(view, settings) for name, settings in terms_of(losses).items())
    values = [p for name, p in tried.named_parameters() if name in parameters]
    gradients = torch.autograd.grad(total, values, allow_unused=True)
    for parameter, gradient in zip(parameters.values(), gradients):
        parameter.requires_grad_(gradient is not None)


def freeze_norm(encoder: nn.Module) -> None:
    """Keep the encoder's batch normalisation as it is, in this training step and until train() is called again."""
    for module in encoder.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval().requires_grad_(False)


def build_optimiser(network: JointNetwork, settings: Optimisation) -> torch.optim.Optimizer:
    """Return the optimiser, of parameters that are trained; biases and normalisation have no weight decay.

    Each group's `share` is the part of the learning rate that it gets (see set_learning_rate).
    """
    encoder, groups = {id(p) for p in network.encoder.parameters()}, []
    shares = {id(p): settings.encoder_rate if id(p) in encoder else 1.0 for p in network.parameters()}
    for share in dict.fromkeys(shares.values()):
        trained = [p for p in network.parameters() if p.requires_grad and shares[id(p)] == share]
        groups += [{'params': [p for p in trained if p.dim() > 1], 'weight_decay': settings.weight_decay, 'share': share},
                   {'params': [p for p in trained if p.dim() <= 1], 'weight_decay': 0.0, 'share': share}]
    return OPTIMISER_CLASSES[settings.optimiser]([g for g in groups if g['params']], lr=settings.learning_rate)


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
    """Give every parameter group its share of this learning rate."""
    for group in optimiser.param_groups:
        group['lr'] = rate * group['share']


def _made_up_batch(size: tuple[int, int], classes: int) -> TripletBatch:
    """Return two triplets of noise that have everything a term may ask for: labels, travel, depth near, far and sky."""
    width, height = size
    depth = torch.rand(2, height, width) * 50 + 1
    depth[:, :height // 4] = torch.inf
    matrix = torch.tensor([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1]])
    return TripletBatch(
        images=torch.zeros(2, 3, 3, height, width, dtype=torch.uint8), intrinsics=matrix.expand(2, 3, 3),
        distance=torch.ones(2, 2), labels=torch.randint(classes, (2, height, width), dtype=torch.uint8),
        confidence=torch.ones(2, height, width), seen=torch.ones(2, height, width, dtype=torch.bool),
        colour=torch.zeros(2, 1), origin=torch.zeros(2, 4, dtype=torch.int64), depth=depth)


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

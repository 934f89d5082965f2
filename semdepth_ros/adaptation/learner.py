"""The trial weights: steps that can be taken back, their average, and the bound around the factory's."""
from __future__ import annotations

import copy
import math
from collections import deque
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from semdepth_ros.adaptation.low_rank import make_low_rank, plain_state
from semdepth_ros.adaptation.one_by_one import one_by_one
from semdepth_ros.adaptation.profiles import Profile
from semdepth_ros.adaptation.settings import AdapterSettings
from semdepth_ros.adaptation.terms import adaptation_losses
from semdepth_ros.adaptation.view import AdaptationBatch, AdaptationView
from semdepth_ros.model_file import stored
from semdepth_ros.networks import JointNetwork
from semdepth_ros.training.view import image_pairs

LEAST_LOSSES = 10  # before a loss can be out of the ordinary


@dataclass(frozen=True)
class Outcome:
    """What became of a step.

    :param losses: the weighted terms and `total`
    :param closed: the gate that kept it from being taken, or took it back; empty where it stands
    :param value, limit: of that gate
    """

    losses: dict[str, float]
    closed: str = ''
    value: float = math.nan
    limit: float = math.nan


class LossWatch:
    """Running mean and deviation of the newest losses."""

    def __init__(self, memory: int):
        self._losses: deque[float] = deque(maxlen=max(memory, 2))

    @property
    def mean(self) -> float:
        """Of the losses, NaN without any."""
        return float(np.mean(self._losses)) if self._losses else math.nan

    @property
    def deviation(self) -> float:
        """Of the losses, NaN without any."""
        return float(np.std(self._losses)) if self._losses else math.nan

    def deviations(self, loss: float) -> float:
        """Return how many standard deviations a loss is above the mean; 0 as long as few are known."""
        if len(self._losses) < LEAST_LOSSES:
            return 0.0
        return (loss - self.mean) / max(self.deviation, 0.02 * abs(self.mean), 1e-9)

    def take(self, loss: float) -> None:
        """Take note of a loss."""
        self._losses.append(loss)


class Learner:
    """Trains a copy of a network in evaluation mode: no statistics of any normalisation move.

    Where `one_by_one` is set, a step goes through its samples one at a time, with the same gradient, and calls `between`
    after each: for a device that others want in the meantime.

    :param factory: the weights that the change is measured from
    :param start: the weights that learning starts from
    """

    def __init__(self, factory: JointNetwork, start: JointNetwork, profile: Profile, settings: AdapterSettings,
                 focal_px: float, device: torch.device | str = 'cpu'):
        self.settings, self.profile, self.focal_px, self.device = settings, profile, focal_px, torch.device(device)
        self.losses = settings.losses
        if profile.semantics_fixed:
            free = replace(self.losses.semantic_distillation, weight=0.0)
            self.losses = replace(self.losses, semantic_distillation=free)
        self._factory, self.steps = factory, 0
        self.one_by_one, self.between = False, _nothing
        self.begin(start)

    def begin(self, start: JointNetwork) -> None:
        """Start anew from these weights."""
        self.network = copy.deepcopy(start).eval().requires_grad_(False).to(self.device)
        self.network.returned_scales = self.settings.step.scales
        self._names = list(start.state_dict())
        low_rank = set(self.profile.low_rank)
        named = dict(self.network.named_parameters())
        plain = [named[name].requires_grad_(True) for name in self.profile.names if name not in low_rank]
        encoder = {name for name in self.profile.names if name.startswith('encoder.')}
        branches = make_low_rank(self.network, self.profile.low_rank, self.settings.step.rank, self.settings.seed)
        fast = [named[name] for name in self.profile.names if name not in low_rank | encoder] + branches
        slow = [named[name] for name in self.profile.names if name in encoder]
        self._trained = plain + branches
        self._groups = [(fast, 1.0), (slow, self.settings.step.encoder_rate)]
        theirs = dict(self._factory.named_parameters())
        self._origins = {name: theirs[name].detach().to(self.device) for name in self.profile.names}
        self._average = {name: value.clone() for name, value in plain_state(self.network, self._names).items()}
        self._updates, self.rate = 0, 1.0
        self.begin_optimiser()

    def begin_optimiser(self) -> None:
        """Forget the optimiser's moments, and what losses are usual."""
        step, self.watch = self.settings.step, LossWatch(self.settings.gates.loss_memory)
        self._since = 0
        groups = [{'params': params, 'share': share} for params, share in self._groups if params]
        self.optimiser = torch.optim.Adam(groups, lr=step.learning_rate)

    def slow_down(self, factor: float = 0.5) -> None:
        """Multiply the learning rate, until the weights begin anew."""
        self.rate *= factor

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        step = self.settings.step
        return step.learning_rate * self.rate * min(1.0, (self._since + 1) / (step.warmup + 1))

    @torch.enable_grad()
    def step(self, batch: AdaptationBatch) -> Outcome:
        """Take one step, unless its loss, gradient or the weights after it are out of bounds: they then stay."""
        gates, step = self.settings.gates, self.settings.step
        self.optimiser.zero_grad(set_to_none=True)
        losses = None if self.one_by_one else self._losses(batch)
        said = self._backward_each(batch) if losses is None else _numbers(losses)
        total = said['total']
        if not math.isfinite(total):
            self.optimiser.zero_grad(set_to_none=True)
            return Outcome(said, 'finite_loss', total)
        deviations = self.watch.deviations(total)
        if deviations > gates.most_deviations and 'loss' not in gates.off:
            self.optimiser.zero_grad(set_to_none=True)
            return Outcome(said, 'loss', deviations, gates.most_deviations)
        if losses is not None:
            losses['total'].backward()
        trained = [p for p in self._trained if p.grad is not None]
        norm = float(torch.nn.utils.clip_grad_norm_(trained, step.clip_norm or math.inf)) if trained else 0.0
        if not math.isfinite(norm):
            self.optimiser.zero_grad(set_to_none=True)
            return Outcome(said, 'finite_gradient', norm)
        before = [p.detach().clone() for p in self._trained]
        for group in self.optimiser.param_groups:
            group['lr'] = self.learning_rate * group['share']
        self.optimiser.step()
        self._bound()
        if not all(bool(torch.isfinite(p).all()) for p in self._trained):
            with torch.no_grad():
                for parameter, value in zip(self._trained, before):
                    parameter.copy_(value)
            self.begin_optimiser()
            return Outcome(said, 'finite_weights', math.nan)
        self.watch.take(total)
        self.steps += 1
        self._since += 1
        self._take_average()
        return Outcome(said)

    def _losses(self, batch: AdaptationBatch) -> dict[str, Tensor]:
        images = batch.triplets.images.float() / 255
        prediction = self.network(images[:, 0], pairs=image_pairs(images))
        view = AdaptationView(prediction, batch, images, tuple(self.network.architecture['depth_range']), self.focal_px,
                              self.drift(), self.settings.step.motion == 'reference')
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.steps)                            # for the noise that breaks ties of the auto-mask
            return adaptation_losses(view, self.losses)

    def _backward_each(self, batch: AdaptationBatch) -> dict[str, float]:
        """Add up the gradients of one sample after the other; return the losses."""
        said: dict[str, float] = {}
        for sample, shares in one_by_one(batch):
            losses = {name: shares[name] * value for name, value in self._losses(sample).items() if name != 'total'}
            torch.stack([value.float() for value in losses.values()]).sum().backward()
            for name, value in _numbers(losses).items():
                said[name] = said.get(name, 0.0) + value
            self.between()
        return {'total': sum(said.values()), **said}

    def drift(self) -> Tensor:
        """Return the mean over trained tensors of the squared change relative to the factory's."""
        named = {name: getattr(self.network.get_submodule(name.rpartition('.')[0]), name.rpartition('.')[2])
                 for name in self.profile.names}
        parts = [(value - self._origins[name]).square().sum() / self._size(name) ** 2 for name, value in named.items()]
        return torch.stack(parts).mean()

    def change(self) -> float:
        """Return the norm of the trained weights' change over that of the factory's, all tensors together."""
        state = plain_state(self.network, list(self.profile.names))
        change = sum(float((value - self._origins[name]).square().sum()) for name, value in state.items())
        return math.sqrt(change / max(sum(float(v.square().sum()) for v in self._origins.values()), 1e-30))

    def candidate(self) -> JointNetwork:
        """Return the averaged weights as a file would hold them: single precision numbers that half precision has."""
        network = copy.deepcopy(self._factory).cpu().eval().requires_grad_(False)
        network.load_state_dict({name: value.float() if value.is_floating_point() else value
                                 for name, value in stored(self._average).items()})
        network.returned_scales = 4
        return network

    def _size(self, name: str) -> float:
        origin = self._origins[name]
        return max(float(origin.norm()), self.settings.step.least_rms * math.sqrt(origin.numel()))

    @torch.no_grad()
    def _bound(self) -> None:
        """Pull every tensor back to within its largest change."""
        most, low_rank = self.settings.step.most_change, set(self.profile.low_rank)
        for name in self.profile.names:
            module, part = self.network.get_submodule(name.rpartition('.')[0]), name.rpartition('.')[2]
            value = getattr(module, part)
            change = value - self._origins[name]
            over = float(change.norm()) / (most * self._size(name)) if most else 0.0
            if over > 1 and math.isfinite(over):
                if name in low_rank:
                    module.parametrizations[part][0].b.div_(over)
                else:
                    value.copy_(self._origins[name] + change / over)

    @torch.no_grad()
    def _take_average(self) -> None:
        keep = min(self.settings.step.average, (1 + self._updates) / (10 + self._updates))
        self._updates += 1
        for name, value in plain_state(self.network, self._names).items():
            if value.is_floating_point():
                self._average[name].lerp_(value, 1 - keep)


def _numbers(losses: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value.detach()) for name, value in losses.items()}


def _nothing() -> None:
    pass

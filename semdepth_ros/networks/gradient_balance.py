"""Gradients of two tasks brought to comparable norms where their decoders part."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from semdepth_ros.networks.upward_path import PathState
from semdepth_ros.settings import between, one_of

KINDS = ('norm', 'fixed')
TASKS = ('depth', 'semantic')


@dataclass(frozen=True)
class Balance:
    """How the gradients of depth and classes are balanced.

    :param kind: 'norm' gives each task its share of the sum of both norms; 'fixed' multiplies gradients by the shares
    :param depth: share of depth; the classes have the rest
    :param memory: of the running norms, in steps
    """

    kind: str = 'norm'
    depth: float = 0.5
    memory: float = 50.0

    def __post_init__(self):
        one_of('kind', self.kind, KINDS)
        between(self, 0, 1, 'depth')
        between(self, 1, 1e6, 'memory')


class GradientBalance:
    """Multiplies the gradients that decoders send back into what they share, by factors of the steps before.

    What each decoder reads passes through `of`. On the way back the squared norm of the task's gradient is added up, and
    the gradient multiplied by (n_depth + n_semantic) share / n of the task, with n the root of the running mean of squared
    norms: one backward pass, and a device is not waited for. The first step's factors are one. Gradients of depth that
    come through the semantic decoder, where a guidance reads it, count as the classes'. Not part of the network's
    weights; `state_dict` is what a checkpoint keeps.

    Fixed shares are Klingner et al.'s (2020, 0.9 and 0.1); running norms are form ours.
    """

    def __init__(self, settings: Balance):
        self.settings = settings
        self._shares = {'depth': settings.depth, 'semantic': 1 - settings.depth}
        self._steps, self._pending = 0, {}
        self._means: dict[str, Tensor] = {}

    def begin(self) -> None:
        """Take what the last backward pass has added up into the running means."""
        if not self._pending:
            return
        self._steps += 1
        keep = min(1 - 1 / self.settings.memory, 1 - 1 / self._steps)
        for task, squared in self._pending.items():
            before = self._means.get(task, squared)
            after = keep * before + (1 - keep) * squared
            self._means[task] = torch.where(after.isfinite(), after, before)
        self._pending = {}

    def of(self, task: str, features: list[Tensor], begun: PathState | None) -> tuple[list[Tensor], PathState | None]:
        """Return what a task's decoder reads, as it is; its gradients are weighed and balanced."""
        features = [_Balanced.apply(x, self, task) for x in features]
        if begun is not None:
            levels = {level: _Balanced.apply(x, self, task) for level, x in begun.levels.items()}
            begun = PathState(_Balanced.apply(begun.x, self, task), levels)
        return features, begun

    def factor(self, task: str) -> Tensor | float:
        """Return what the gradients of a task are multiplied by in this step."""
        share = self._shares[task]
        if self.settings.kind == 'fixed':
            return share
        if len(self._means) < len(TASKS):
            return 1.0
        norms = {name: mean.sqrt() for name, mean in self._means.items()}
        return share * sum(norms.values()) / norms[task].clamp(min=torch.finfo(norms[task].dtype).tiny)

    @property
    def logged(self) -> dict[str, Tensor]:
        """The factors by their names in the log; nothing as long as there are no norms, or where they are fixed."""
        factors = {f'balance_{task}': self.factor(task) for task in TASKS}
        return {name: factor for name, factor in factors.items() if isinstance(factor, Tensor)}

    def weigh(self, task: str, gradient: Tensor) -> None:
        """Add up the squared norm of a gradient of a task."""
        squared = gradient.detach().float().square().sum()
        self._pending[task] = self._pending[task] + squared if task in self._pending else squared

    def state_dict(self) -> dict[str, Any]:
        """Return what load_state_dict takes."""
        return {'steps': self._steps, 'means': dict(self._means), 'pending': dict(self._pending)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self._steps, self._means, self._pending = state['steps'], dict(state['means']), dict(state['pending'])

    def to(self, device: torch.device) -> GradientBalance:
        """Move the norms to a device."""
        for kept in (self._means, self._pending):
            kept |= {task: value.to(device) for task, value in kept.items()}
        return self


class _Balanced(torch.autograd.Function):
    """The identity, whose gradient is weighed and multiplied."""

    @staticmethod
    def forward(ctx, x: Tensor, balance: GradientBalance, task: str) -> Tensor:
        ctx.balance, ctx.task = balance, task
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        ctx.balance.weigh(ctx.task, gradient)
        return (gradient * ctx.balance.factor(ctx.task)).to(gradient.dtype), None, None

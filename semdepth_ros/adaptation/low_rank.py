"""Convolutions that move by the product of two small matrices."""
from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class LowRank(nn.Module):
    """W + B A, with W kept (Hu et al. 2022, LoRA). B starts at 0, so that nothing changes at first.

    :param weight: W, [O, I, h, w]
    """

    def __init__(self, weight: Tensor, rank: int, generator: torch.Generator):
        super().__init__()
        outputs, inputs = weight.shape[0], weight[0].numel()
        rank = min(rank, outputs, inputs)
        drawn = torch.randn(rank, inputs, generator=generator) / inputs ** 0.5
        self.a = nn.Parameter(drawn.to(weight))
        self.b = nn.Parameter(weight.new_zeros(outputs, rank))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the moved weight."""
        return weight + (self.b @ self.a).view_as(weight)


def make_low_rank(network: nn.Module, names: tuple[str, ...], rank: int, seed: int = 0) -> list[nn.Parameter]:
    """Give these weights of a network a low-rank branch, keep them themselves, and return what is trained instead."""
    generator, trained = torch.Generator().manual_seed(seed), []
    for name in names:
        path, _, part = name.rpartition('.')
        module = network.get_submodule(path)
        branch = LowRank(getattr(module, part), rank, generator)
        parametrize.register_parametrization(module, part, branch)
        module.parametrizations[part].original.requires_grad_(False)
        trained += [branch.a, branch.b]
    return trained


def plain_state(network: nn.Module, names: list[str]) -> dict[str, Tensor]:
    """Return a network's tensors under their plain names, branches multiplied out.

    :param names: of a state_dict of the same network without branches
    """
    state = {}
    for name in names:
        path, _, part = name.rpartition('.')
        state[name] = getattr(network.get_submodule(path), part).detach()
    return state

"""Parts that keep their weights, whatever trains around them."""
from __future__ import annotations

from typing import Any

from torch import nn


class Frozen(nn.Module):
    """A module in evaluation mode without gradients of its own, such as a segmenter that only guides.

    train() of what it is part of leaves it so: its batch statistics do not drift and its dropout stays off. Gradients
    pass through it to its inputs.
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module.eval().requires_grad_(False)
        self.train(False)

    def forward(self, *inputs: Any) -> Any:
        """Return what the module returns."""
        return self.module(*inputs)

    def train(self, mode: bool = True) -> Frozen:
        """Stay in evaluation mode."""
        return super().train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Frozen:
        """Stay without gradients."""
        return super().requires_grad_(False)

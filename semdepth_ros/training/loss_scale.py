"""The loss scale of 16-mixed, and the steps that are skipped while it is sought."""
from __future__ import annotations

from lightning.fabric import Fabric
from torch.optim import Optimizer

# so many steps skipped in a row have divided the scale by a million: what is not finite then is no matter of scale
MOST_SKIPPED = 20


class LossScale:
    """Takes the optimiser's steps and notices those that are skipped because a gradient is not finite at half width.

    Fabric is asked what precision it runs, since on a CPU it makes bf16-mixed, which has no scale, of 16-mixed.

    `skipped` counts the steps skipped in a row.
    """

    def __init__(self, fabric: Fabric):
        precision = fabric.strategy.precision
        self._scaler = precision.scaler if precision.precision == '16-mixed' else None
        self.skipped = 0

    @property
    def is_sought(self) -> bool:
        """Whether this precision has a scale, and may skip steps."""
        return self._scaler is not None

    @property
    def logged(self) -> dict[str, float]:
        """The scale under its name in the log; nothing where there is none."""
        return {'loss_scale': self._scaler.get_scale()} if self.is_sought else {}

    def step(self, optimiser: Optimizer) -> bool:
        """Take a step; return whether the weights moved. A step that is skipped lowers the scale."""
        before = self.logged
        optimiser.step()
        moved = self.logged.get('loss_scale', 1.0) >= before.get('loss_scale', 1.0)
        self.skipped = 0 if moved else self.skipped + 1
        return moved

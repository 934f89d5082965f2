"""A run stops where its loss or gradient is not finite, and leaves the batch that did it."""
from __future__ import annotations

from pathlib import Path

import torch
from lightning.fabric import Fabric
from torch import Tensor

from semdepth_ros.training.batch import TripletBatch
from semdepth_ros.training.checkpoint import NonFiniteLossError, save_broken_batch
from semdepth_ros.training.interruption import any_process


class FiniteWatch:
    """Looks at each step's loss and gradient: on a CPU at once, else when the next step is on its way, never waiting.

    A CPU's kernels cannot be trusted to go backwards from what is not finite: grid_sample's was seen to end the process.

    :param out: where a batch that is to blame is saved
    """

    def __init__(self, fabric: Fabric, out: Path):
        self._fabric, self._out, self._at_once = fabric, out, fabric.device.type == 'cpu'
        self._noted: list[tuple[str, Tensor, int, TripletBatch, dict[str, Tensor]]] = []

    def loss(self, step: int, batch: TripletBatch, losses: dict[str, Tensor]) -> None:
        """Take note of a step's loss.

        :raises NonFiniteLossError: as check does
        """
        self.check()
        self._note('loss', losses['total'].detach(), step, batch, {name: v.detach() for name, v in losses.items()})

    def gradient(self, norm: Tensor, step: int, batch: TripletBatch, losses: dict[str, Tensor]) -> None:
        """Take note of a step's gradient norm, after its loss.

        :raises NonFiniteLossError: as check does
        """
        self._note('gradient', norm, step, batch, {name: v.detach() for name, v in losses.items()})

    def _note(self, *noted) -> None:
        self._noted.append(noted)
        if self._at_once:
            self.check()

    def check(self) -> None:
        """Look at what was noted and not yet looked at.

        :raises NonFiniteLossError: in all processes when a value of any is not finite; each has saved its batch then
        """
        noted, self._noted = self._noted, []
        for what, value, step, batch, losses in noted:
            broken = not bool(torch.isfinite(value))
            if any_process(self._fabric, broken):
                path = save_broken_batch(self._fabric, self._out, step, batch, losses)
                said = f'{what} is {float(value)}' if broken else f'{what} of another process is not finite'
                raise NonFiniteLossError(f'{said} at step {step}: the batch is in {path}, '
                                         f'the weights of the last checkpoint are as they were')

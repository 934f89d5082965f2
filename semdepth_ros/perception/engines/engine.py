"""What every engine does, and what it says of itself."""
from __future__ import annotations

from typing import ClassVar, Protocol

import torch
from torch import Tensor

from semdepth_ros.networks import JointNetwork, Prediction

# how weights are exchanged: written where the old ones lie, or by replacing all that holds them
IN_PLACE, REPLACED = 'in place', 'replaced'


class Engine(Protocol):
    """Anything that runs one network fast.

    :param devices: kinds of device that it knows, the part of a device's name before the colon; not only torch's
    :param device: what it computes on, such as 'cpu' or 'cuda:0'
    :param precision: what it computes in, such as 'bfloat16'
    :param tensor_device: where it takes images and leaves predictions
    :param capturable: whether a run is nothing but work on one CUDA stream, always the same, at fixed addresses
    :param exchange: IN_PLACE or REPLACED. A captured graph reads the weights where they lay, so that only an engine that
        exchanges them in place is captured
    """

    devices: ClassVar[tuple[str, ...]]
    device: str
    precision: str
    tensor_device: torch.device
    capturable: bool
    exchange: str

    @classmethod
    def on(cls, network: JointNetwork, device: str, precision: str) -> Engine:
        """Return an engine on a device of a kind that it knows.

        :param device: such as 'auto', 'cpu' or 'cuda:1'
        :param precision: such as 'auto' or 'float16'
        :raises ValueError: the device is not there, or does not compute in this precision
        """

    def largest_batch(self, width: int, height: int) -> int:
        """Return how many images of this size [px] it runs in clearly less time together than one after the other."""

    def __call__(self, images: Tensor) -> Prediction:
        """Return disparities of two scales (float32) and class scores of rgb images [B, 3, H, W], float32 in 0..1."""

    def twin(self, network: JointNetwork) -> Engine:
        """Return an engine of the same kind with this network's weights."""

    def take(self, twin: Engine) -> None:
        """Replace all weights by those of a twin, which is not used any more."""

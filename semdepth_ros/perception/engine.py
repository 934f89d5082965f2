"""The network made fast: folded, in the device's best precision and layout, its weights replaceable while it stands."""
from __future__ import annotations

from collections import OrderedDict
import copy
from typing import Protocol

import torch
from torch import Tensor, nn

from semdepth_ros.networks import JointNetwork, Prediction, fold_batch_norm
from semdepth_ros.perception.device import LOGGER
from semdepth_ros.perception.packed_convolution import SingleConvolution, pack_convolutions

_SIZES = 8   # of inputs that stay packed
_SCALES = 2  # the second disparity is what sigma is made from


class Engine(Protocol):
    """Anything that runs one network fast."""

    device: torch.device
    dtype: torch.dtype

    def __call__(self, image: Tensor) -> Prediction:
        """Return disparities of two scales (float32) and class scores of an rgb image [1, 3, H, W], float32 in 0..1."""

    def twin(self, network: JointNetwork) -> Engine:
        """Return an engine of the same kind with this network's weights."""

    def take(self, twin: Engine) -> None:
        """Replace all weights by those of a twin, which is not used any more."""


class FoldedEngine:
    """Batch normalisation folded, channels last, half precision where it pays; on the CPU with packed convolutions.

    The image is normalised in float32, and disparities come from heads that stay in it.

    :param network: on the CPU, float32; it is copied
    """

    def __init__(self, network: JointNetwork, device: torch.device, dtype: torch.dtype):
        self.device, self.dtype = device, dtype
        self._network = _prepared(network, device, dtype)
        self._packed: OrderedDict[torch.Size, JointNetwork] = OrderedDict()

    @torch.inference_mode()
    def __call__(self, image: Tensor) -> Prediction:
        """Return disparities of two scales (float32) and class scores of an rgb image [1, 3, H, W], float32 in 0..1."""
        network = self._network if self.device.type == 'cuda' else self._packed_for(image.shape)
        return network(image.to(self.device, torch.float32))

    def twin(self, network: JointNetwork) -> FoldedEngine:
        """Return an engine of the same kind with this network's weights, ready for the same sizes."""
        twin = FoldedEngine(network, self.device, self.dtype)
        for shape in list(self._packed):
            twin._packed_for(shape)
        return twin

    @torch.inference_mode()
    def take(self, twin: FoldedEngine) -> None:
        """Replace all weights by those of a twin; on CUDA where they lie, since captured graphs read them there."""
        if self.device.type != 'cuda':
            self._network, self._packed = twin._network, twin._packed
            return
        for mine, theirs in zip(self._network.state_dict().values(), twin._network.state_dict().values(), strict=True):
            mine.copy_(theirs)
        torch.cuda.synchronize(self.device)

    def _packed_for(self, shape: torch.Size) -> JointNetwork:
        """Return the network packed for images of this shape; packed for another one it can take thrice as long."""
        if shape not in self._packed:
            self._packed[shape] = _packed(self._network, shape)
            while len(self._packed) > _SIZES:
                self._packed.popitem(last=False)
        self._packed.move_to_end(shape)
        return self._packed[shape]


@torch.inference_mode(False)
def _packed(network: JointNetwork, shape: torch.Size) -> JointNetwork:
    packed = copy.deepcopy(network)
    heads = packed.depth_decoder.heads
    for i, head in enumerate(heads):
        if head.out_channels == 1:
            heads[i] = SingleConvolution(head)
    try:
        pack_convolutions(packed, torch.zeros(shape))
    except (RuntimeError, AttributeError) as error:
        LOGGER.warning('running plain convolutions instead of packed ones: %s', str(error).strip().splitlines()[0])
        return network
    return packed


def _prepared(network: JointNetwork, device: torch.device, dtype: torch.dtype) -> JointNetwork:
    network = fold_batch_norm(network)
    network.pose_network = nn.Identity()
    network.returned_scales = _SCALES
    network = network.to(device, dtype, memory_format=torch.channels_last)
    network.normalisation.register_forward_hook(
        lambda module, inputs, image: image.to(dtype, memory_format=torch.channels_last))
    return network

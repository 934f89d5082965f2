"""The network made fast: folded, in the device's best precision and layout, its weights replaceable while it stands."""
from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from semdepth_ros.geometry.input_geometry import input_geometry
from semdepth_ros.model_file import InputRule
from semdepth_ros.networks import JointNetwork, Prediction, fold_batch_norm
from semdepth_ros.perception.device import LOGGER
from semdepth_ros.perception.packed_convolution import PackedConvolution, pack_convolutions

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
        """Replace all weights, where they lie, by those of a twin."""


class FoldedEngine:
    """Batch normalisation folded, channels last, half precision where it pays; on the CPU with packed convolutions.

    The image is normalised in float32, and the finest disparity comes from a head that stays in it. The second
    disparity, from which only sigma is made, does not need that.

    :param network: on the CPU, float32; it is copied
    :param rule: how large the inputs will be
    """

    def __init__(self, network: JointNetwork, device: torch.device, dtype: torch.dtype, rule: InputRule):
        self.device, self.dtype, self.rule = device, dtype, rule
        self._network = _prepared(network, device, dtype)
        if device.type == 'cpu':
            self._pack()

    @torch.inference_mode()
    def __call__(self, image: Tensor) -> Prediction:
        """Return disparities of two scales (float32) and class scores of an rgb image [1, 3, H, W], float32 in 0..1."""
        return self._network(image.to(self.device, torch.float32))

    def twin(self, network: JointNetwork) -> FoldedEngine:
        """Return an engine of the same kind with this network's weights."""
        return FoldedEngine(network, self.device, self.dtype, self.rule)

    @torch.inference_mode()
    def take(self, twin: FoldedEngine) -> None:
        """Replace all weights, where they lie, by those of a twin."""
        for mine, theirs in zip(self._network.modules(), twin._network.modules(), strict=True):
            if isinstance(mine, PackedConvolution):
                mine.weight, mine.bias = theirs.weight, theirs.bias
                continue
            for name, tensor in [*mine.named_parameters(recurse=False), *mine.named_buffers(recurse=False)]:
                tensor.copy_(getattr(theirs, name))
        if self.device.type == 'cuda':
            torch.cuda.synchronize(self.device)

    def _pack(self) -> None:
        usual = input_geometry((1242, 375), self.rule)
        example = torch.zeros(1, 3, usual.height, usual.width)
        try:
            pack_convolutions(self._network, example)
        except (RuntimeError, AttributeError, NotImplementedError) as error:
            LOGGER.warning('running plain convolutions instead of packed ones: %s', str(error).strip().splitlines()[0])


class _LeanHead(nn.Module):
    """A disparity head whose convolution computes in dtype; only its bias, most of the score, is added in float32."""

    def __init__(self, head: nn.Conv2d, dtype: torch.dtype):
        super().__init__()
        self.conv = nn.Conv2d(head.in_channels, head.out_channels, head.kernel_size, padding=head.padding,
                              padding_mode=head.padding_mode, bias=False)
        self.conv.weight.data.copy_(head.weight)
        self.conv = self.conv.requires_grad_(False).to(head.weight.device, dtype, memory_format=torch.channels_last)
        self.bias = nn.Parameter(head.bias.detach().reshape(1, -1, 1, 1).clone(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.conv(x).float() + self.bias)


def _prepared(network: JointNetwork, device: torch.device, dtype: torch.dtype) -> JointNetwork:
    network = fold_batch_norm(network)
    network.pose_network = nn.Identity()
    network.returned_scales = _SCALES
    network = network.to(device, dtype, memory_format=torch.channels_last)
    heads = network.depth_decoder.heads
    heads[1] = _LeanHead(heads[1], dtype)
    network.encoder.register_forward_pre_hook(
        lambda module, inputs: (inputs[0].to(dtype, memory_format=torch.channels_last),))
    return network

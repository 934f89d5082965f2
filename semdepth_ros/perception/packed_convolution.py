"""Convolutions for the CPU: weights laid out once as the kernels want them, the ReLU behind done in the same pass."""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PackedConvolution(nn.Module):
    """A Conv2d whose weights are kept in oneDNN's own layout, so that they are not laid out again for every image.

    :param conv: on the CPU, in the type to compute in
    :param shape: of the inputs to expect [B, C, H, W]; others work too, with one more pass over the weights
    :param relu: whether a ReLU follows
    """

    def __init__(self, conv: nn.Conv2d, shape: list[int], relu: bool):
        super().__init__()
        self.relu = relu
        self.mode = conv.padding_mode
        self.border = (conv.padding[1], conv.padding[1], conv.padding[0], conv.padding[0])
        self.padding = list(conv.padding) if self.mode == 'zeros' else [0, 0]
        self.stride, self.dilation, self.groups = list(conv.stride), list(conv.dilation), conv.groups
        self.bias = conv.bias
        self.weight = torch.ops.mkldnn._reorder_convolution_weight(
            conv.weight, self.padding, self.stride, self.dilation, self.groups, self._padded(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Return conv(x), through the ReLU if there is one."""
        if self.mode != 'zeros':
            x = F.pad(x, self.border, mode=self.mode)
        after = 'relu' if self.relu else 'none'
        return torch.ops.mkldnn._convolution_pointwise(
            x, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups, after, [], '')

    def _padded(self, shape: list[int]) -> list[int]:
        if self.mode == 'zeros':
            return shape
        left, right, top, bottom = self.border
        return [*shape[:2], shape[2] + top + bottom, shape[3] + left + right]


@torch.no_grad()
def pack_convolutions(network: nn.Module, example: Tensor) -> None:
    """Replace a network's convolutions by packed ones that do the ReLUs which follow nothing else.

    Which ReLU follows which convolution is watched on the example, not guessed from names.

    :param network: on the CPU, in evaluation mode; changed in place
    :param example: an input of the network
    :raises RuntimeError: this build of torch has no such kernels
    """
    shapes, followers = _watch(network, example)
    fused = {relu: convs for relu, convs in followers.items() if None not in convs}
    with_relu = {conv for convs in fused.values() for conv in convs}
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if child in shapes:
                setattr(parent, name, PackedConvolution(child, shapes[child], child in with_relu))
            elif child in fused:
                setattr(parent, name, nn.Identity())


def _packable(module: nn.Module) -> bool:
    """Whether this is a convolution and nothing more: subclasses may compute something else."""
    return type(module) is nn.Conv2d and not isinstance(module.padding, str)


def _watch(network: nn.Module, example: Tensor) -> tuple[dict, dict]:
    """Return each convolution's input shape, and each ReLU's sources: the convolutions, None for anything else."""
    shapes, makers, followers, alive = {}, {}, {}, []

    def saw_convolution(conv, inputs, output):
        shapes[conv] = list(inputs[0].shape)
        makers[id(output)] = conv
        alive.append(output)

    def saw_relu(relu, inputs):
        followers.setdefault(relu, []).append(makers.get(id(inputs[0])))

    hooks = [m.register_forward_hook(saw_convolution) for m in network.modules() if _packable(m)]
    hooks += [m.register_forward_pre_hook(saw_relu) for m in network.modules() if isinstance(m, nn.ReLU)]
    network(example)
    for hook in hooks:
        hook.remove()
    return shapes, followers

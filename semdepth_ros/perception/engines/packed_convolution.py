"""Convolutions for the CPU: weights laid out once as the kernels want them, the activation behind in the same pass."""
from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semdepth_ros.networks.efficientnet_lite0 import InvertedResidual
from semdepth_ros.networks.resnet import BasicBlock

# activation: how the kernel calls it, and what else it needs to know
_ACTIVATIONS = {nn.ReLU: ('relu', lambda module: []), nn.ReLU6: ('hardtanh', lambda module: [0.0, 6.0]),
                nn.LeakyReLU: ('leaky_relu', lambda module: [module.negative_slope])}


class PackedConvolution(nn.Module):
    """A Conv2d whose weights are kept in oneDNN's own layout, so that they are not laid out again for every image.

    :param conv: on the CPU, in the type to compute in
    :param shape: of the inputs [B, C, H, W]; others work too, but can be slow
    :param activation: the module that follows and is done in the same pass; None, ReLU, ReLU6 or LeakyReLU
    """

    def __init__(self, conv: nn.Conv2d, shape: list[int], activation: nn.Module | None):
        super().__init__()
        kind, scalars = _ACTIVATIONS.get(type(activation), ('none', lambda module: []))
        self.activation, self.scalars = kind, scalars(activation)
        self.mode = conv.padding_mode
        self.border = (conv.padding[1], conv.padding[1], conv.padding[0], conv.padding[0])
        self.padding = list(conv.padding) if self.mode == 'zeros' else [0, 0]
        self.stride, self.dilation, self.groups = list(conv.stride), list(conv.dilation), conv.groups
        self.bias = conv.bias
        self.weight = torch.ops.mkldnn._reorder_convolution_weight(
            conv.weight, self.padding, self.stride, self.dilation, self.groups, self._padded(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Return activation(conv(x))."""
        if self.mode != 'zeros':
            x = F.pad(x, self.border, mode=self.mode)
        return torch.ops.mkldnn._convolution_pointwise(
            x, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups, self.activation,
            self.scalars, '')

    def added_to(self, shortcut: Tensor, x: Tensor, activation: str | None) -> Tensor:
        """Return activation(conv(x) + shortcut), in one pass; for a convolution without an activation of its own."""
        return torch.ops.mkldnn._convolution_pointwise.binary(
            x, shortcut, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups, 'add', None,
            activation, [], '')

    def _padded(self, shape: list[int]) -> list[int]:
        if self.mode == 'zeros':
            return shape
        left, right, top, bottom = self.border
        return [*shape[:2], shape[2] + top + bottom, shape[3] + left + right]


class PackedBlock(nn.Module):
    """A BasicBlock of packed convolutions whose sum and last ReLU are done in the second convolution's pass.

    :param block: folded, its convolutions packed
    """

    def __init__(self, block: BasicBlock):
        super().__init__()
        self.first, self.second, self.downsample = block.conv1, block.conv2, block.downsample

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.second.added_to(shortcut, self.first(x), 'relu')


class PackedInvertedResidual(nn.Module):
    """An InvertedResidual of packed convolutions whose sum is done in the projection's pass.

    :param block: folded, with a shortcut, its convolutions packed
    """

    def __init__(self, block: InvertedResidual):
        super().__init__()
        self.first, self.projection = nn.Sequential(block.expand, block.depthwise), block.project[0]

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        return self.projection.added_to(x, self.first(x), None)


class SingleConvolution(nn.Module):
    """A 3x3 convolution to one channel in float32, as one product with nine rows and a sum of nine shifted maps.

    The kernels for convolutions compute sixteen channels where one is asked for.
    """

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        self.mode = 'constant' if conv.padding_mode == 'zeros' else conv.padding_mode
        self.bias = conv.bias
        rows = conv.weight.detach().permute(2, 3, 0, 1).reshape(9, -1)
        self.rows = nn.Parameter(rows.contiguous(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return conv(x), [B, 1, H, W]."""
        batch, channels, height, width = x.shape
        pixels = x.permute(0, 2, 3, 1).reshape(batch, height * width, channels).float()
        maps = (self.rows @ pixels.transpose(1, 2)).view(batch, 9, height, width)
        maps = F.pad(maps, (1, 1, 1, 1), mode=self.mode)
        total = self.bias.view(1, 1, 1, 1) + maps[:, :1, :height, :width]
        for i in range(1, 9):
            down, right = divmod(i, 3)
            total += maps[:, i:i + 1, down:down + height, right:right + width]
        return total


@torch.no_grad()
def pack_convolutions(network: nn.Module, example: Tensor) -> None:
    """Replace a network's convolutions by packed ones, which do the activations that follow convolutions alone.

    Which activation follows which convolution is watched on the example, not guessed from names.

    :param network: on the CPU, in evaluation mode; changed in place
    :param example: an input of the network
    :raises RuntimeError: this build of torch has no such kernels
    """
    _absorb_pads(network)
    shapes, sources = _watch(network, example)
    fused = {activation: convs for activation, convs in sources.items() if None not in convs}
    after = {conv: activation for activation, convs in fused.items() for conv in convs}
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if child in shapes:
                setattr(parent, name, PackedConvolution(child, shapes[child], after.get(child)))
            elif child in fused:
                setattr(parent, name, nn.Identity())
    _pack_parents(network)


def _absorb_pads(network: nn.Module) -> None:
    """Give convolutions behind a one-sided border of zeros a wider kernel instead, zero where it reaches further.

    To copy a whole image into a larger one takes as long as a depthwise convolution of it.
    """
    for parent in list(network.modules()):
        for (pad_name, pad), (conv_name, conv) in pairwise(list(parent.named_children())):
            if type(parent) is nn.Sequential and _is_one_sided(pad) and _packable(conv) and conv.padding == (0, 0):
                setattr(parent, pad_name, nn.Identity())
                setattr(parent, conv_name, _widened(conv, pad.padding))


def _is_one_sided(pad: nn.Module) -> bool:
    if not isinstance(pad, nn.ConstantPad2d) or pad.value != 0:
        return False
    left, right, top, bottom = pad.padding
    return 0 <= left <= right and 0 <= top <= bottom


def _widened(conv: nn.Conv2d, border: tuple[int, int, int, int]) -> nn.Conv2d:
    """Return the convolution of a symmetric border, as wide as the wider side, that gives the same."""
    left, right, top, bottom = border
    weight = F.pad(conv.weight, (right - left, 0, bottom - top, 0))
    wide = nn.Conv2d(conv.in_channels, conv.out_channels, weight.shape[2:], conv.stride, (bottom, right), conv.dilation,
                     conv.groups, conv.bias is not None, device='meta')
    wide.weight, wide.bias = nn.Parameter(weight, requires_grad=False), conv.bias
    return wide


def _pack_parents(network: nn.Module) -> None:
    """Take what has become an identity out of every Sequential, and replace residual blocks by packed ones."""
    for parent in list(network.modules()):
        if type(parent) is nn.Sequential:
            rest = [child for child in parent if not isinstance(child, nn.Identity)]
            parent._modules.clear()
            parent.extend(rest)
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is BasicBlock and _is_packed_basic(child):
                setattr(parent, name, PackedBlock(child))
            elif type(child) is InvertedResidual and _is_packed_inverted(child):
                setattr(parent, name, PackedInvertedResidual(child))


def _is_packed_basic(block: BasicBlock) -> bool:
    """Whether nothing is left of a block but packed convolutions, the first with its ReLU."""
    convs = (block.conv1, block.conv2)
    return (all(isinstance(c, PackedConvolution) for c in convs) and block.conv1.activation == 'relu'
            and all(isinstance(norm, nn.Identity) for norm in (block.bn1, block.bn2)))


def _is_packed_inverted(block: InvertedResidual) -> bool:
    """Whether a block has a shortcut, and nothing is left of its projection but a packed convolution."""
    return block.has_shortcut and len(block.project) == 1 and isinstance(block.project[0], PackedConvolution)


def _packable(module: nn.Module) -> bool:
    """Whether this is a convolution and nothing more: subclasses may compute something else."""
    return type(module) is nn.Conv2d and not isinstance(module.padding, str)


def _watch(network: nn.Module, example: Tensor) -> tuple[dict, dict]:
    """Return each convolution's input shape, and each activation's sources: convolutions, None for anything else."""
    shapes, makers, sources, alive = {}, {}, {}, []

    def saw_convolution(conv, inputs, output):
        shapes[conv] = list(inputs[0].shape)
        makers[id(output)] = conv
        alive.append(output)

    def saw_activation(activation, inputs):
        sources.setdefault(activation, []).append(makers.get(id(inputs[0])))

    hooks = [m.register_forward_hook(saw_convolution) for m in network.modules() if _packable(m)]
    # what an activation takes is seen by nobody else only where it works in place
    hooks += [m.register_forward_pre_hook(saw_activation) for m in network.modules()
              if type(m) in _ACTIVATIONS and m.inplace]
    network(example)
    for hook in hooks:
        hook.remove()
    return shapes, sources

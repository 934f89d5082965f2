"""EfficientNet-Lite0: inverted residuals without attention, whose weights of photographs are published."""
from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise

import torch
from torch import Tensor, nn

from semdepth_ros.networks.normalisation import MEAN, STD
from semdepth_ros.networks.resnet import initialise

# expansion, kernel, stride, output channels, blocks (Tan and Le 2019, table 1)
STAGES = ((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4),
          (6, 3, 1, 320, 1))
LAST_OF_STRIDE = (0, 1, 2, 4, 6)
STEM_WIDTH = 32
# Its training took (pixel - 127) / 128 and padded with zero; this is that grey for images normalised as ours
GREY = (127 / 255 - MEAN) / STD


def conv_bn(inputs: int, width: int, kernel: int = 1, stride: int = 1, groups: int = 1, activation: bool = True,
            border: float = 0.0) -> nn.Sequential:
    """Return a convolution without bias, its normalisation and ReLU6, padded as TensorFlow's "same".

    At stride 2 and an even size that is one-sided: a row and a column less above and to the left than below and to the
    right.

    :param border: the value to pad with at stride 2
    """
    layers = OrderedDict()
    if stride == 2:
        before, after = (kernel - 2) // 2, (kernel - 1) // 2
        layers['pad'] = nn.ConstantPad2d((before, after, before, after), border)
    layers['conv'] = nn.Conv2d(inputs, width, kernel, stride, 0 if stride == 2 else kernel // 2, groups=groups, bias=False)
    layers['norm'] = nn.BatchNorm2d(width, eps=1e-3, momentum=0.01)
    if activation:
        layers['activation'] = nn.ReLU6(inplace=True)
    return nn.Sequential(layers)


class InvertedResidual(nn.Module):
    """Expand, convolve each channel for itself, project; with a shortcut where shapes allow (Sandler et al. 2018).

    :param expansion: how many times wider the middle is than the input; 1 leaves the first convolution out
    """

    def __init__(self, inputs: int, width: int, expansion: int, kernel: int, stride: int):
        super().__init__()
        middle = inputs * expansion
        self.expand = conv_bn(inputs, middle) if expansion > 1 else nn.Identity()
        self.depthwise = conv_bn(middle, middle, kernel, stride, groups=middle)
        self.project = conv_bn(middle, width, activation=False)
        self.has_shortcut = stride == 1 and inputs == width

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        y = self.project(self._each_channel(self.expand(x)))
        return x + y if self.has_shortcut else y

    def _each_channel(self, x: Tensor) -> Tensor:
        """Convolve each channel for itself, on a CPU in single precision: its backward pass takes three to four times as
        long in bfloat16."""
        if x.device.type != 'cpu' or not torch.is_autocast_enabled('cpu'):
            return self.depthwise(x)
        with torch.autocast('cpu', enabled=False):
            return self.depthwise(x.float())


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 without its classifier: 2,958,848 parameters.

    Tan and Le 2019, as Google's EfficientNet-Lite has it: no squeeze-and-excitation, ReLU6, stem not scaled.
    """

    channels = (16, 24, 40, 112, 320)

    def __init__(self):
        super().__init__()
        self.stem = conv_bn(3, STEM_WIDTH, kernel=3, stride=2, border=GREY)
        self.stages = nn.ModuleList()
        widths = (STEM_WIDTH, *(stage[3] for stage in STAGES))
        for (expansion, kernel, stride, _, blocks), (inputs, width) in zip(STAGES, pairwise(widths)):
            rest = (InvertedResidual(width, width, expansion, kernel, 1) for _ in range(blocks - 1))
            self.stages.append(nn.Sequential(InvertedResidual(inputs, width, expansion, kernel, stride), *rest))
        initialise(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return features at strides 2, 4, 8, 16 and 32 of a normalised image [B, 3, H, W], sides multiples of 32."""
        x, features = self.stem(x), []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in LAST_OF_STRIDE:
                features.append(x)
        return features

"""The small network's encoder and pose network: plain 3x3 convolutions, few of them, made for two processor cores."""
from __future__ import annotations

from torch import Tensor, nn

from semdepth_ros.networks.resnet import initialise, residual_stage


def conv_bn_relu(inputs: int, width: int, stride: int = 1) -> nn.Sequential:
    """Return a 3x3 convolution whose normalisation can be folded into it, and a ReLU that kernels fuse."""
    conv = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(width), nn.ReLU(inplace=True))


class SmallEncoder(nn.Module):
    """A residual encoder with a 3x3 stem and narrow stages.

    Form ours. Widths are multiples of 16, the vector length of AVX-512 in single precision.
    """

    channels = (32, 48, 96, 160, 192)

    def __init__(self):
        super().__init__()
        widths = self.channels
        self.stem = nn.Sequential(conv_bn_relu(3, widths[0], 2), conv_bn_relu(widths[0], widths[0]))
        self.stages = nn.ModuleList(residual_stage(widths[i], widths[i + 1], 2) for i in range(4))
        initialise(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return features at strides 2, 4, 8, 16 and 32 of a normalised image [B, 3, H, W]."""
        features = [self.stem(x)]
        for stage in self.stages:
            features.append(stage(features[-1]))
        return features


class SmallPose(nn.Module):
    """Six convolutions over a pair of images and a spatial mean (after Zhou et al. 2017, widths ours).

    :param scale: radians and metres that stand for an output of one
    """

    widths = (16, 32, 64, 128, 256, 256)
    strides = (2, 2, 2, 2, 2, 1)

    def __init__(self, scale: tuple[float, float]):
        super().__init__()
        inputs = (6, *self.widths[:-1])
        self.trunk = nn.Sequential(*(conv_bn_relu(*each) for each in zip(inputs, self.widths, self.strides)))
        self.head = nn.Conv2d(self.widths[-1], 6, 1)
        self.scale = scale
        initialise(self)
        nn.init.normal_(self.head.weight, std=0.01)

    def forward(self, pair: Tensor) -> tuple[Tensor, Tensor]:
        """Return axis-angle [B, 3] rad and translation [B, 3] of a normalised pair [B, 6, H, W]."""
        rotation, translation = self.head(self.trunk(pair)).mean((2, 3)).chunk(2, dim=1)
        return rotation * self.scale[0], translation * self.scale[1]

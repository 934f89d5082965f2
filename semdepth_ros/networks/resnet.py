"""The residual encoder with 18 layers, with the tensor names of torchvision."""
from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2016, figure 5 left), from inputs to width channels."""

    def __init__(self, inputs: int, width: int, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or inputs != width:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + shortcut, inplace=True)


def residual_stage(inputs: int, width: int, stride: int, blocks: int = 2) -> nn.Sequential:
    """Return a row of BasicBlocks, of which the first strides."""
    return nn.Sequential(BasicBlock(inputs, width, stride), *(BasicBlock(width, width) for _ in range(blocks - 1)))


class ResNet18(nn.Module):
    """ResNet-18 without its classifier: 11,176,512 parameters for three input channels.

    Tensor names and shapes are torchvision's, so ImageNet weights load as they are.

    :param inputs: image channels: 3, or 6 for a pair of images
    """

    channels = (64, 64, 128, 256, 512)

    def __init__(self, inputs: int = 3):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = residual_stage(64, 64, 1)
        self.layer2 = residual_stage(64, 128, 2)
        self.layer3 = residual_stage(128, 256, 2)
        self.layer4 = residual_stage(256, 512, 2)
        initialise(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return features at strides 2, 4, 8, 16 and 32 of a normalised image [B, inputs, H, W]."""
        features = [self.relu(self.bn1(self.conv1(x)))]
        features.append(self.layer1(self.maxpool(features[0])))
        for stage in (self.layer2, self.layer3, self.layer4):
            features.append(stage(features[-1]))
        return features


def initialise(module: nn.Module) -> None:
    """Draw convolutions so that gradients keep their variance (He et al. 2015), and start normalisations as one.

    torch counts every output of a grouped convolution, of which each input has only its group's.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode='fan_out', nonlinearity='relu')
            with torch.no_grad():
                part.weight.mul_(math.sqrt(part.groups))
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.BatchNorm2d) and part.affine:
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)

"""The pose network of Monodepth2: the motion between two images."""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semdepth_ros.networks.resnet import ResNet18


class ResNetPose(nn.Module):
    """ResNet-18 on six channels, a squeeze to 256, two 3x3 convolutions, a spatial mean (Godard et al. 2019).

    :param scale: radians and metres that stand for an output of one; 0.01 both in Monodepth2
    """

    def __init__(self, scale: tuple[float, float]):
        super().__init__()
        self.encoder = ResNet18(inputs=6)
        self.squeeze = nn.Conv2d(512, 256, 1)
        self.convs = nn.ModuleList(nn.Conv2d(256, 256, 3, padding=1) for _ in range(2))
        self.head = nn.Conv2d(256, 6, 1)
        self.scale = scale

    def forward(self, pair: Tensor) -> tuple[Tensor, Tensor]:
        """Return axis-angle [B, 3] rad and translation [B, 3] of a normalised pair [B, 6, H, W]."""
        x = F.relu(self.squeeze(self.encoder(pair)[-1]))
        for conv in self.convs:
            x = F.relu(conv(x))
        rotation, translation = self.head(x).mean((2, 3)).chunk(2, dim=1)
        return rotation * self.scale[0], translation * self.scale[1]


def start_ahead(pose: nn.Module, step_m: float) -> None:
    """Make a fresh pose network put out nearly the motion of a camera that moves step_m [m] ahead (form ours).

    The velocity loss fixes a translation's length long before images have taught its direction; it was seen to drive a
    network that started at rest into a wrong direction for good.
    """
    nn.init.zeros_(pose.head.bias)
    with torch.no_grad():
        pose.head.bias[5] = -step_m / pose.scale[1]

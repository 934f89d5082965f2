"""What becomes of the features of points: a perceptron that all points share."""
from __future__ import annotations

import torch
from torch import Tensor, nn

from semdepth_ros.networks.guidance.attention import AttentionLevel
from semdepth_ros.networks.resnet import initialise
from semdepth_ros.settings import SettingsError

WRITES = ('substitution', 'residual')


class PointEnhancement(nn.Module):
    """Two layers with ReLU and a linear one; between them attention among the points of an image, if asked for.

    Form ours: the paper calls it point feature enhancement and does not say more that could be read. It starts so that
    nothing changes: for a substitution the depth features pass through, each as its positive and its negative part,
    for a residual the last layer is zero.

    :param channels: of all maps at a point
    :param depth: of the depth map that is written to, which lies at `place` among them
    :param width: of the layers
    :param write: see WRITES
    :raises SettingsError: layers too narrow to let depth features through
    """

    def __init__(self, channels: int, depth: int, place: int, width: int, attention: bool, write: str):
        super().__init__()
        if width < 2 * depth:
            raise SettingsError(f'guidance.width is {width}, expected at least {2 * depth}, twice the channels of the '
                                f'depth features')
        self.is_residual = write == 'residual'
        self.layers = nn.Sequential(nn.Conv2d(channels, width, 1), nn.ReLU(inplace=True),
                                    nn.Conv2d(width, width, 1), nn.ReLU(inplace=True))
        self.attention = AttentionLevel(width, width, 8, 1, 'depth') if attention else None
        self.write = nn.Conv2d(width, depth, 1)
        initialise(self)
        nn.init.zeros_(self.write.weight)
        if not self.is_residual:
            _pass_through(self.layers[0], self.layers[2], self.write, place)

    def forward(self, known: Tensor, depth: Tensor) -> Tensor:
        """Return what is to be written to the depth map at the points, [B, N, depth].

        :param known: what all maps hold at the points [B, N, channels]
        :param depth: what is there now [B, N, depth]
        """
        hidden = self.layers(known.transpose(1, 2)[..., None])  # [B, width, N, 1]
        if self.attention is not None:
            hidden = self.attention(hidden, hidden)
        written = self.write(hidden)[..., 0].transpose(1, 2)
        return depth + written if self.is_residual else written


@torch.no_grad()
def _pass_through(first: nn.Conv2d, second: nn.Conv2d, last: nn.Conv2d, place: int) -> None:
    """Let the inputs from a place on come out, through units of their own: x = relu(x) - relu(-x)."""
    outputs = last.out_channels
    own, both = torch.arange(outputs), torch.arange(2 * outputs)
    first.weight[both], second.weight[both] = 0, 0
    first.weight[own, place + own], first.weight[outputs + own, place + own] = 1, -1
    second.weight[both, both] = 1
    last.weight[own, own], last.weight[own, outputs + own] = 1, -1

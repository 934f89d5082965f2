"""Convolution whose taps count the less, the more their pixel's guidance differs from the centre's."""
from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class PixelAdaptiveConvolution(nn.Module):
    """An odd-sized convolution with a kernel of its own at every pixel (Su et al. 2019; sigma after Guizilini et al. 2020).

    v'_i = b + sum_j K(f_i, f_j) W[p_i - p_j] v_j  with  K(f_i, f_j) = exp(-|f_i - f_j|^2 / (2 sigma^2)),

    v the features, f the guidance, j the pixels around i; beyond the border v is zero. sigma is learned, one for each
    filter (output channel) or one for all, and starts where K of two pixels whose guidance is unrelated is
    `initial_kernel`: guidance of mean 0 and variance 1 a channel, as a batch normalisation gives it, is then
    |f_i - f_j|^2 = 2 D apart on average, D channels. Neighbours are nearer than that, so the kernel starts wider than
    its centre wherever it looks (form ours).

    Memory: taps are added one after the other, and in training each is computed again when its gradient is asked for: a
    training step holds eleven maps of the output's size at the most, of as many channels each for features and guidance,
    whatever the kernel's size. Kept as they come they would be 32 for a 3x3 kernel and 81 for 5x5.

    :param inputs, width: channels of the features and of the output
    :param guidance: channels of the guidance
    :param sigma_per: 'filter' or 'layer'
    :param initial_kernel: K of unrelated pixels at the start, in (0, 1)
    """

    def __init__(self, inputs: int, width: int, guidance: int, kernel: int = 3, sigma_per: str = 'filter',
                 initial_kernel: float = 0.6):
        super().__init__()
        self.kernel = kernel
        self.weight = nn.Parameter(torch.empty(width, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(width))
        sigma = math.sqrt(-guidance / math.log(initial_kernel))
        self.log_sigma = nn.Parameter(torch.full((width if sigma_per == 'filter' else 1,), math.log(sigma)))
        nn.init.kaiming_normal_(self.weight, nonlinearity='linear')

    def forward(self, features: Tensor, guidance: Tensor) -> Tensor:
        """Return v' [B, width, H, W] of features [B, inputs, H, W] and guidance [B, D, H, W]."""
        reach, (height, width) = self.kernel // 2, features.shape[-2:]
        precision = (-2 * self.log_sigma).exp().view(1, -1, 1, 1)              # 1 / sigma^2
        around = [F.pad(x, (reach, reach, reach, reach)) for x in (features, guidance)]
        total = self.bias.view(1, -1, 1, 1)
        for down in range(self.kernel):
            for right in range(self.kernel):
                seen = [x[..., down:down + height, right:right + width] for x in around]
                arguments = (*seen, guidance, self.weight[:, :, down, right], precision)
                total = total + (checkpoint(_tap, *arguments, use_reentrant=False, preserve_rng_state=False)
                                 if torch.is_grad_enabled() else _tap(*arguments))
        return total


def _tap(seen: Tensor, seen_guidance: Tensor, guidance: Tensor, weight: Tensor, precision: Tensor) -> Tensor:
    """Return what one tap adds: K(f_i, f_j) W v_j [B, width, H, W], v_j and f_j being what it sees."""
    distance = (guidance - seen_guidance).square().sum(1, keepdim=True)
    return torch.exp(-0.5 * precision * distance) * F.conv2d(seen, weight[:, :, None, None])

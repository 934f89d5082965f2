"""Convolution whose taps count the less, the more their pixel's guidance differs from the centre's."""
from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class PixelAdaptiveConvolution(nn.Module):
    """An odd-sized convolution with a kernel of its own at every pixel (Su et al. 2019, Guizilini et al. 2020).

    v'_i = b + sum_j K(f_i, f_j) W[p_i - p_j] v_j  with  K(f_i, f_j) = exp(-|f_i - f_j|^2 / (2 sigma^2)),

    v the features, f the guidance, j the pixels around i; beyond the border v is zero. One sigma is learned with every
    convolution. It starts where K of two pixels whose guidance is unrelated is `initial_kernel`: guidance of mean 0 and
    variance 1 a channel, as a batch normalisation gives it, is then |f_i - f_j|^2 = 2 D apart on average, D channels.
    Neighbours are nearer than that, so the kernel starts wider than its centre wherever it looks (form ours).

    Memory: taps are added one after the other, and in training each is computed again when its gradient is asked for.
    With as many channels of features, guidance and output, a training step holds thirteen such maps beside its inputs
    at the most, inference eight, whatever the kernel's size; kept as they come they would be 26 for 3x3, 60 for 5x5.

    :param inputs, width: channels of the features and of the output
    :param guidance: channels of the guidance
    :param initial_kernel: K of unrelated pixels at the start, in (0, 1)
    """

    def __init__(self, inputs: int, width: int, guidance: int, kernel: int = 3, initial_kernel: float = 0.3):
        super().__init__()
        self.kernel = kernel
        self.weight = nn.Parameter(torch.empty(width, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(width))
        self.log_sigma = nn.Parameter(torch.full((1,), math.log(-guidance / math.log(initial_kernel)) / 2))
        nn.init.kaiming_normal_(self.weight, nonlinearity='linear')

    def forward(self, features: Tensor, guidance: Tensor) -> Tensor:
        """Return v' [B, width, H, W] of features [B, inputs, H, W] and guidance [B, D, H, W]."""
        (batch, _, height, width), reach = features.shape, self.kernel // 2
        features, guidance = (x.permute(0, 2, 3, 1) for x in (features, guidance))         # [B, H, W, C]
        around = [F.pad(x, (0, 0, reach, reach, reach, reach)) for x in (features, guidance)]
        weight = self.weight.permute(2, 3, 1, 0).contiguous()                              # [k, k, inputs, width]
        precision = (-2 * self.log_sigma).exp()                                            # 1 / sigma^2
        total = self.bias                                                                  # [B H W, width]
        for down in range(self.kernel):
            for right in range(self.kernel):
                seen = [x[:, down:down + height, right:right + width] for x in around]
                if torch.is_grad_enabled():
                    total = total + checkpoint(_tap, *seen, guidance, precision, weight[down, right],
                                               use_reentrant=False, preserve_rng_state=False)
                else:
                    total = torch.addmm(total, _weighed(*seen, guidance, precision), weight[down, right])
        return total.view(batch, height, width, -1).permute(0, 3, 1, 2)


def _tap(seen: Tensor, seen_guidance: Tensor, guidance: Tensor, precision: Tensor, weight: Tensor) -> Tensor:
    """Return what one tap adds, K(f_i, f_j) W v_j [B H W, width], v_j and f_j being what it sees."""
    return _weighed(seen, seen_guidance, guidance, precision) @ weight


def _weighed(seen: Tensor, seen_guidance: Tensor, guidance: Tensor, precision: Tensor) -> Tensor:
    """Return K(f_i, f_j) v_j [B H W, C]."""
    distance = (guidance - seen_guidance).square().sum(-1, keepdim=True)
    return (torch.exp(-0.5 * precision * distance) * seen).flatten(0, 2)

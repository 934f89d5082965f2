"""A depth hint is followed where it explains the images better than the network's own depth."""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def accept_hints(hint_error: Tensor, own_error: Tensor, identity_error: Tensor, margin: float = 0.0, window: int = 1
                 ) -> Tensor:
    """Return where a hint explains the images better than the network's depth, and than no motion at all.

    :param hint_error: photometric error of warping with the hint, least over the sources [B, H, W]
    :param own_error: with the network's own depth [..., B, H, W]
    :param identity_error: without warping [B, H, W]
    :param margin: better by at least this share of the other error
    :param window: errors are means over so many by so many pixels; odd
    :return: bool [..., B, H, W]
    Watson et al. 2019 (Depth Hints), whose comparison is of single pixels without a margin; these two are form ours.
    """
    hint_error, own_error, identity_error = (_mean_over(error, window) for error in (hint_error, own_error,
                                                                                     identity_error))
    other = torch.minimum(own_error, identity_error.expand_as(own_error))
    return hint_error < (1 - margin) * other


def hint_loss(depth: Tensor, hint: Tensor, accepted: Tensor, median: Tensor, counted: Tensor | None = None) -> Tensor:
    """Return the mean of log(1 + |h - d| / m) over the accepted pixels of a scale, summed over the scales.

    :param depth: [S, B, H, W] m
    :param hint: [B, H, W] m, finite everywhere
    :param accepted: bool [S, B, H, W]
    :param median: m, of every image's depth, [B] m
    :param counted: float or bool [B, H, W]; where given, the mean is over these pixels, the rest of them counting 0
    :return: a scalar, 0 where nothing is accepted; no gradient goes into hint and median
    Watson et al. 2019, eq. 3. That both depths are over their image's median is form ours: the loss would else depend on
    the unit of depth.
    """
    median, hint = median.detach()[:, None, None], hint.detach()
    each = torch.log1p((hint / median - depth / median).abs())
    number = accepted.sum((1, 2, 3)) if counted is None else counted.sum().expand(len(depth))
    return ((each * accepted).sum((1, 2, 3)) / number.clamp(min=1)).sum()


def image_median(depth: Tensor, seen: Tensor) -> Tensor:
    """Return the median depth of what the input shows, [B] m; of all where it shows nothing.

    :param depth: [B, H, W] m
    :param seen: bool [B, H, W]
    """
    shown = seen | ~seen.any(dim=2, keepdim=True).any(dim=1, keepdim=True)
    return torch.where(shown, depth, torch.nan).flatten(1).nanmedian(dim=1).values


def _mean_over(error: Tensor, window: int) -> Tensor:
    if window == 1:
        return error
    flat = error.flatten(0, -3)[:, None]
    return F.avg_pool2d(flat, window, 1, window // 2, count_include_pad=False)[:, 0].view(error.shape)

"""What a network returns for a batch of images, and how disparity becomes depth."""
from __future__ import annotations

from typing import Any, NamedTuple

import torch.nn.functional as F
from torch import Tensor


class Prediction(NamedTuple):
    """The outputs of one forward pass.

    A named tuple, because compilers, CUDA graphs, DistributedDataParallel and Fabric's precision plugins all look
    inside one.

    :param disparities: sigmoid outputs in (0, 1), finest first: scale s is [B, 1, H / 2^s, W / 2^s]
    :param logits: class scores [B, C, H, W]
    :param extras: tensors by name: `axis_angle` and `translation` [N, 3] where pairs of images were given, and what
        guidance adds
    """

    disparities: tuple[Tensor, ...]
    logits: Tensor
    extras: dict[str, Any]


def disparity_to_depth(disparity: Tensor, min_m: float, max_m: float) -> Tensor:
    """Return the canonical depth of sigmoid outputs, any shape, between min_m and max_m.

    Canonical depth is that of a camera with the focal length the network was trained for; metric depth is canonical
    depth times the focal length of this network input over the trained one [px / px].
    Godard et al. 2019, section 3.1 and its released code.
    """
    return 1 / (1 / max_m + (1 / min_m - 1 / max_m) * disparity)


def inverse_depth(disparities: tuple[Tensor, ...], min_m: float, max_m: float) -> tuple[Tensor, Tensor]:
    """Return the finest inverse canonical depth [1/m], and how far the next scale's depth is from it: |ln d0 - ln d1|.

    Both are [B, 1, H, W], single precision. The second is what sigma is made from: relative sigma = floor + gain times
    it (form ours).
    """
    least, span = 1 / max_m, 1 / min_m - 1 / max_m
    fine = least + span * disparities[0].float()
    coarse = least + span * disparities[1].float()
    if coarse.shape != fine.shape:
        coarse = F.interpolate(coarse, fine.shape[-2:], mode='bilinear', align_corners=False)
    return fine, (fine / coarse).log_().abs_()


def depth_to_disparity(depth: float, min_m: float, max_m: float) -> float:
    """Return the sigmoid output that stands for this canonical depth [m]; the inverse of disparity_to_depth."""
    return (1 / depth - 1 / max_m) / (1 / min_m - 1 / max_m)

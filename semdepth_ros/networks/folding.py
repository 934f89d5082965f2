"""Networks for inference: batch normalisation folded into the convolutions before it."""
from __future__ import annotations

import copy
from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from semdepth_ros.networks.joint import JointNetwork


def fold_batch_norm(network: JointNetwork) -> JointNetwork:
    """Return a copy for inference that computes the same with fewer operations.

    It is in evaluation mode and has no gradients. Its tensors no longer match a model file's.

    Each of our modules lists a convolution directly before its normalisation. A module that promises no such order,
    such as a library's backbone, says so with the attribute `foldable = False`, and is left as it is with all that is
    in it.
    """
    folded = copy.deepcopy(network).eval().requires_grad_(False)
    _fold(folded)
    return folded


def _fold(module: nn.Module) -> None:
    if not getattr(module, 'foldable', True):
        return
    for (conv_name, conv), (norm_name, norm) in pairwise(list(module.named_children())):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(module, conv_name, fuse_conv_bn_eval(conv, norm))
            setattr(module, norm_name, nn.Identity())
    for child in module.children():
        _fold(child)

"""Networks for inference: batch normalisation folded into the convolutions before it."""
from __future__ import annotations

import copy
from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from semdepth_ros.networks.joint import JointNetwork


def fold_batch_norm(network: JointNetwork) -> JointNetwork:
    """Return a copy for inference that computes the same with fewer operations.

    It is in evaluation mode and has no gradients.

    Each of our modules lists a convolution directly before its normalisation; a library's backbone promises no such
    order and is left as it is. The copy's tensors no longer match a model file's.
    """
    folded = copy.deepcopy(network).eval().requires_grad_(False)
    for name, module in list(folded.named_modules()):
        if not name.startswith('encoder.backbone'):
            _fold_children(module)
    return folded


def _fold_children(module: nn.Module) -> None:
    for (conv_name, conv), (norm_name, norm) in pairwise(list(module.named_children())):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(module, conv_name, fuse_conv_bn_eval(conv, norm))
            setattr(module, norm_name, nn.Identity())

"""One network for depth, classes and motion, put together from parts."""
from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from semdepth_ros.networks.prediction import Prediction

MEAN, STD = 0.45, 0.225


class JointNetwork(nn.Module):
    """Encoder, semantic decoder, guidance, depth decoder and pose network, all handed in.

    :param architecture: the complete description that build_network makes the same network from
    :param encoder: image to features at strides 2, 4, 8, 16, 32
    :param depth_decoder: (features, guide, scales) to disparities
    :param semantic_decoder: features to Semantics
    :param guidance: (level, depth features, semantics) to depth features
    :param pose_network: pair of images to (axis-angle, translation)

    `returned_scales` (4) is the number of disparities returned; inference needs two. `least_side` is the least height
    and width of images [px].
    """

    def __init__(self, architecture: dict, encoder: nn.Module, depth_decoder: nn.Module, semantic_decoder: nn.Module,
                 guidance: nn.Module, pose_network: nn.Module):
        super().__init__()
        self.architecture = architecture
        self.encoder = encoder
        self.semantic_decoder = semantic_decoder
        self.guidance = guidance
        self.depth_decoder = depth_decoder
        self.pose_network = pose_network
        self.returned_scales = 4
        self.least_side = max(depth_decoder.least_side, semantic_decoder.least_side)

    def forward(self, image: Tensor, pairs: Tensor | None = None) -> Prediction:
        """Return disparities and class scores of an rgb image [B, 3, H, W] in 0..1, H and W multiples of 32
        from `least_side`.

        :param pairs: image pairs [N, 6, H, W], whose motions then come as extras `axis_angle` and `translation`: one
            call for everything, which DistributedDataParallel asks for
        """
        height, width = image.shape[-2:]
        if height % 32 or width % 32 or min(height, width) < self.least_side:
            raise ValueError(f'image has the size {width}x{height}, expected multiples of 32 from {self.least_side}')
        features = self.encoder(normalise(image))
        semantics = self.semantic_decoder(features)
        guide = partial(self.guidance, semantics=semantics)
        disparities = self.depth_decoder(features, guide, self.returned_scales)
        extras = {}
        if pairs is not None:
            extras['axis_angle'], extras['translation'] = self.pose_network(normalise(pairs))
        return Prediction(disparities, semantics.logits, extras)

    def pose(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Return axis-angle [B, 3] rad and translation [B, 3] of the motion from the first to the second image.

        As in Monodepth2: for a source image after the target, pose(target, source) moves target points into the source
        camera; for one before it, pose(source, target) is to be inverted. Images [B, 3, H, W] in 0..1.
        """
        return self.pose_network(normalise(torch.cat((first, second), dim=1)))


def normalise(image: Tensor) -> Tensor:
    """Return (image - 0.45) / 0.225, as Monodepth2."""
    return (image - MEAN) / STD

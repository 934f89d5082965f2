"""One network for depth, classes and motion, put together from parts."""
from __future__ import annotations

import torch
from torch import Tensor, nn

from semdepth_ros.networks.gradient_balance import GradientBalance
from semdepth_ros.networks.guidance import Guide
from semdepth_ros.networks.normalisation import Normalisation
from semdepth_ros.networks.prediction import Prediction
from semdepth_ros.networks.upward_path import PathState, UpwardPath


class JointNetwork(nn.Module):
    """Encoder, semantic decoder, guidance, depth decoder and pose network, all handed in.

    :param architecture: the complete description that build_network makes the same network from
    :param encoder: image to features at strides 2, 4, 8, 16, 32
    :param depth_decoder: (features, guide, scales, what the trunk gave) to disparities
    :param semantic_decoder: (features, what the trunk gave) to Semantics
    :param guidance: (image, features, semantics, labels) to a Guide
    :param pose_network: pair of images to (axis-angle, translation)
    :param trunk: the convolutions that both decoders begin with; None for none

    `returned_scales` (4) is the number of disparities returned; inference needs two. `least_side` is the least height
    and width of images [px]. `balance` (None) is what training balances the gradients of the two decoders with.
    """

    def __init__(self, architecture: dict, encoder: nn.Module, depth_decoder: nn.Module, semantic_decoder: nn.Module,
                 guidance: nn.Module, pose_network: nn.Module, trunk: UpwardPath | None = None):
        super().__init__()
        self.architecture = architecture
        self.normalisation = Normalisation()
        self.encoder = encoder
        self.trunk = trunk
        self.semantic_decoder = semantic_decoder
        self.guidance = guidance
        self.depth_decoder = depth_decoder
        self.pose_network = pose_network
        self.returned_scales = 4
        self.balance: GradientBalance | None = None
        self.least_side = max(depth_decoder.least_side, semantic_decoder.least_side, getattr(guidance, 'least_side', 0))

    def forward(self, image: Tensor, pairs: Tensor | None = None, labels: Tensor | None = None) -> Prediction:
        """Return disparities and class scores of an rgb image [B, 3, H, W] in 0..1, H and W multiples of 32
        from `least_side`.

        :param pairs: image pairs [N, 6, H, W], whose motions then come as extras `axis_angle` and `translation`: one
            call for everything, which DistributedDataParallel asks for
        :param labels: class ids [B, H, W] of the image, 255 where unlabelled, for a guidance to look at; without them
            it looks at the network's own prediction
        :raises ValueError: an image of another size, or labels that are not of its size
        """
        self._expect_size(image, labels)
        image = self.normalisation(image)
        features = self.encoder(image)
        begun = None if self.trunk is None else self.trunk(features, Guide())
        of_depth, of_classes = self._parted(features, begun)
        semantics = self.semantic_decoder(*of_classes)
        features, begun = of_depth
        guide = self.guidance(image, features, semantics, labels)
        disparities = self.depth_decoder(features, guide, self.returned_scales, begun)
        extras = guide.extras()
        if pairs is not None:
            axis_angle, translation = self.pose_network(self.normalisation(pairs))
            extras = extras | {'axis_angle': axis_angle, 'translation': translation}
        return Prediction(disparities, semantics.logits, extras)

    def pose(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Return axis-angle [B, 3] rad and translation [B, 3] of the motion from the first to the second image.

        As in Monodepth2: for a source image after the target, pose(target, source) moves target points into the source
        camera; for one before it, pose(source, target) is to be inverted. Images [B, 3, H, W] in 0..1.
        """
        return self.pose_network(self.normalisation(torch.cat((first, second), dim=1)))

    def _parted(self, features: list[Tensor], begun: PathState | None) -> tuple[tuple, tuple]:
        """Return what the depth and the semantic decoder read of what they share."""
        if self.balance is None or not (self.training and torch.is_grad_enabled()):
            return (features, begun), (features, begun)
        self.balance.begin()
        return self.balance.of('depth', features, begun), self.balance.of('semantic', features, begun)

    def _expect_size(self, image: Tensor, labels: Tensor | None) -> None:
        height, width = image.shape[-2:]
        if height % 32 or width % 32 or min(height, width) < self.least_side:
            raise ValueError(f'image has the size {width}x{height}, expected multiples of 32 from {self.least_side}')
        if labels is not None and labels.shape != (len(image), height, width):
            raise ValueError(f'labels have the shape {list(labels.shape)}, expected {[len(image), height, width]}')

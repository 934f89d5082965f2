"""One batch seen through the network's prediction: what the terms of the objective look at."""
from __future__ import annotations

from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from semdepth_ros.geometry.motion import pose_matrix
from semdepth_ros.geometry.warping import warp
from semdepth_ros.losses import photometric_error
from semdepth_ros.networks import Prediction, disparity_to_depth
from semdepth_ros.training.batch import TripletBatch


class View:
    """A prediction beside its batch; what several terms need is computed once, when one first asks for it.

    :param prediction: of the target images, with the motions of image_pairs as extras
    :param batch: what was predicted from
    :param images: the batch's images in unchanged colours, float32 [B, 3, 3, H, W] in 0..1
    :param depth_range, focal_px: how disparity becomes metres
    :param step: of the training
    """

    def __init__(self, prediction: Prediction, batch: TripletBatch, images: Tensor, depth_range: tuple[float, float],
                 focal_px: float, step: int = 0):
        self.prediction, self.batch, self.step = _full_width(prediction), batch, step
        self.target, self.sources = images[:, 0], images[:, 1:].transpose(0, 1)     # [B, 3, H, W], [2, B, 3, H, W]
        self._depth_range, self._focal_px = depth_range, focal_px

    @cached_property
    def disparity(self) -> Tensor:
        """The disparities of all scales at full size, [scales, B, 1, H, W]."""
        size = self.target.shape[-2:]
        return torch.stack([F.interpolate(d, size, mode='bilinear', align_corners=False)
                            for d in self.prediction.disparities])

    @cached_property
    def normalised_disparity(self) -> Tensor:
        """The disparities of all scales at full size over their mean where the input shows something."""
        seen = self.batch.seen[:, None]
        mean = (self.disparity * seen).sum((-2, -1), keepdim=True) / seen.sum((-2, -1), keepdim=True).clamp(min=1)
        return self.disparity / (mean + 1e-7)

    @cached_property
    def depth(self) -> Tensor:
        """The depths of all scales at full size, [scales, B, 1, H, W] m."""
        focal = self.batch.intrinsics[:, 0, 0].reshape(-1, 1, 1, 1) / self._focal_px
        return disparity_to_depth(self.disparity, *self._depth_range) * focal

    @property
    def farthest(self) -> Tensor:
        """The farthest depth that the network can say of each image, [B] m."""
        return self._depth_range[1] * self.batch.intrinsics[:, 0, 0] / self._focal_px

    @cached_property
    def source_from_target(self) -> Tensor:
        """The predicted motions into the previous and the next camera, [2, B, 4, 4]."""
        count = len(self.target)
        axis_angle, translation = self.prediction.extras['axis_angle'], self.prediction.extras['translation']
        return torch.stack([pose_matrix(axis_angle[:count], translation[:count], invert=True),
                            pose_matrix(axis_angle[count:], translation[count:])])

    @cached_property
    def warped(self) -> Tensor:
        """The target view painted from each source by the depth of each scale, [scales, 2, B, 3, H, W]."""
        return self._painted(self.depth)

    @cached_property
    def warped_error(self) -> Tensor:
        """The photometric error of the warped sources, [scales, 2, B, H, W]."""
        return photometric_error(self.warped, self.target)

    @cached_property
    def identity_error(self) -> Tensor:
        """The photometric error of the sources as they are, [2, B, H, W]."""
        return photometric_error(self.sources, self.target)

    def error_of(self, depth: Tensor) -> Tensor:
        """Return the photometric error of the sources warped by another depth [B, 1, H, W] m, [2, B, H, W]."""
        return photometric_error(self._painted(depth[None]), self.target)[0]

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean over the pixels that the input shows, of values [..., B, H, W]."""
        weight = self.batch.seen.expand_as(values)
        return (values * weight).sum() / weight.sum().clamp(min=1)

    def _painted(self, depth: Tensor) -> Tensor:
        """Return the target view painted from each source by depths [N, B, 1, H, W], [N, 2, B, 3, H, W]."""
        shape = (len(depth), 2, len(self.target))
        matrices = _repeated(self.batch.intrinsics, shape, 2)
        warped, _ = warp(_repeated(self.sources, shape, 3), _repeated(depth[:, None], shape, 3), matrices, matrices,
                         _repeated(self.source_from_target, shape, 2))
        return warped.unflatten(0, shape)


def image_pairs(images: Tensor) -> Tensor:
    """Return the pairs whose motion is learned, in order of time: previous and target, then target and next.

    :param images: [B, 3, 3, H, W]: target, previous, next
    :return: [2 B, 6, H, W]
    """
    target, previous, following = images.unbind(dim=1)
    return torch.cat([torch.cat([previous, target], dim=1), torch.cat([target, following], dim=1)])


def _full_width(prediction: Prediction) -> Prediction:
    extras = {name: value.float() if isinstance(value, Tensor) else value for name, value in prediction.extras.items()}
    return Prediction(tuple(d.float() for d in prediction.disparities), prediction.logits.float(), extras)


def _repeated(tensor: Tensor, shape: tuple[int, int, int], item_dims: int) -> Tensor:
    """Return the tensor repeated over scales, sources and batch, these three in its first dimension."""
    return tensor.expand(*shape, *tensor.shape[-item_dims:]).flatten(0, 2)

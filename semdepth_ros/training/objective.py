"""What one batch of triplets asks of the network."""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from semdepth_ros.classes import CITYSCAPES
from semdepth_ros.geometry.motion import pose_matrix
from semdepth_ros.geometry.warping import warp
from semdepth_ros.losses import (edge_aware_smoothness, minimum_reprojection, photometric_error, semantic_cross_entropy,
                                 velocity_loss)
from semdepth_ros.networks import Prediction, disparity_to_depth
from semdepth_ros.training.recipe import LossWeights


def image_pairs(images: Tensor) -> Tensor:
    """Return the pairs whose motion is learned, in order of time: previous and target, then target and next.

    :param images: [B, 3, 3, H, W]: target, previous, next
    :return: [2 B, 6, H, W]
    """
    target, previous, following = images.unbind(dim=1)
    return torch.cat([torch.cat([previous, target], dim=1), torch.cat([target, following], dim=1)])


def joint_losses(prediction: Prediction, images: Tensor, batch: dict[str, Tensor], weights: LossWeights,
                 depth_range: tuple[float, float], focal_px: float) -> dict[str, Tensor]:
    """Return every weighted term and their sum, `total`; terms of weight 0 are left out.

    :param prediction: of the target images, with the motions of image_pairs as extras
    :param images: unchanged colours [B, 3, 3, H, W] in 0..1: target, previous, next
    :param batch: intrinsics [B, 3, 3], distance [B, 2] m, labels [B, H, W], confidence [B, H, W],
        seen bool [B, H, W]: false where the input shows nothing (padding, beyond the rectified image), which no term
        counts
    :param depth_range, focal_px: how disparity becomes metres
    Godard et al. 2019; velocity after Guizilini et al. 2020.
    """
    prediction = _full_width(prediction)
    target, sources = images[:, 0], images[:, 1:].transpose(0, 1)
    terms = {}
    if weights.photometric:
        warped = _warped_sources(prediction, sources, batch['intrinsics'], depth_range, focal_px)
        identity = photometric_error(sources, target) if weights.auto_mask else None
        error = minimum_reprojection(photometric_error(warped, target), identity)
        terms['photometric'] = weights.photometric * _mean_of(error, batch['seen'])
    if weights.smoothness:
        terms['smoothness'] = weights.smoothness * _smoothness(prediction.disparities, target, batch['seen'])
    if weights.velocity:
        distance = batch['distance'].transpose(0, 1).flatten()
        terms['velocity'] = weights.velocity * velocity_loss(prediction.extras['translation'], distance)
    if weights.semantic:
        terms['semantic'] = weights.semantic * semantic_cross_entropy(
            prediction.logits, batch['labels'], batch['confidence'] if weights.trust_confidence else None,
            class_weight_vector(weights, target.device), weights.label_smoothing)
    return {'total': torch.stack(list(terms.values())).sum(), **terms}


def class_weight_vector(weights: LossWeights, device: torch.device | str = 'cpu') -> Tensor | None:
    """Return the class weights [C], None where the recipe names none."""
    if not weights.class_weights:
        return None
    return torch.tensor([float(weights.class_weights.get(c.name, 1.0)) for c in CITYSCAPES], device=device)


def _mean_of(error: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of error [scales, B, H, W] over the pixels of mask [B, H, W]."""
    return (error * mask).sum() / (mask.sum() * len(error)).clamp(min=1)


def _full_width(prediction: Prediction) -> Prediction:
    extras = {name: value.float() if isinstance(value, Tensor) else value for name, value in prediction.extras.items()}
    return Prediction(tuple(d.float() for d in prediction.disparities), prediction.logits.float(), extras)


def _warped_sources(prediction: Prediction, sources: Tensor, intrinsics: Tensor, depth_range: tuple[float, float],
                    focal_px: float) -> Tensor:
    """Return the target view painted from each source by the depth of each scale, [scales, 2, B, 3, H, W]."""
    size, count = sources.shape[-2:], len(intrinsics)
    disparity = torch.stack([F.interpolate(d, size, mode='bilinear', align_corners=False)
                             for d in prediction.disparities])                        # [scales, B, 1, H, W]
    focal = intrinsics[:, 0, 0].reshape(-1, 1, 1, 1) / focal_px
    depth = disparity_to_depth(disparity, *depth_range) * focal
    axis_angle, translation = prediction.extras['axis_angle'], prediction.extras['translation']
    source_from_target = torch.stack([pose_matrix(axis_angle[:count], translation[:count], invert=True),
                                      pose_matrix(axis_angle[count:], translation[count:])])  # [2, B, 4, 4]
    shape = (len(depth), 2, count)
    matrices = _repeated(intrinsics, shape, 2)
    warped, _ = warp(_repeated(sources, shape, 3), _repeated(depth[:, None], shape, 3), matrices, matrices,
                     _repeated(source_from_target, shape, 2))
    return warped.unflatten(0, shape)


def _repeated(tensor: Tensor, shape: tuple[int, int, int], item_dims: int) -> Tensor:
    """Return the tensor repeated over scales, sources and batch, these three in its first dimension."""
    return tensor.expand(*shape, *tensor.shape[-item_dims:]).flatten(0, 2)


def _smoothness(disparities: tuple[Tensor, ...], image: Tensor, seen: Tensor) -> Tensor:
    """Return the mean over the scales of the smoothness at the scale's own size, halved from one to the next.

    A coarse pixel counts where all that it covers is seen.
    """
    terms = []
    for s, disparity in enumerate(disparities):
        size = disparity.shape[-2:]
        whole = F.interpolate(seen[:, None].to(image.dtype), size, mode='area') == 1
        terms.append(edge_aware_smoothness(disparity, F.interpolate(image, size, mode='area'), whole) / 2 ** s)
    return torch.stack(terms).mean()

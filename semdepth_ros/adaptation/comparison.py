"""Two depths of the same frames under one motion: how well each explains the neighbours."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from semdepth_ros.adaptation.factory import Classes, device_of, predict
from semdepth_ros.adaptation.triplet import Triplet
from semdepth_ros.geometry.ground_plane import fit_ground_plane
from semdepth_ros.geometry.motion import pose_matrix
from semdepth_ros.geometry.warping import warp
from semdepth_ros.losses import photometric_error
from semdepth_ros.networks import JointNetwork
from semdepth_ros.perception.decoding import most_probable

SAMPLED = 4  # every so manieth pixel tells medians


@dataclass(frozen=True)
class Compared:
    """Two networks on one triplet, the first the one that asks to be served.

    :param errors: photometric error of either; NaN where no pixel counts
    :param log_scale: median ln(first depth / second depth)
    :param log_height: ln of the ratio of the heights at which the road lies; NaN where it is not seen
    :param spread: ratio of the standard deviations of disparity
    :param finite: whether all that the first puts out is finite
    :param agreement: share of pixels that both give one class
    :param class_agreement: the same within each class of the second, by train id
    """

    errors: tuple[float, float]
    log_scale: float
    log_height: float
    spread: float
    finite: bool
    agreement: float
    class_agreement: dict[int, tuple[int, int]]


def compare(triplet: Triplet, first: JointNetwork, second: JointNetwork, classes: Classes, focal_px: float) -> Compared:
    """Hold two networks against each other on the same pixels under the same motion.

    The motion is odometry's. Without it, it is whichever of the tracked points' and the two pose networks' explains
    both depths best together, its translation rescaled to either depth by the ratio of the medians: else a better pose
    network alone would speak for a depth that has not changed.
    """
    images = triplet.images
    looks = [_look(network, images, triplet.camera.fx / focal_px) for network in (first, second)]
    depths = [look[0] for look in looks]
    finite = bool(torch.isfinite(depths[0]).all() and torch.isfinite(looks[0][1]).all())
    if not finite:
        return Compared((float('nan'),) * 2, float('nan'), float('nan'), 0.0, False, 0.0, {})
    pixels = (images.float() / 255)
    target, sources = pixels[:1], pixels[1:]
    identity = photometric_error(sources[:, None], target).amin(dim=0)[0]
    matrix = torch.from_numpy(triplet.camera.matrix.astype(np.float32)).expand(2, 3, 3)
    best = None
    for motions, reference in _motions(triplet, looks):
        errors = []
        for depth in depths:
            scaled = motions.clone()
            if reference is not None:
                scaled[:, :3, 3] *= float(depth.flatten()[::SAMPLED].median() / reference)
            warped, _ = warp(sources, depth.expand(2, -1, -1, -1), matrix, matrix, scaled)
            errors.append(photometric_error(warped[:, None], target).amin(dim=0)[0])
        total = float(sum(error.mean() for error in errors))
        if best is None or total < best[0]:
            best = total, errors
    labels = triplet.labels
    counted = triplet.seen & torch.from_numpy(~np.isin(labels, classes.weak))
    if best is None:
        return Compared((float('nan'),) * 2, float('nan'), float('nan'), 0.0, True, 1.0, {})
    counted = counted & (identity >= torch.minimum(*best[1]))
    errors = tuple(float(error[counted].mean()) if counted.any() else float('nan') for error in best[1])
    ids = [classes.train_ids[most_probable(look[1].float().contiguous())[0][0].numpy()] for look in looks]
    return Compared(errors, float((depths[0] / depths[1]).log().flatten()[::SAMPLED].median()),
                    _log_height(triplet, depths, classes),
                    float((1 / depths[0]).std() / (1 / depths[1]).std().clamp(min=1e-12)), True,
                    float((ids[0] == ids[1]).mean()),
                    {int(i): (int(((ids[0] == i) & (ids[1] == i)).sum()), int((ids[1] == i).sum()))
                     for i in np.unique(ids[1])})


def _look(network: JointNetwork, images: Tensor, factor: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return depth [1, 1, H, W], class scores, and the pose network's previous and next camera from the target."""
    depth, logits = predict(network, images[:1], factor)
    pixels = images.to(device_of(network)).float() / 255
    with torch.no_grad():
        before = network.pose(pixels[1:2], pixels[:1])
        after = network.pose(pixels[:1], pixels[2:3])
    return depth.cpu(), logits.cpu(), torch.cat([pose_matrix(*before, invert=True), pose_matrix(*after)]).cpu()


def _motions(triplet: Triplet, looks: list) -> list[tuple[Tensor, float | None]]:
    """Return the motions that may be compared under, each with the median depth that it belongs to."""
    known = np.isfinite(triplet.motions).all()
    if known and np.isfinite(triplet.distance).all():
        return [(torch.from_numpy(triplet.motions), None)]
    motions = [(torch.from_numpy(triplet.motions), float(np.median(triplet.factory_depth)))] if known else []
    return motions + [(look[2], float(look[0].flatten()[::SAMPLED].median())) for look in looks]


def _log_height(triplet: Triplet, depths: list[Tensor], classes: Classes) -> float:
    road = np.isin(triplet.labels, classes.road) & triplet.seen.numpy()
    planes = [fit_ground_plane(depth[0, 0].numpy(), road, triplet.camera) for depth in depths]
    if any(plane is None for plane in planes):
        return float('nan')
    return float(np.log(planes[0].height_m / planes[1].height_m))

"""Triplets that passed the gates, as the learner and the trials take them; and their batch."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from semdepth_ros.adaptation.evidence import Evidence
from semdepth_ros.adaptation.factory import Classes
from semdepth_ros.adaptation.view import AdaptationBatch, evidence_of
from semdepth_ros.classes import UNLABELLED
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.training.batch import TripletBatch


@dataclass(frozen=True)
class Triplet:
    """A target, its neighbours, and what is known of them.

    :param images: target, previous, next, uint8 [3, 3, H, W]
    :param camera: of the input
    :param seen: where the input shows the image, bool [H, W]
    :param motions: previous and next camera from the target, float32 [2, 4, 4]; NaN unknown
    :param distance: by odometry in the network's own metres, float32 [2]; NaN unknown
    :param factory_depth: by the factory weights, float32 [H, W] m
    :param labels: by the factory weights, uint8 [H, W] train ids
    :param features: see factory.Seen, float32 [C]
    :param depth: exact, float32 [H, W] m, +inf sky; None where it is not known
    :param number: of the target in the drive
    """

    images: Tensor
    camera: Camera
    seen: Tensor
    motions: np.ndarray
    distance: np.ndarray
    factory_depth: np.ndarray
    labels: np.ndarray
    features: np.ndarray
    depth: np.ndarray | None = None
    number: int = 0

    @property
    def grey(self) -> np.ndarray:
        """The target in grey, uint8 [H, W]."""
        return self.images[0].float().mean(dim=0).round().to(torch.uint8).numpy()


def triplet_of(evidence: Evidence, number: int) -> Triplet:
    """Return the triplet of frames whose gates are open."""
    target, seen = evidence.target, evidence.seen
    return Triplet(torch.stack([frame.image for frame in (target, *evidence.sources)]), target.camera, target.seen,
                   evidence.motions.astype(np.float32), evidence.distance.astype(np.float32), seen.depth, seen.labels,
                   seen.features, number=number)


def batch_of(triplets: list[Triplet], classes: Classes, texture_step: float, plane: np.ndarray | None = None,
             logits: Tensor | None = None, device: torch.device | str = 'cpu') -> AdaptationBatch:
    """Return the batch of triplets of one size.

    :param plane: of the road under the camera, see AdaptationBatch; anchors with exact depth need none
    """
    unknown = np.full(3, np.nan)
    planes = [unknown if plane is None or t.depth is not None else plane for t in triplets]
    size = triplets[0].labels.shape
    labels = np.stack([t.labels for t in triplets])
    depth = np.stack([np.full(size, np.nan, np.float32) if t.depth is None else t.depth for t in triplets])

    def stacked(arrays, dtype=np.float32) -> Tensor:
        return torch.from_numpy(np.stack(arrays).astype(dtype)).to(device)

    batch = TripletBatch(
        images=torch.stack([t.images for t in triplets]).to(device),
        intrinsics=stacked([t.camera.matrix for t in triplets]), distance=stacked([t.distance for t in triplets]),
        labels=torch.full((len(triplets), *size), UNLABELLED, dtype=torch.uint8, device=device),
        confidence=torch.zeros(len(triplets), *size, device=device),
        seen=torch.stack([t.seen for t in triplets]).to(device), colour=torch.zeros(len(triplets), 1, device=device),
        origin=torch.zeros(len(triplets), 4, dtype=torch.int64, device=device), depth=stacked(depth))
    return AdaptationBatch(
        batch, stacked([t.motions for t in triplets]).transpose(0, 1).contiguous(),
        stacked([evidence_of(t.grey, t.labels, classes.weak, texture_step) for t in triplets], bool),
        stacked([t.factory_depth for t in triplets])[:, None], stacked(planes),
        stacked(np.isin(labels, classes.road), bool), logits)

"""A batch taken one sample at a time, with the same gradient: shorter pieces of work on a device that others share."""
from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from semdepth_ros.adaptation.terms import TERMS
from semdepth_ros.adaptation.view import AdaptationBatch
from semdepth_ros.training.batch import TripletBatch


def one_by_one(batch: AdaptationBatch) -> Iterator[tuple[AdaptationBatch, dict[str, float]]]:
    """Yield every sample as a batch of its own, and by term the share that its loss has in that of the whole batch.

    Every term is a mean over what the batch says counts for it, so the shares are of that: pixels of evidence, of the
    road, of anchors, pairs with a known motion. What has no such count (smoothness, distance of the weights) is shared
    equally.
    """
    shares = _shares(batch)
    for i in range(len(batch.triplets.images)):
        yield _sample(batch, i), {name: float(share[i]) for name, share in shares.items()}


def _sample(batch: AdaptationBatch, i: int) -> AdaptationBatch:
    triplets = TripletBatch(*(None if part is None else part[i:i + 1] for part in batch.triplets))
    rest = {name: None if part is None else part[i:i + 1] for name, part in batch._asdict().items()
            if name not in ('triplets', 'motion')}
    return AdaptationBatch(triplets=triplets, motion=batch.motion[:, i:i + 1], **rest)


def _shares(batch: AdaptationBatch) -> dict[str, Tensor]:
    """Return by term the shares of the samples [B]; 0 for all where nothing counts."""
    triplets, seen = batch.triplets, batch.triplets.seen
    known = torch.isfinite(batch.motion).flatten(2).all(dim=-1)                                      # [2, B]
    anchors = torch.isfinite(triplets.depth).flatten(1).any(dim=1)
    equal = torch.ones(len(seen), device=seen.device)
    counts = {'photometric': _pixels(batch.evidence & seen), 'pose': known.sum(dim=0),
              'velocity': torch.isfinite(triplets.distance).sum(dim=1), 'road_plane': _pixels(_on_plane(batch)),
              'anchored': _pixels(seen) * anchors, 'semantic_distillation': _pixels(seen)}
    return {name: _normalised(counts.get(name, equal).float()) for name in TERMS}


def _on_plane(batch: AdaptationBatch) -> Tensor:
    """Return which pixels of the road have a plane in front of the camera, as the term road_plane has it."""
    return batch.road & batch.triplets.seen & torch.isfinite(batch.plane).all(dim=1)[:, None, None]


def _pixels(mask: Tensor) -> Tensor:
    return mask.flatten(1).sum(dim=1)


def _normalised(counts: Tensor) -> Tensor:
    return counts / counts.sum().clamp(min=1)

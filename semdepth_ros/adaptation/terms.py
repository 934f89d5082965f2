"""The terms of the learner's objective: those of training that need no labels, and those that hold what is known."""
from __future__ import annotations

from dataclasses import dataclass, field, fields, make_dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from semdepth_ros.adaptation.view import AdaptationView
from semdepth_ros.losses import minimum_reprojection
from semdepth_ros.training.terms import TERMS as TRAINING
from semdepth_ros.training.terms.table import Term
from semdepth_ros.training.terms.photometric import Photometric
from semdepth_ros.training.terms.velocity import Velocity
from semdepth_ros.training.terms.weight import Weighted

TURN_M = 10.0  # an error of 1 rad counts as one of so many metres


@dataclass(frozen=True)
class Anchored(Weighted):
    """How anchors hold depth.

    :param truth: share of the exact depth in what they are held to; the rest is the factory weights' depth. A few
        anchors are soon learned by heart, and exact depth is then learned at the cost of all other frames
    """

    weight: float = 0.5
    truth: float = 0.0


@dataclass(frozen=True)
class Pose(Weighted):
    """How the pose network's difference from the reference motion counts."""

    weight: float = 0.2


@dataclass(frozen=True)
class RoadPlane(Weighted):
    """How the road's difference from its plane counts.

    :param tolerance: of ln(height), within which it does not
    """

    weight: float = 0.3
    tolerance: float = 0.02


@dataclass(frozen=True)
class Distillation(Weighted):
    """How depth is held where the images say nothing of it.

    :param everywhere: weight, relative to that, of the pixels where they do
    """

    weight: float = 0.1
    everywhere: float = 0.0


@dataclass(frozen=True)
class SemanticDistillation(Weighted):
    """How classes are held where they can change."""

    weight: float = 1.0


@dataclass(frozen=True)
class WeightAnchor(Weighted):
    """How the distance from the factory weights counts."""

    weight: float = 1.0


def photometric(view: AdaptationView, settings: Photometric) -> Tensor:
    """Return the smallest photometric error where there is evidence (Godard et al. 2019, eq. 4 and 5)."""
    identity = view.identity_error if settings.auto_mask else None
    return view.evidence_mean(minimum_reprojection(view.warped_error, identity))


def pose(view: AdaptationView, settings: Pose) -> Tensor:
    """Return how far the pose network's motions are from the reference: metres, turns as TURN_M says (form ours)."""
    known = view.known.to(view.learned.dtype)
    reference = view.adaptation.motion.nan_to_num(0.0)
    shift = (view.learned[..., :3, 3] - reference[..., :3, 3]).abs().sum(dim=-1)
    turn = (view.learned[..., :3, :3] - reference[..., :3, :3]).square().sum(dim=(-1, -2)).add(1e-12).sqrt()
    return ((shift + TURN_M * turn) * known).sum() / known.sum().clamp(min=1)


def road_plane(view: AdaptationView, settings: RoadPlane) -> Tensor:
    """Return how far ln(depth) of the road is from that of its plane, beyond the tolerance (form ours).

    The plane is the one that the factory weights have seen under this camera: the road stays flat, at its height.
    """
    height, width = view.target.shape[-2:]
    matrices, plane = view.batch.intrinsics, view.adaptation.plane
    u = torch.arange(width, dtype=plane.dtype, device=plane.device)
    v = torch.arange(height, dtype=plane.dtype, device=plane.device)
    x = (u - matrices[:, 0, 2, None]) / matrices[:, 0, 0, None]                       # [B, W]
    y = (v - matrices[:, 1, 2, None]) / matrices[:, 1, 1, None]                       # [B, H]
    inverse = plane[:, 0, None, None] * x[:, None] + plane[:, 1, None, None] * y[..., None] + plane[:, 2, None, None]
    mask = view.adaptation.road & view.batch.seen & (inverse > 1e-3)                  # NaN planes fall out here
    error = (view.depth[0, :, 0].log() + torch.where(mask, inverse, 1.0).log()).abs() - settings.tolerance
    return (error.clamp(min=0) * mask).sum() / mask.sum().clamp(min=1)


def distillation(view: AdaptationView, settings: Distillation) -> Tensor:
    """Return the mean |ln depth - ln factory depth| where photometric evidence is weak (form ours)."""
    evidence, seen = view.adaptation.evidence[:, None], view.batch.seen[:, None]
    weight = torch.where(evidence, settings.everywhere, 1.0) * seen
    error = (view.depth[0].log() - view.adaptation.teacher.log()).abs()
    return (error * weight).sum() / weight.sum().clamp(min=1)


def semantic_distillation(view: AdaptationView, settings: SemanticDistillation) -> Tensor:
    """Return the Kullback-Leibler divergence of the classes from the factory weights' (Hinton et al. 2015)."""
    if view.adaptation.logits is None:
        return view.target.new_zeros(())
    mine, theirs = (x.float().log_softmax(dim=1) for x in (view.prediction.logits, view.adaptation.logits))
    return view.mean(F.kl_div(mine, theirs, log_target=True, reduction='none').sum(dim=1))


def weight_anchor(view: AdaptationView, settings: WeightAnchor) -> Tensor:
    """Return the squared distance of the trained weights from the factory's (L2-SP, Li et al. 2018)."""
    return view.target.new_zeros(()) if view.drift is None else view.drift


def anchored(view: AdaptationView, settings: Anchored) -> Tensor:
    """Return the mean |ln depth - ln depth held to| of the anchors, of every scale, halved from one to the next.

    0 in a batch without anchors (form ours).
    """
    exact = view.batch.depth[:, None]
    is_anchor = torch.isfinite(exact).flatten(1).any(dim=1)[:, None, None, None]
    mask = is_anchor & view.batch.seen[:, None]
    held = view.adaptation.teacher.log()
    if settings.truth:
        known = torch.isfinite(exact) & (exact > 0)
        held = held + settings.truth * torch.where(known, torch.where(known, exact, 1.0).log() - held, 0.0)
    total = view.target.new_zeros(())
    for s, depth in enumerate(view.depth):
        total = total + ((depth.log() - held).abs() * mask).sum() / mask.sum().clamp(min=1) / 2 ** s
    return total / 2


TERMS = {
    'photometric': Term(photometric, Photometric, neighbours=True),
    'smoothness': TRAINING['smoothness'],
    'velocity': Term(TRAINING['velocity'].function, Velocity, neighbours=True),
    'pose': Term(pose, Pose, neighbours=True),
    'road_plane': Term(road_plane, RoadPlane),
    'anchored': Term(anchored, Anchored, frozenset({'depth'})),
    'distillation': Term(distillation, Distillation),
    'semantic_distillation': Term(semantic_distillation, SemanticDistillation),
    'weight_anchor': Term(weight_anchor, WeightAnchor),
}

AdaptationLosses = make_dataclass(
    'AdaptationLosses', [(name, term.settings, field(default=term.settings())) for name, term in TERMS.items()],
    frozen=True, namespace={'__doc__': 'The settings of every term of the learner, by its name.',
                            '__module__': __name__})


def adaptation_losses(view: AdaptationView, losses: AdaptationLosses) -> dict[str, Tensor]:
    """Return the weighted terms, and their sum, `total`."""
    terms = {}
    for entry in fields(losses):
        settings = getattr(losses, entry.name)
        if settings.weight:
            terms[entry.name] = settings.weight * TERMS[entry.name].function(view, settings)
    return {'total': torch.stack([term.float() for term in terms.values()]).sum(), **terms}

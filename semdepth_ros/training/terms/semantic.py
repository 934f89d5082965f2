"""Labels teach the classes."""
from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from semdepth_ros.classes import CITYSCAPES
from semdepth_ros.losses import semantic_cross_entropy
from semdepth_ros.losses.refinement import PseudoSemantics, SemanticRefinement, pseudo_semantics
from semdepth_ros.settings import SettingsError, between
from semdepth_ros.training.terms.weight import Weighted
from semdepth_ros.training.view import View


@dataclass(frozen=True)
class Semantic(Weighted):
    """How the semantic term counts.

    :param trust_confidence: whether noisy labels are weighted by their confidence
    :param label_smoothing: share of the target class spread over all
    :param class_weights: relative weight by class name; classes not named count 1
    :param refinement: how labels are refined from its start on, without smoothing then; None leaves them as given
    """

    weight: float = 0.3
    trust_confidence: bool = True
    label_smoothing: float = 0.0
    class_weights: dict[str, float] = field(default_factory=dict)
    refinement: SemanticRefinement | None = None

    def __post_init__(self):
        super().__post_init__()
        between(self, 0, 1, 'label_smoothing')
        names = [c.name for c in CITYSCAPES]
        unknown = sorted(set(self.class_weights) - set(names))
        if unknown:
            raise SettingsError(f'class_weights names {unknown[0]!r}, expected some of {names}')
        for name, weight in self.class_weights.items():
            if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight < math.inf:
                raise SettingsError(f'class_weights gives {name} {weight!r}, expected a number of at least 0')


def semantic(view: View, settings: Semantic) -> Tensor:
    """Return the cross-entropy of the class scores over the labelled pixels."""
    labels, confidence = refined_labels(view, settings)
    smoothing = 0.0 if refines(view, settings) else settings.label_smoothing
    return semantic_cross_entropy(view.prediction.logits, labels, confidence if settings.trust_confidence else None,
                                  class_weight_vector(settings, view.target.device), smoothing)


def refines(view: View, settings: Semantic) -> bool:
    """Whether labels are refined at the view's step."""
    return settings.refinement is not None and view.step >= settings.refinement.start


def refined_labels(view: View, settings: Semantic) -> PseudoSemantics:
    """Return the labels that teach, and how far each is trusted: as given, or refined by depth and the network."""
    labels, confidence = view.batch.labels, view.batch.confidence
    if not refines(view, settings):
        return PseudoSemantics(labels, confidence)
    trusted = confidence if settings.trust_confidence else torch.ones_like(confidence)
    return pseudo_semantics(view.prediction.logits.detach(), labels, trusted, view.depth[0, :, 0].detach(),
                            settings.refinement)


def class_weight_vector(settings: Semantic, device: torch.device | str = 'cpu') -> Tensor | None:
    """Return the class weights [C], None where none are named."""
    if not settings.class_weights:
        return None
    return torch.tensor([float(settings.class_weights.get(c.name, 1.0)) for c in CITYSCAPES], device=device)

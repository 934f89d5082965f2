"""Which images an arm of an experiment does not learn from."""
from __future__ import annotations

from dataclasses import dataclass

from semdepth_ros.settings import one_of
from semdepth_ros.training.filtering.rule import LABEL_KINDS, FilterRule, label_kind
from semdepth_ros.training.recipe import Recipe


@dataclass(frozen=True)
class ArmFilter:
    """Which images an arm does not learn from: those where another arm's model of the same seed has holes in the road.

    :param by: the other arm
    :param labels: whose classes say where road is, one of LABEL_KINDS; None for the model's where that arm learns
        classes, else the data's
    """

    by: str
    labels: str | None = None
    rule: FilterRule = FilterRule()

    def __post_init__(self):
        if self.labels is not None:
            one_of('labels', self.labels, LABEL_KINDS)

    def road_by(self, by: Recipe, recipe: Recipe) -> str:
        """Return whose classes say where road is.

        :param by: what the other arm is trained by; recipe: the arm's own
        :raises RecipeError: nothing says it
        """
        return self.labels or label_kind(by, recipe.data[0])

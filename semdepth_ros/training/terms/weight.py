"""What the settings of every term begin with: how much it counts, and from which step on."""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from semdepth_ros.settings import between


@dataclass(frozen=True)
class Weighted:
    """The weight of a term. A recipe may write the number alone: `photometric: 1.0`.

    :param weight: 0 switches the term off
    :param start: the first step at which it counts
    :param ramp: steps over which it then rises to its weight along a line
    """

    short_form: ClassVar[str] = 'weight'

    weight: float = 0.0
    start: int = 0
    ramp: int = 0

    def __post_init__(self):
        between(self, 0, math.inf, 'weight', 'start', 'ramp')

    def weight_at(self, step: int) -> float:
        """Return how much the term counts at this step."""
        if step < self.start:
            return 0.0
        return self.weight * min((step - self.start + 1) / (self.ramp + 1), 1.0)

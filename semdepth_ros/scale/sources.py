"""Where the factor from the network's depth to metres comes from: nowhere, a number, or what is perceived."""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from semdepth_ros.frame_perception import Perception, Scale


class ScaleSource(Protocol):
    """Knows the scale, and may learn from what is perceived with it.

    Its owner hands the scale in with every frame and has the source observe what came of it, before that is published.
    """

    @property
    def scale(self) -> Scale:
        """The scale for the next frame."""

    @property
    def doubt(self) -> str:
        """Why depth is not metric, in words; empty where it is."""

    def observe(self, perception: Perception) -> Perception:
        """Take note of a frame that was perceived with `scale`; return it, not metric where it speaks against that."""


@dataclass(frozen=True)
class GivenScale:
    """A scale that somebody else knows; by default none: 1, not metric.

    :param why: why it is not metric, where it is not
    """

    scale: Scale = Scale()
    why: str = 'nobody says the scale'

    @property
    def doubt(self) -> str:
        """Why depth is not metric, in words; empty where it is."""
        return '' if self.scale.metric else self.why

    def observe(self, perception: Perception) -> Perception:
        """Return the frame as it is."""
        return perception


def fixed_scale(value: float) -> GivenScale:
    """Return the source of a scale that was measured once.

    :raises ValueError: the value is not positive and finite
    """
    expect_positive(value, 'scale')
    return GivenScale(Scale(float(value), 0.0, True))


def expect_positive(value: float, what: str) -> None:
    """Raise ValueError unless a value is positive and finite."""
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f'{what} is {value}, expected a positive number')

"""Promoted weights on probation: the previous ones go on running on some frames, and come back if they are better."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semdepth_ros.adaptation.settings import Watch
from semdepth_ros.adaptation.signed_rank import p_of_positive


@dataclass(frozen=True)
class WatchReport:
    """What the watch has seen so far.

    :param comparisons: how many frames both weights were run on
    :param loss: median relative loss of photometric error since the promotion
    :param p: of the signed-rank test that the promoted weights are worse
    :param regressed: whether the previous ones are to be served again
    :param over: whether the probation has been passed
    """

    comparisons: int
    loss: float
    p: float
    regressed: bool
    over: bool

    @property
    def words(self) -> str:
        """In one line."""
        return (f'photometric error is {100 * self.loss:+.2f} % against the previous weights on {self.comparisons} '
                f'frames (p {self.p:.3f})')


class Probation:
    """Counts the accepted triplets after a promotion."""

    def __init__(self, settings: Watch):
        self.settings, self._losses, self._seen = settings, [], 0

    @property
    def wants(self) -> bool:
        """Whether the next accepted triplet is to be seen by both weights."""
        return self._seen % self.settings.every == 0

    def take(self, errors: tuple[float, float] | None) -> WatchReport:
        """Take note of one accepted triplet.

        :param errors: of the promoted and of the previous weights, None where only one has run
        """
        self._seen += 1
        if errors is not None and np.isfinite(errors).all() and errors[1] > 0:
            self._losses.append(errors[0] / errors[1] - 1)
        settings, losses = self.settings, np.array(self._losses)
        loss = float(np.median(losses)) if len(losses) else 0.0
        p = p_of_positive(losses) if len(losses) else 1.0
        regressed = len(losses) >= settings.least and p < settings.level and loss > settings.most_loss
        return WatchReport(len(losses), loss, p, regressed, self._seen >= settings.frames and not regressed)

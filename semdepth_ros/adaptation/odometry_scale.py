"""The ratio of odometry's metres to the network's own."""
from __future__ import annotations

import math
from collections import deque

import numpy as np


class OdometryScale:
    """The median of what the accepted frames said; it takes a few before anything rests on it.

    Depth in metres is the network's times this value. It is not learned from frames whose odometry contradicts it, so
    that odometry that begins to lie does not carry it along.

    :param least: pairs that tell it
    :param memory: newest pairs that count
    """

    def __init__(self, least: int = 8, memory: int = 100):
        self.least, self._logs = least, deque(maxlen=memory)

    def __len__(self) -> int:
        """Return how many pairs have told it."""
        return len(self._logs)

    @property
    def ready(self) -> bool:
        """Whether enough pairs have told it."""
        return len(self._logs) >= max(self.least, 1)

    @property
    def value(self) -> float:
        """Odometry's metres over the network's; 1 before any pair."""
        return math.exp(float(np.median(self._logs))) if self._logs else 1.0

    @property
    def spread(self) -> float:
        """Robust standard deviation of the pairs' ln(scale); infinite before there are two."""
        if len(self._logs) < 2:
            return math.inf
        return float(1.4826 * np.median(np.abs(np.array(self._logs) - np.median(self._logs))))

    def take(self, log_scales: list[float]) -> None:
        """Take what one triplet's pairs said."""
        self._logs.extend(value for value in log_scales if math.isfinite(value))

    def clear(self) -> None:
        """Forget everything."""
        self._logs.clear()

"""Whether a camera sees something new: frames of one view are not independent of each other."""
from __future__ import annotations

import numpy as np

from semdepth_ros.classes import CITYSCAPES, SKY, UNLABELLED, SemanticClass
from semdepth_ros.frame_perception import Perception

ROWS, COLUMNS = 24, 64  # of the grid of pixels that are compared
LEAST_PIXELS = 16       # that stand upright in both views
CHANGE = 0.1            # of ln(depth), or another class: the pixel shows something else
SHARE = 0.25            # of pixels that show something else
LEAST_S = 0.3           # from one fresh view to the next


class FreshView:
    """Compares what stands still and upright in the world, on a coarse grid, with the last view that was fresh.

    A camera that stands sees the same again, however much drives past it; a moving one sees other depths and classes
    in a quarter of these pixels after two to five metres, while road looks the same from everywhere (form ours).
    """

    def __init__(self, classes: tuple[SemanticClass, ...] = CITYSCAPES):
        self._upright = np.ones(256, dtype=bool)
        self._upright[[c.train_id for c in classes if c.movable or c.ground] + [SKY, UNLABELLED]] = False
        self._last: tuple[np.ndarray, np.ndarray] | None = None
        self._stamp_ns = 0

    def is_fresh(self, perception: Perception) -> bool:
        """Return whether this frame shows another view than the last fresh one; it then is that."""
        if self._last is not None and abs(perception.stamp_ns - self._stamp_ns) < LEAST_S * 1e9:
            return False
        view = self._view(perception)
        if self._last is not None and view[0].shape == self._last[0].shape and not self._differs(view):
            return False
        self._last, self._stamp_ns = view, perception.stamp_ns
        return True

    def _view(self, perception: Perception) -> tuple[np.ndarray, np.ndarray]:
        grid = np.ix_(*(np.linspace(0, size - 1, min(size, count + 2)).round().astype(int)[1:-1]
                        for size, count in zip(perception.labels.shape, (ROWS, COLUMNS))))
        with np.errstate(divide='ignore', invalid='ignore'):
            return np.log(perception.depth[grid] / perception.scale.value), perception.labels[grid]

    def _differs(self, view: tuple[np.ndarray, np.ndarray]) -> bool:
        (depth, labels), (last_depth, last_labels) = view, self._last
        both = self._upright[labels] & self._upright[last_labels] & np.isfinite(depth) & np.isfinite(last_depth)
        if np.count_nonzero(both) < LEAST_PIXELS:
            return False
        change = depth[both] - last_depth[both]
        change -= np.median(change)  # a network's depth flickers as a whole
        return bool(np.mean((np.abs(change) > CHANGE) | (labels[both] != last_labels[both])) >= SHARE)

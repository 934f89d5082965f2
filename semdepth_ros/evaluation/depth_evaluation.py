"""The depth of one sequence against its truth: scaled in three ways, by class and by range."""
from __future__ import annotations

import tempfile
from collections.abc import Iterator

import cv2
import numpy as np

from semdepth_ros.classes import CITYSCAPES
from semdepth_ros.evaluation.depth_metrics import MAX_DEPTH_M, clamped, depth_errors, evaluated_pixels, mean_errors

RANGES_M = ((0, 10), (10, 20), (20, 40), (40, 80))
SCALINGS = ('median_scaled', 'one_scale', 'unscaled')


class DepthEvaluation:
    """Takes one frame after the other; what it holds does not grow with the length of the sequence.

    `median_scaled` multiplies each frame's prediction by median(truth) / median(prediction), `one_scale` all frames by
    the median of those ratios, `unscaled` by nothing. Then predictions are clamped to the evaluated range. The figures
    are means over frames (Eigen et al. 2014, as Godard et al. 2019 evaluate); by class and by range, over pixels.
    """

    def __init__(self):
        self._median_scaled: list[dict[str, float]] = []
        self._unscaled: list[dict[str, float]] = []
        self._ratios: list[float] = []
        self._frames = self._evaluated = self._covered = 0
        self._pixels = tempfile.TemporaryFile()
        self._by_class = {name: _Groups(len(CITYSCAPES)) for name in ('median_scaled', 'unscaled')}
        self._by_range = {name: _Groups(len(RANGES_M)) for name in ('median_scaled', 'unscaled')}

    def add(self, predicted: np.ndarray, truth: np.ndarray, labels: np.ndarray | None = None) -> None:
        """Compare one frame.

        :param predicted: [h, w] m; NaN counts as missing, +inf as the farthest depth; another size takes nearest pixels
        :param truth: [H, W] m; NaN no truth, +inf sky (not evaluated)
        :param labels: classes [H, W] to tell errors by, None where not known
        """
        mask = evaluated_pixels(truth)
        predicted = resized_nearest(predicted, truth.shape)
        covered = mask & ~np.isnan(predicted)
        self._frames += bool(mask.any())
        self._evaluated += int(mask.sum())
        self._covered += int(covered.sum())
        if not covered.any():
            return
        p, t = predicted[covered].astype(np.float64), truth[covered].astype(np.float64)
        ratio = scale_ratio(p, t)
        scaled, plain = clamped(p * ratio), clamped(p)
        self._ratios.append(ratio)
        self._median_scaled.append(depth_errors(scaled, t))
        self._unscaled.append(depth_errors(plain, t))
        np.save(self._pixels, np.stack([p, t]).astype(np.float32))
        ranges = np.searchsorted([high for _, high in RANGES_M[:-1]], t, side='right')
        for name, depth in (('median_scaled', scaled), ('unscaled', plain)):
            errors = pixel_errors(depth, t)
            self._by_range[name].add(ranges, errors)
            if labels is not None:
                self._by_class[name].add(labels[covered], errors)

    @property
    def frames(self) -> int:
        """How many frames had true depth."""
        return self._frames

    @property
    def pixels(self) -> int:
        """How many pixels of true depth were evaluated."""
        return self._evaluated

    @property
    def scale_ratio(self) -> dict[str, float] | None:
        """The median of median(truth) / median(prediction) over frames, and their deviation; None without any."""
        if not self._ratios:
            return None
        ratios = np.array(self._ratios)
        return {'median': float(np.median(ratios)), 'std_over_mean': float(ratios.std() / ratios.mean())}

    def errors(self, scaling: str) -> dict[str, float]:
        """Return the seven figures so far; `one_scale` goes through all frames again, the others cost nothing.

        :param scaling: median_scaled, one_scale or unscaled
        :raises ValueError: not one evaluated pixel was predicted
        """
        if not self._ratios:
            raise ValueError('no pixel of true depth was predicted')
        if scaling == 'one_scale':
            factor = float(np.median(self._ratios))
            return mean_errors([depth_errors(clamped(p * factor), t) for p, t in self._kept()])
        return mean_errors({'median_scaled': self._median_scaled, 'unscaled': self._unscaled}[scaling])

    def result(self) -> dict:
        """Return the sequence's `depth`, and `depth_by_class` and `depth_by_range` where there are any.

        Empty without truth; `depth` has only `coverage` and `frames` where not one evaluated pixel was predicted.
        """
        if not self._evaluated:
            return {}
        depth = {'coverage': self._covered / self._evaluated, 'frames': self._frames}
        if not self._ratios:
            return {'depth': depth}
        depth = {**{scaling: self.errors(scaling) for scaling in SCALINGS}, 'scale_ratio': self.scale_ratio, **depth}
        ranges = [f'{low}-{high} m' for low, high in RANGES_M]
        tables = {'depth_by_class': {n: g.table([c.name for c in CITYSCAPES]) for n, g in self._by_class.items()},
                  'depth_by_range': {n: g.table(ranges) for n, g in self._by_range.items()}}
        return {'depth': depth, **{name: table for name, table in tables.items() if table['unscaled']}}

    def _kept(self) -> Iterator[np.ndarray]:
        self._pixels.seek(0)
        for _ in self._ratios:
            yield np.load(self._pixels).astype(np.float64)
        self._pixels.seek(0, 2)


class _Groups:
    """Sums of errors by group of pixels."""

    def __init__(self, groups: int):
        self.sums = np.zeros((4, groups))

    def add(self, group: np.ndarray, errors: tuple[np.ndarray, ...]) -> None:
        """Add pixels; those of a group that does not exist are left out."""
        count = self.sums.shape[1]
        group = np.minimum(group, count).astype(np.intp)
        for row, weights in zip(self.sums, (None, *errors)):
            row += np.bincount(group, weights, minlength=count + 1)[:count]

    def table(self, names: list[str]) -> dict[str, dict[str, float]]:
        """Return abs_rel, rmse, d1 and the share of all pixels, by the name of each group that has pixels."""
        pixels = self.sums[0]
        return {name: {'abs_rel': float(rel / n), 'rmse': float(np.sqrt(square / n)), 'd1': float(near / n),
                       'share': float(n / pixels.sum())}
                for name, n, rel, square, near in zip(names, *self.sums) if n}


def pixel_errors(predicted: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return |error| / truth, error^2 and whether the ratio is below 1.25, of every pixel."""
    error = predicted - truth
    return np.abs(error) / truth, error ** 2, np.maximum(predicted / truth, truth / predicted) < 1.25


def scale_ratio(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Return median(truth) / median(predicted); a median of +inf counts as the farthest depth, one below 1 um as that."""
    median = float(np.median(predicted))
    return float(np.median(truth)) / (max(median, 1e-6) if np.isfinite(median) else MAX_DEPTH_M)


def resized_nearest(array: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return [h, w] resized to shape, every pixel the nearest one; itself where it has that shape."""
    if array.shape == tuple(shape):
        return array
    return cv2.resize(array, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST_EXACT)

"""What any network has to beat: a constant, and what a pixel's height in the image alone tells of depth and class."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from semdepth_ros.classes import CITYSCAPES, UNLABELLED
from semdepth_ros.data import Sequence, rectified
from semdepth_ros.evaluation.depth_metrics import evaluated_pixels
from semdepth_ros.evaluation.protocol import spread
from semdepth_ros.frame import Frame
from semdepth_ros.geometry.camera import Camera

KINDS = ('constant', 'row')
BANDS = 96
_BINS_M = np.concatenate((np.geomspace(0.001, 0.1, 706)[:-1], np.geomspace(0.1, 80.0, 1025)))   # [m]


@dataclass(frozen=True)
class Prior:
    """What is perceived without looking: depth float32 [H, W] m, labels uint8 [H, W], and their camera."""

    depth: np.ndarray
    labels: np.ndarray
    camera: Camera | None


class Baseline:
    """Depth and class as a function of the row alone; a perceptor for evaluate.

    :param depth_m: depth from the top of the image to its bottom, at evenly spaced rows [bands]
    :param labels: uint8 [bands], 255 where no label was seen
    """

    def __init__(self, depth_m: np.ndarray, labels: np.ndarray):
        self.depth_m, self.labels = depth_m, labels

    def perceive(self, frame: Frame) -> Prior:
        """Return the prior at the frame's size."""
        place = (np.arange(frame.height) + 0.5) / frame.height * len(self.depth_m) - 0.5
        depth = np.interp(place, np.arange(len(self.depth_m)), self.depth_m).astype(np.float32)
        labels = self.labels[np.clip(np.rint(place), 0, len(self.labels) - 1).astype(int)]
        depth, labels = (np.repeat(column[:, None], frame.width, axis=1) for column in (depth, labels))
        return Prior(depth, labels, frame.camera)


def check_baseline(kind: str) -> None:
    """Check the name of a baseline.

    :raises ValueError: there is no such baseline
    """
    if kind not in KINDS:
        raise ValueError(f'baseline is {kind!r}, expected one of {", ".join(KINDS)}')


def fit_baseline(kind: str, sequences: Iterable[Sequence], frames: int = 50) -> Baseline:
    """Fit a baseline on sequences with true depth: medians of depth, the most frequent class where labels are known.

    `constant` is one value for the whole image, `row` one for each of BANDS bands of rows; a band without truth takes
    those of its neighbours. Medians are exact to 0.7 % (a histogram keeps them).

    :param frames: how many frames of each sequence to look at, spread evenly
    :raises ValueError: unknown kind, or no true depth in the sequences
    """
    check_baseline(kind)
    bands = 1 if kind == 'constant' else BANDS
    depths, classes = np.zeros((bands, len(_BINS_M) - 1)), np.zeros((bands, len(CITYSCAPES)))
    for sequence in map(rectified, sequences):
        for index in spread(sequence, frames):
            sample = sequence[index]
            if sample.depth is not None:
                rows, columns = np.nonzero(evaluated_pixels(sample.depth))
                _count(depths, rows / sample.depth.shape[0], np.digitize(sample.depth[rows, columns], _BINS_M) - 1)
            if sample.labels is not None:
                rows, columns = np.nonzero(sample.labels < len(CITYSCAPES))
                _count(classes, rows / sample.labels.shape[0], sample.labels[rows, columns])
    if not depths.any():
        raise ValueError(f'baseline {kind!r} has no true depth to be fitted on')
    return Baseline(_filled(_medians(depths)), _most_frequent(classes))


def _count(table: np.ndarray, height: np.ndarray, value: np.ndarray) -> None:
    bands, values = table.shape
    flat = (height * bands).astype(int) * values + np.clip(value, 0, values - 1)
    table += np.bincount(flat, minlength=bands * values).reshape(bands, values)


def _medians(depths: np.ndarray) -> np.ndarray:
    reached = np.cumsum(depths, axis=1) >= 0.5 * depths.sum(axis=1, keepdims=True)
    middles = np.sqrt(_BINS_M[:-1] * _BINS_M[1:])
    return np.where(depths.any(axis=1), middles[reached.argmax(axis=1)], np.nan)


def _filled(values: np.ndarray) -> np.ndarray:
    known = np.flatnonzero(~np.isnan(values))
    return np.interp(np.arange(len(values)), known, values[known])


def _most_frequent(classes: np.ndarray) -> np.ndarray:
    known = np.flatnonzero(classes.any(axis=1))
    if not len(known):
        return np.full(len(classes), UNLABELLED, dtype=np.uint8)
    nearest = known[np.abs(np.arange(len(classes))[:, None] - known).argmin(axis=1)]
    return classes[nearest].argmax(axis=1).astype(np.uint8)

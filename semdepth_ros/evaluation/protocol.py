"""Whole sequences through a perceptor, and everything that is measured on the way."""
from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np

from semdepth_ros.data import Sample, Sequence, rectified
from semdepth_ros.evaluation.depth_evaluation import DepthEvaluation, resized_nearest
from semdepth_ros.evaluation.semantic_metrics import confusion_matrix, semantic_scores
from semdepth_ros.frame import Frame
from semdepth_ros.geometry.camera import Camera

PROTOCOL = {
    'depth range': 'True depth between 0.001 and 80 m. Scaled predictions are clamped to that; +inf counts as 80 m.',
    'crop': "The crop of Garg et al. 2016 on images of KITTI's shape (3.2 to 3.4 times as wide as high), else none.",
    'median_scaled': 'Every frame multiplied by median(truth) / median(prediction): says nothing about metres.',
    'one_scale': 'All frames of a sequence multiplied by the median of those ratios; std_over_mean is their flicker.',
    'unscaled': 'The metres as they were perceived.',
    'means': 'The seven figures are computed for each frame and averaged over frames; by class and range over pixels.',
    'coverage': 'Pixels predicted as invalid (NaN) are left out; coverage is the share of evaluated pixels left.',
    'classes': 'IoU of every class that occurs in the truth, over all frames together; mIoU is their mean. Unlabelled '
               'pixels are left out; a pixel without a predicted class is wrong.',
    'sizes': 'Outputs of another size than the truth take the nearest pixel; distorted frames are rectified first.',
    'latency': 'Wall-clock time of one frame through the perceptor, image in memory, after one that is not timed.',
}
LOGGER = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]


class Perceived(Protocol):
    """What is looked at of a Perception: depth [H, W] m, labels uint8 [H, W], and their camera."""

    depth: np.ndarray
    labels: np.ndarray
    camera: Camera | None


class FramePerceptor(Protocol):
    """What is evaluated: a network, or a baseline."""

    def perceive(self, frame: Frame) -> Perceived:
        """Perceive one frame."""


class Keeper(Protocol):
    """What may look at single frames on the way, such as a report's album."""

    def offer(self, sequence: str, index: int, count: int, sample: Sample, perception: Perceived) -> None:
        """Look at frame index of count."""


class SequenceEvaluation:
    """The measurements of one sequence; takes what was perceived from wherever it comes."""

    def __init__(self, name: str):
        self.name = name
        self._frames = 0
        self._latencies_ms: list[float] = []
        self._class_source: set[str] = set()
        self.depth = DepthEvaluation()
        self._confusion, self._labelled = {'labels': 0, 'noisy_labels': 0}, {'labels': 0, 'noisy_labels': 0}
        self._predicted_any, self._left_out = False, Counter()

    def add(self, sample: Sample, perception: Perceived, latency_ms: float | None = None) -> None:
        """Compare one frame with whatever truth its sample has."""
        self._frames += 1
        if latency_ms is not None:
            self._latencies_ms.append(latency_ms)
        if sample.depth is not None:
            classes = sample.noisy_labels if sample.labels is None else sample.labels
            if classes is not None:
                self._class_source.add('noisy labels' if sample.labels is None else 'true labels')
            self.depth.add(perception.depth, sample.depth, classes)
        for part in self._confusion:
            truth = getattr(sample, part)
            if truth is not None:
                predicted = resized_nearest(perception.labels, truth.shape)
                matrix = confusion_matrix(predicted, truth)
                self._confusion[part] = self._confusion[part] + matrix
                self._labelled[part] += bool(matrix.any())
                self._predicted_any |= bool(matrix[:, :-1].any())

    def leave_out(self, reason: object) -> None:
        """Count a frame that cannot be compared, by the reason."""
        reason = str(reason)
        if reason not in self._left_out:
            LOGGER.warning('%s: a frame is left out: %s', self.name, reason)
        self._left_out[reason] += 1

    def result(self) -> dict:
        """Return the sequence's part of the JSON contract; parts without truth are left out."""
        result = {'name': self.name, 'frames': self._frames, **self.depth.result()}
        if self._left_out:
            result['left_out'] = dict(self._left_out)
        if 'depth_by_class' in result:
            source = ' and '.join(sorted(self._class_source))
            result['depth_by_class'] = {'classes_from': source, **result['depth_by_class']}
        for part, key in (('labels', 'semantics'), ('noisy_labels', 'agreement_with_noisy_labels')):
            scores = self.semantics(part)
            if scores:
                result[key] = scores
        if self._latencies_ms:
            result['latency_ms'] = self.latency_ms()
        return result

    def semantics(self, part: str = 'labels') -> dict | None:
        """Return the scores so far against true labels, or `noisy_labels`; None where there is no such truth."""
        if not self._predicted_any or not np.any(self._confusion[part]):
            return None
        return {**semantic_scores(self._confusion[part]), 'frames': self._labelled[part]}

    def latency_ms(self) -> dict[str, float]:
        """Return the percentiles p50, p95 and p99 of the frames' latencies, NaN without any."""
        values = np.percentile(self._latencies_ms, (50, 95, 99)) if self._latencies_ms else (np.nan,) * 3
        return {name: float(value) for name, value in zip(('p50', 'p95', 'p99'), values)}


def evaluate(perceptor: FramePerceptor, sequences: Iterable[Sequence], model: str = '', max_frames: int | None = None,
             keeper: Keeper | None = None, progress: Progress | None = None) -> dict:
    """Perceive every frame of every sequence and return the JSON contract: model, protocol, sequences.

    :param model: what the result calls the perceptor
    :param max_frames: perceive at most so many frames of a sequence, spread evenly
    :param keeper: is offered every frame
    :param progress: is called with the sequence's name, frames done, frames in all
    """
    results = [evaluate_sequence(perceptor, sequence, max_frames, keeper, progress) for sequence in sequences]
    return {'model': model, 'protocol': PROTOCOL, 'sequences': results}


def evaluate_sequence(perceptor: FramePerceptor, sequence: Sequence, max_frames: int | None = None,
                      keeper: Keeper | None = None, progress: Progress | None = None) -> dict:
    """Perceive one sequence and return its part of the JSON contract; see evaluate.

    :raises ValueError: not one frame can be read; single ones that cannot are left out and counted
    """
    sequence, evaluation, warm = rectified(sequence), SequenceEvaluation(sequence.name), False
    indices = spread(sequence, max_frames)
    for done, index in enumerate(indices):
        try:
            sample = sequence[index]
        except ValueError as error:
            evaluation.leave_out(error)
            continue
        frame = Frame(sample.image, 'rgb', sample.camera, sample.stamp_ns)
        if not warm:
            perceptor.perceive(frame)
            warm = True
        started = time.perf_counter()
        perception = perceptor.perceive(frame)
        evaluation.add(sample, perception, 1e3 * (time.perf_counter() - started))
        if keeper:
            keeper.offer(sequence.name, done, len(indices), sample, perception)
        if progress:
            progress(sequence.name, done + 1, len(indices))
    result = evaluation.result()
    if not result['frames'] and result.get('left_out'):
        reason = next(iter(result['left_out']))
        raise ValueError(f'{sequence.name}: not one of {len(indices)} frames can be read: {reason}')
    return result


def with_truth(part: dict) -> str:
    """Return how many frames a part of a result stands on, such as ' (2 frames with truth)'."""
    return f' ({part["frames"]} frame{"s" if part["frames"] != 1 else ""} with truth)'


def spread(sequence: Sequence, most: int | None) -> list[int]:
    """Return at most so many frame numbers, spread evenly, first and last among them.

    Where the sequence says which of its frames have truth, only those are chosen from as soon as most is less than all.

    :raises ValueError: most is not positive
    """
    if most is None or most >= len(sequence):
        return list(range(len(sequence)))
    if most < 1:
        raise ValueError(f'at most {most} frames were asked for, expected at least 1')
    frames = getattr(sequence, 'frames_with_truth', None) or range(len(sequence))
    return [frames[i] for i in np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int)]

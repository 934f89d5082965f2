"""Triplets of consecutive frames, drawn as a pure function of the seed and their number."""
from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from semdepth_ros.classes import UNLABELLED
from semdepth_ros.data import covered, rectified_sample
from semdepth_ros.data.sample import Sample, Sequence
from semdepth_ros.training.appearance import draw_colour
from semdepth_ros.training.augmentation import draw_window
from semdepth_ros.training.recipe import Augmentation, DataEntry, RecipeError
from semdepth_ros.training.targets import find_targets

# what a random draw is for: keeps the streams of a run apart
_SIZE_DRAW, _TRIPLET_DRAW = 1, 2
# what of a sample the labels of an entry are
LABEL_PARTS = {'true': 'labels', 'noisy': 'noisy_labels'}
# how many frames are read to see whether there are labels, where frames are not cached
_LOOKED_AT = 8


class CachedSequence:
    """A sequence held in memory, without the truth that training does not look at."""

    def __init__(self, sequence: Sequence, progress: Callable[[Iterable], Iterable] = iter):
        self.name, self.camera = sequence.name, sequence.camera
        self.stamps_ns, self.poses = sequence.stamps_ns, sequence.poses
        self._samples = [replace(sequence[i], depth=None) for i in progress(range(len(sequence)))]

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[index]


@dataclass(frozen=True)
class TripletSource:
    """The sequences of one data entry, and the targets in them that have neighbours on both sides.

    :param targets: int [N, 3]: sequence, frame, stride
    :param left_out: how many were left out, by reason
    :param travel_known: whether the length of the camera's way is known in some triplet
    """

    entry: DataEntry
    sequences: list[Sequence]
    targets: np.ndarray
    left_out: dict[str, int]
    travel_known: bool

    def said_of_left_out(self) -> str:
        """Return how many triplets were left out and why, in one line; '' where none was."""
        total = len(self.targets) + sum(self.left_out.values())
        return _said(self.left_out) and f'{self.entry.source}: of {total} triplets are left out {_said(self.left_out)}'


def open_entry(entry: DataEntry, open_data: Callable[..., list[Sequence]]) -> list[Sequence]:
    """Open the sequences of a data entry; a pattern opens every path it matches, in order."""
    paths = sorted(glob.glob(entry.source)) if any(c in entry.source for c in '*?[') else [entry.source]
    if not paths:
        raise RecipeError(f'no data matches {entry.source!r}')
    return [sequence for path in paths for sequence in open_data(path, **entry.options)]


def triplet_source(entry: DataEntry, sequences: list[Sequence], progress: Callable = iter) -> TripletSource:
    """Cache the sequences as the entry says and list the targets that can be trained on (see find_targets).

    :raises RecipeError: there are none
    """
    if entry.cache == 'ram':
        sequences = [CachedSequence(sequence, progress) for sequence in sequences]
    found = [(s, stride, find_targets(sequence, stride, entry.min_distance_m))
             for s, sequence in enumerate(sequences) for stride in entry.strides]
    left_out = sum((Counter(targets.left_out) for _, _, targets in found), Counter())
    numbers = [(s, frame, stride) for s, stride, targets in found for frame in targets.frames.tolist()]
    if not numbers:
        raise RecipeError(f'{entry.source!r} has no frame with moving neighbours {list(entry.strides)} frames away'
                          + (left_out and f'; left out: {_said(left_out)}' or ''))
    return TripletSource(entry, sequences, np.array(numbers), dict(left_out), any(t.travel_known for _, _, t in found))


def labelled_share(source: TripletSource) -> float:
    """Return the share of the targets whose frames have the labels asked for, of a few where frames are not cached."""
    entry, targets = source.entry, np.unique(source.targets[:, :2], axis=0)
    if entry.cache == 'none' and len(targets) > _LOOKED_AT:
        targets = targets[np.linspace(0, len(targets) - 1, _LOOKED_AT).astype(int)]
    part = LABEL_PARTS[entry.labels]
    return np.mean([getattr(source.sequences[s][frame], part) is not None for s, frame in targets.tolist()])


class TripletDataset(Dataset):
    """Triplets by number: number n belongs to step n // (batch * processes), and is the same on every machine.

    An item is a dict of tensors:
    images uint8 [3, 3, H, W] (target, previous, next), intrinsics float32 [3, 3], distance float32 [2] m
    (previous to target, target to next; NaN unknown), labels uint8 [H, W], confidence float32 [H, W] in 0..1,
    seen bool [H, W] (neither padding nor beyond the image that was rectified), colour float32 [7],
    origin int64 [4] (source, sequence, frame, stride).
    """

    def __init__(self, sources: list[TripletSource], sizes: tuple[tuple[int, int], ...], knobs: Augmentation,
                 seed: int, step_size: int, length: int):
        self.sources, self.sizes, self.knobs = sources, sizes, knobs
        self.seed, self.step_size, self.length = seed, step_size, length
        weights = np.array([source.entry.weight for source in sources], dtype=np.float64)
        self._shares = np.cumsum(weights / weights.sum())

    @property
    def travel_known(self) -> bool:
        """Whether the length of the camera's way is known in some triplet."""
        return any(source.travel_known for source in self.sources)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Draw, read, cut and describe one triplet."""
        step = number // self.step_size
        size = self.sizes[np.random.default_rng([self.seed, _SIZE_DRAW, step]).integers(len(self.sizes))]
        rng = np.random.default_rng([self.seed, _TRIPLET_DRAW, number])
        which = min(int(np.searchsorted(self._shares, rng.random(), side='right')), len(self.sources) - 1)
        source = self.sources[which]
        sequence, frame, stride = source.targets[rng.integers(len(source.targets))].tolist()
        taken = [source.sequences[sequence][i] for i in (frame, frame - stride, frame + stride)]
        frames = [rectified(sample) for sample in taken]
        window = draw_window(frames[0].camera, size, self.knobs, rng)
        labels, confidence = _labels(frames[0], source.entry.labels)
        images = np.stack([window.image(sample.image) for sample in frames]).transpose(0, 3, 1, 2)
        return {
            'images': torch.from_numpy(np.ascontiguousarray(images)),
            'intrinsics': torch.from_numpy(window.camera(frames[0].camera).matrix.astype(np.float32)),
            'distance': torch.tensor([_distance(frames[1], frames[0]), _distance(frames[0], frames[2])]),
            'labels': torch.from_numpy(window.labels(labels)),
            'confidence': torch.from_numpy(window.labels(confidence)).float() / 255,
            'seen': torch.from_numpy(window.labels(covered(taken[0].camera), padding=0)) > 0,
            'colour': torch.from_numpy(draw_colour(self.knobs, rng)),
            'origin': torch.tensor([which, sequence, frame, stride]),
        }


def _said(counts: dict[str, int]) -> str:
    return ', '.join(f'{count} {reason}' for reason, count in counts.items())


def _distance(first: Sample, second: Sample) -> float:
    if first.pose is None or second.pose is None:
        return float('nan')
    return float(np.linalg.norm(second.pose[:3, 3] - first.pose[:3, 3]))


def _labels(sample: Sample, kind: str) -> tuple[np.ndarray, np.ndarray]:
    labels = getattr(sample, LABEL_PARTS[kind]) if kind in LABEL_PARTS else None
    certain = np.full(sample.image.shape[:2], 255, dtype=np.uint8)
    if labels is None:
        return np.full_like(certain, UNLABELLED), certain
    if kind == 'noisy' and sample.noisy_confidence is not None:
        return labels, sample.noisy_confidence
    return labels, certain


def rectified(sample: Sample) -> Sample:
    """Return the sample seen by a lens without distortion; raise RecipeError where its camera is unknown."""
    if sample.camera is None:
        raise RecipeError(f'frame {sample.name} has no camera, and training needs its focal length')
    return rectified_sample(sample)

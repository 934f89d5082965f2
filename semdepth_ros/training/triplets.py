"""Triplets of consecutive frames, drawn as a pure function of the seed and their number."""
from __future__ import annotations

import glob
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from semdepth_ros.classes import CITYSCAPES, UNLABELLED
from semdepth_ros.data import covered, rectified_sample
from semdepth_ros.data.sample import Sample, Sequence
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.window import Window
from semdepth_ros.training.appearance import draw_colour
from semdepth_ros.training.augmentation import draw_window
from semdepth_ros.training.batch import TripletBatch
from semdepth_ros.training.filtering.flag_list import flagged_frames
from semdepth_ros.training.recipe import Augmentation, DataEntry, RecipeError
from semdepth_ros.training.targets import find_targets

# what a random draw is for: keeps the streams of a run apart
_SIZE_DRAW, _TRIPLET_DRAW = 1, 2
SKY = next(c.train_id for c in CITYSCAPES if c.name == 'sky')
# what of a sample the labels of an entry are
LABEL_PARTS = {'true': 'labels', 'noisy': 'noisy_labels'}
# how many frames are read to see whether there are labels, where frames are not cached
_LOOKED_AT = 8


class CachedSequence:
    """A sequence held in memory.

    :param keep_depth: whether the truth that only some terms look at is kept
    """

    def __init__(self, sequence: Sequence, progress: Callable[[Iterable], Iterable] = iter, keep_depth: bool = False):
        self.name, self.camera = sequence.name, sequence.camera
        self.stamps_ns, self.poses = sequence.stamps_ns, sequence.poses
        kept = (lambda sample: sample) if keep_depth else partial(replace, depth=None)
        self._samples = [kept(sequence[i]) for i in progress(range(len(sequence)))]

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


def triplet_source(entry: DataEntry, sequences: list[Sequence], progress: Callable = iter,
                   keep_depth: bool = False) -> TripletSource:
    """Cache the sequences as the entry says and list the targets that can be trained on (see find_targets).

    :param keep_depth: whether true depth is cached too
    :raises RecipeError: there are none, or the entry's filter is not of this data
    """
    flagged = [()] * len(sequences)
    if entry.filter is not None:
        flagged = flagged_frames(entry.filter, entry.source, sequences)
    if entry.cache == 'ram':
        sequences = [CachedSequence(sequence, progress, keep_depth) for sequence in sequences]
    found = [(s, stride, find_targets(sequence, stride, entry.min_distance_m, flagged[s]))
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


class TripletDraw(NamedTuple):
    """What is drawn of one triplet: where it comes from, how it is cut and how its look is changed."""

    source: int
    sequence: int
    frame: int
    stride: int
    window: Window
    colour: np.ndarray

    @property
    def frames(self) -> tuple[int, int, int]:
        """Target, previous and next frame."""
        return self.frame, self.frame - self.stride, self.frame + self.stride


class TripletDataset(Dataset):
    """Triplets by number: number n belongs to step n // (batch * processes), and is the same on every machine.

    An item is a TripletBatch without its first dimension. Where the camera zooms between the frames, which warping knows
    nothing of, the target takes its neighbours' places: a camera that stands, and teaches classes alone.

    :param sources: drawn from by their weights
    :param sizes: of the network's input (width, height) [px]; one is drawn for every step
    :param step_size: triplets a step
    :param length: triplets in all
    :param needs: the optional fields of TripletBatch that are wanted
    """

    def __init__(self, sources: list[TripletSource], sizes: tuple[tuple[int, int], ...], knobs: Augmentation,
                 seed: int, step_size: int, length: int, needs: frozenset[str] = frozenset()):
        self.sources, self.sizes, self.knobs = sources, sizes, knobs
        self.seed, self.step_size, self.length, self.needs = seed, step_size, length, needs
        weights = np.array([source.entry.weight for source in sources], dtype=np.float64)
        self._shares = np.cumsum(weights / weights.sum())

    @property
    def travel_known(self) -> bool:
        """Whether the length of the camera's way is known in some triplet."""
        return any(source.travel_known for source in self.sources)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: int) -> TripletBatch:
        """Draw, read, cut and describe one triplet."""
        draw = self.draw(number, lambda source, sequence, frame: rectified(source.sequences[sequence][frame]).camera)
        source = self.sources[draw.source]
        taken = {i: source.sequences[draw.sequence][i] for i in draw.frames}
        once = {i: rectified(sample) for i, sample in taken.items()}
        frames = [once[i] for i in draw.frames]
        if any(frame.camera != frames[0].camera for frame in frames):
            frames = frames[:1] * 3
        labels, confidence = labels_of(frames[0], source.entry.labels)
        window, seen = draw.window, covered(taken[draw.frame].camera)
        return TripletBatch(
            images=torch.cat([window.images(_image(sample)) for sample in frames]),
            intrinsics=torch.from_numpy(window.camera(frames[0].camera).matrix.astype(np.float32)),
            distance=torch.tensor([distance(frames[1].pose, frames[0].pose), distance(frames[0].pose, frames[2].pose)]),
            labels=_cut(window, labels, UNLABELLED),
            confidence=_cut(window, confidence, UNLABELLED).float() / 255,
            seen=_cut(window, seen, 0) > 0,
            colour=torch.from_numpy(draw.colour),
            origin=torch.tensor(draw[:4]),
            depth=_cut(window, depth_of(frames[0]), float('nan')) if 'depth' in self.needs else None)

    def draw(self, number: int, camera_of: Callable[[TripletSource, int, int], Camera]) -> TripletDraw:
        """Draw one triplet: a pure function of the seed and its number.

        :param camera_of: gives the camera of a source's (sequence, frame), without distortion
        """
        step = number // self.step_size
        size = self.sizes[np.random.default_rng([self.seed, _SIZE_DRAW, step]).integers(len(self.sizes))]
        rng = np.random.default_rng([self.seed, _TRIPLET_DRAW, number])
        which = min(int(np.searchsorted(self._shares, rng.random(), side='right')), len(self.sources) - 1)
        source = self.sources[which]
        sequence, frame, stride = source.targets[rng.integers(len(source.targets))].tolist()
        window = draw_window(camera_of(source, sequence, frame), size, self.knobs, rng)
        return TripletDraw(which, sequence, frame, stride, window, draw_colour(self.knobs, rng))


class StepNumbers:
    """The numbers of a process's triplets, a list for each step: a batch sampler.

    :param last: where to stop; None goes on
    """

    def __init__(self, batch: int, process: int, processes: int, first: int, last: int | None):
        self._batch, self._process, self._processes, self._first, self._last = batch, process, processes, first, last

    def __iter__(self) -> Iterator[list[int]]:
        for step in itertools.count(self._first):
            if self._last is not None and step >= self._last:
                return
            start = (step * self._processes + self._process) * self._batch
            yield list(range(start, start + self._batch))


def _said(counts: dict[str, int]) -> str:
    return ', '.join(f'{count} {reason}' for reason, count in counts.items())


def distance(first: np.ndarray | None, second: np.ndarray | None) -> float:
    """Return how far apart two poses are [m], NaN where one is not known."""
    return float('nan') if first is None or second is None else float(np.linalg.norm(second[:3, 3] - first[:3, 3]))


def labels_of(sample: Sample, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels that teach a sample's classes and how far each is trusted, both uint8 [H, W]."""
    labels = getattr(sample, LABEL_PARTS[kind]) if kind in LABEL_PARTS else None
    certain = np.full(sample.image.shape[:2], 255, dtype=np.uint8)
    if labels is None:
        return np.full_like(certain, UNLABELLED), certain
    if kind == 'noisy' and sample.noisy_confidence is not None:
        return labels, sample.noisy_confidence
    return labels, certain


def depth_of(sample: Sample) -> np.ndarray:
    """Return true depth, float32 [H, W] m: NaN where there is no truth, +inf where true labels say sky."""
    if sample.depth is None:
        return np.full(sample.image.shape[:2], np.nan, dtype=np.float32)
    if sample.labels is None:
        return sample.depth
    return np.where((sample.labels == SKY) & ~np.isfinite(sample.depth), np.float32(np.inf), sample.depth)


def rectified(sample: Sample) -> Sample:
    """Return the sample seen by a lens without distortion; raise RecipeError where its camera is unknown."""
    if sample.camera is None:
        raise RecipeError(f'frame {sample.name} has no camera, and training needs its focal length')
    return rectified_sample(sample)


def _image(sample: Sample) -> Tensor:
    return torch.from_numpy(sample.image).permute(2, 0, 1)[None]


def _cut(window: Window, array: np.ndarray, padding: float) -> Tensor:
    return window.labels(torch.from_numpy(array)[None, None], padding)[0, 0]

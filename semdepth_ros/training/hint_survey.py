"""How often hints are nearer the truth than the network's own depth, and refined labels right, where both are known."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from semdepth_ros.classes import UNLABELLED
from semdepth_ros.data import covered
from semdepth_ros.data.sample import Sequence
from semdepth_ros.evaluation.depth_evaluation import scale_ratio
from semdepth_ros.evaluation.depth_metrics import in_range
from semdepth_ros.losses.refinement import KINDS, PseudoSemantics
from semdepth_ros.networks import JointNetwork
from semdepth_ros.training.augmentation import widest_window
from semdepth_ros.training.batch import TripletBatch
from semdepth_ros.training.objective import Losses
from semdepth_ros.training.targets import find_targets
from semdepth_ros.training.terms.hint import Hints, find_hints
from semdepth_ros.training.terms.semantic import refined_labels
from semdepth_ros.training.triplets import LABEL_PARTS, depth_of, distance, labels_of, rectified
from semdepth_ros.training.view import View, image_pairs


@dataclass(frozen=True)
class HintFrame:
    """A triplet cut to the network's size, and what is known of its target.

    :param batch: of one; its labels are those that teach
    :param truth: true labels, uint8 [H, W]; None where there are none
    :param depth: true depth, float32 [H, W] m, NaN no truth, +inf sky
    """

    name: str
    batch: TripletBatch
    truth: Tensor | None
    depth: Tensor


@dataclass(frozen=True)
class Seen:
    """What the network says of a frame, and what is made of it.

    :param depth: float32 [H, W] m
    :param labels: predicted classes, uint8 [H, W]
    :param hints: of a batch of one, at the finest scale
    :param refined: labels refined, of a batch of one
    """

    depth: Tensor
    labels: Tensor
    hints: Hints
    refined: PseudoSemantics


def hint_frames(sequence: Sequence, size: tuple[int, int], most: int, stride: int = 1, labels: str = 'noisy'
                ) -> Iterator[HintFrame]:
    """Yield at most so many evenly spread frames that have neighbours, cut by the widest window.

    :param size: (width, height) [px]
    :param labels: which teach, where the frame has them: 'noisy', else 'true' ones do
    """
    targets = find_targets(sequence, stride, 0.05).frames
    for index in np.unique(np.linspace(0, len(targets) - 1, min(most, len(targets))).round().astype(int)).tolist():
        number = int(targets[index])
        taken = [sequence[i] for i in (number, number - stride, number + stride)]
        frames = [rectified(sample) for sample in taken]
        target = frames[0]
        kind = labels if getattr(target, LABEL_PARTS[labels]) is not None else 'true'
        window, (given, confidence) = widest_window(target.camera, size), labels_of(target, kind)

        def cut(array: np.ndarray, padding: float) -> Tensor:
            return window.labels(torch.from_numpy(array)[None, None], padding)[0, 0]
        images = [window.images(torch.from_numpy(sample.image).permute(2, 0, 1)[None]) for sample in frames]
        batch = TripletBatch(
            images=torch.cat(images)[None],
            intrinsics=torch.from_numpy(window.camera(target.camera).matrix.astype(np.float32))[None],
            distance=torch.tensor([[distance(frames[1].pose, target.pose), distance(target.pose, frames[2].pose)]]),
            labels=cut(given, UNLABELLED)[None], confidence=cut(confidence, 0)[None].float() / 255,
            seen=cut(covered(taken[0].camera), 0)[None] > 0, colour=torch.zeros(1, 1),
            origin=torch.zeros(1, 4, dtype=torch.int64))
        truth = None if target.labels is None else cut(target.labels, UNLABELLED)
        yield HintFrame(f'{sequence.name} {target.name}', batch, truth, cut(depth_of(target), np.nan))


@torch.no_grad()
def look(network: JointNetwork, frame: HintFrame, losses: Losses, focal_px: float) -> Seen:
    """Return what the network says of a frame, and what the terms hint and semantic make of it, however late they begin.

    :param network: in evaluation mode
    """
    images = frame.batch.images.float() / 255
    prediction = network(images[:, 0], pairs=image_pairs(images))
    depth_range = tuple(network.architecture['depth_range'])
    view = View(prediction, frame.batch, images, depth_range, focal_px, step=2 ** 62)
    hints = find_hints(view, losses.hint)
    labels = view.prediction.logits.argmax(dim=1)[0].to(torch.uint8)
    refined = refined_labels(view, losses.semantic)
    return Seen(view.depth[0, 0, 0], labels, Hints(hints.pseudo, hints.accepted[:1]), refined)


def log_errors(frame: HintFrame, seen: Seen) -> tuple[np.ndarray, np.ndarray]:
    """Return |ln d - ln d*| of the network's own depth and of pseudo-depth, float64 [H, W] each, NaN without truth.

    Both depths are first multiplied by the frame's median(truth) / median(own). Where the truth is sky it is -ln d: less
    is nearer.
    """
    truth, own, hint = (x.numpy().astype(np.float64) for x in (frame.depth, seen.depth, seen.hints.pseudo.depth[0]))
    near, sky = in_range(truth) & frame.batch.seen[0].numpy(), np.isposinf(truth)
    ratio = scale_ratio(own[near], truth[near]) if near.any() else 1.0
    with np.errstate(invalid='ignore', divide='ignore'):
        return tuple(np.where(sky, -np.log(depth), np.where(near, np.abs(np.log(ratio * depth / truth)), np.nan))
                     for depth in (own, hint))


def nearer_the_truth(frame: HintFrame, seen: Seen) -> tuple[np.ndarray, np.ndarray]:
    """Return where there is truth, and where pseudo-depth is nearer to it than the network's own depth, bool [H, W]."""
    before, after = log_errors(frame, seen)
    known = np.isfinite(before) & frame.batch.seen[0].numpy()
    return known, known & (after < before)


class DepthSurvey:
    """Adds up pseudo-depth, by where it comes from."""

    def __init__(self):
        self._sums, self._pixels = {name: np.zeros(7) for name in ('all', *KINDS[1:])}, 0

    def add(self, frame: HintFrame, seen: Seen) -> None:
        """Compare a frame's pseudo-depth with its true depth."""
        (before, after), (known, nearer) = log_errors(frame, seen), nearer_the_truth(frame, seen)
        kind, accepted = seen.hints.pseudo.kind[0].numpy(), seen.hints.accepted[0, 0].numpy()
        off_sky = known & ~np.isposinf(frame.depth.numpy())
        self._pixels += int(known.sum())
        for name, sums in self._sums.items():
            proposed = known & (kind > 0 if name == 'all' else kind == KINDS.index(name))
            taken = proposed & accepted
            sums += [proposed.sum(), (proposed & nearer).sum(), taken.sum(), (taken & nearer).sum(),
                     (taken & off_sky).sum(), before[taken & off_sky].sum(), after[taken & off_sky].sum()]

    def result(self) -> dict[str, dict[str, float | None]]:
        """Return figures by kind, and of all.

        `proposed` and `accepted` are shares of all pixels; `proposed_nearer` and `accepted_nearer` the shares of those
        where the hint is nearer the truth than the network's own depth; `own_error` and `hint_error` the mean
        |ln d - ln d*| on accepted ones off the sky.
        """
        result = {}
        for name, (proposed, right, taken, kept, measured, before, after) in self._sums.items():
            if proposed:
                result[name] = {'proposed': proposed / self._pixels, 'proposed_nearer': _share(right, proposed),
                                'accepted': taken / self._pixels, 'accepted_nearer': _share(kept, taken),
                                'own_error': _share(before, measured), 'hint_error': _share(after, measured)}
        return result


class LabelSurvey:
    """Adds up refined labels where a true and a given one are known."""

    def __init__(self):
        self._sums = np.zeros(8)

    def add(self, frame: HintFrame, seen: Seen) -> None:
        """Compare a frame's labels, as given and refined, with the true ones."""
        if frame.truth is None:
            return
        truth, given, refined = frame.truth.numpy(), frame.batch.labels[0].numpy(), seen.refined.labels[0].numpy()
        known = (truth != UNLABELLED) & (given != UNLABELLED)
        changed, undecided = known & (refined != given) & (refined != UNLABELLED), known & (refined == UNLABELLED)
        wrong, right = known & (given != truth), known & (given == truth)
        self._sums += [m.sum() for m in (known, wrong, changed, changed & (refined == truth), changed & right, undecided,
                                         undecided & wrong, known & (seen.labels.numpy() == truth))]

    def result(self) -> dict[str, float | None]:
        """Return shares.

        Of all labels: `wrong` as given, `changed`, `undecided`, `wrong_after` of those still labelled; of changed ones
        `changed_right`, of wrong ones `mended`, of right ones `spoiled`, of undecided ones `undecided_wrong`; and
        `network_wrong`, of the predicted classes.
        """
        known, wrong, changed, mended, spoiled, undecided, undecided_wrong, predicted = self._sums
        return {'wrong': _share(wrong, known), 'changed': _share(changed, known),
                'changed_right': _share(mended, changed), 'mended': _share(mended, wrong),
                'spoiled': _share(spoiled, known - wrong), 'undecided': _share(undecided, known),
                'undecided_wrong': _share(undecided_wrong, undecided),
                'wrong_after': _share(wrong - mended + spoiled - undecided_wrong, known - undecided),
                'network_wrong': _share(known - predicted, known)}


def _share(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None

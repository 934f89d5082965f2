"""How often the pairs of the ranking loss are what labels say of them, measured where depth is known."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from semdepth_ros.classes import UNLABELLED
from semdepth_ros.data.sample import Sequence
from semdepth_ros.evaluation.protocol import spread
from semdepth_ros.geometry.window import Window
from semdepth_ros.losses import Pairs, certainty, draw_pairs, object_probability
from semdepth_ros.training.augmentation import widest_window
from semdepth_ros.training.terms.ranking import Ranking
from semdepth_ros.training.triplets import LABEL_PARTS, depth_of, rectified

# |ln z0 - ln z1| from which on there is a step between two points, and up to which they are alike
STEP, ALIKE = 0.1, 0.05
FAMILIES = ('quadruples', 'couples')
# by the name of an arm: whether sampling is robust, and whether pairs are weighted by the network's certainty
ARMS = {'naive': (False, False), 'robust': (True, False), 'robust, weighted': (True, True)}


@dataclass(frozen=True)
class SurveyFrame:
    """A frame cut to the network's size.

    :param image: float [3, H, W] in 0..1
    :param labels: by their kind, 'true' and 'noisy', uint8 [H, W] each
    :param depth: float32 [H, W] m, NaN no truth, +inf sky
    """

    name: str
    image: Tensor
    labels: dict[str, Tensor]
    depth: Tensor


def survey_frames(sequence: Sequence, size: tuple[int, int], most: int | None) -> Iterator[SurveyFrame]:
    """Yield at most so many evenly spread frames of a sequence, cut to size (width, height) by the widest window."""
    for index in spread(sequence, most):
        sample = rectified(sequence[index])
        window = widest_window(sample.camera, size)
        image = window.images(torch.from_numpy(sample.image).permute(2, 0, 1)[None])[0].float() / 255
        labels = {kind: _cut(window, getattr(sample, part), UNLABELLED) for kind, part in LABEL_PARTS.items()
                  if getattr(sample, part) is not None}
        yield SurveyFrame(f'{sequence.name} {sample.name}', image, labels, _cut(window, depth_of(sample), np.nan))


def pairs_of(frame: SurveyFrame, kind: str, settings: Ranking, robust: bool) -> tuple[Pairs, Pairs]:
    """Draw the pairs of a frame as training does, from its labels of this kind."""
    labels = frame.labels[kind][None]
    seen = torch.ones_like(labels, dtype=torch.bool)
    return draw_pairs(labels, seen, frame.image[None], replace(settings.pairs, robust=robust))


def log_steps(pairs: Pairs, depth: Tensor) -> Tensor:
    """Return |ln z0 - ln z1| of pairs, [B, N]: 0 within the sky, inf from it to elsewhere, NaN where depth is unknown.

    :param depth: [B, H, W] m
    """
    first, second = _at(depth, pairs).unbind(dim=-1)
    return torch.where(first == second, 0.0, (first.log() - second.log()).abs())


def slopes_at_truth(pairs: Pairs, depth: Tensor, settings: Ranking) -> Tensor:
    """Return how hard the loss still pushes or pulls where disparity is the truth: |d loss / d (d0 - d1)|, [B, N].

    :param depth: [B, H, W] m; disparity is 1 / depth over its mean
    """
    disparity = depth.reciprocal()
    values = _at(disparity / disparity.nanmean(dim=(1, 2), keepdim=True), pairs)
    difference = (values[..., 0] - values[..., 1]).abs()
    enough = settings.margin * (values.amax(dim=-1) if settings.margin_is == 'relative' else 1)
    return torch.where(pairs.apart, torch.sigmoid(-difference) * (difference < enough), 2 * difference)


class PairSurvey:
    """Adds up, over frames, the pairs of one kind of labels and one arm."""

    def __init__(self, settings: Ranking):
        self._settings, self._frames = settings, 0
        self._found: dict[str, list[Tensor]] = {}

    def add(self, families: tuple[Pairs, ...], weights: tuple[Tensor, ...], depth: Tensor) -> None:
        """Compare the pairs of FAMILIES in a batch, with their weights [B, N], with its depth [B, H, W] m."""
        self._frames += len(depth)
        for family, pairs, weight in zip(FAMILIES, families, weights):
            steps, slopes = log_steps(pairs, depth), slopes_at_truth(pairs, depth, self._settings)
            for kind, which in (('apart', pairs.apart), ('together', ~pairs.apart)):
                known = pairs.valid & which & ~steps.isnan()
                columns = torch.stack((steps[known], slopes[known], weight[known]))
                self._found.setdefault(f'{family}, {kind}', []).append(columns)

    def result(self) -> dict[str, dict[str, float | None]]:
        """Return by family and kind of pair how many there are in a frame, and what the truth says of them.

        `right` is the share, by weight, of apart pairs with a step, or of together pairs that are alike;
        `slope_of_rest` is how hard the loss acts on the others, on the mean, were depth the truth.
        """
        result = {}
        for name, parts in self._found.items():
            steps, slopes, weight = torch.cat(parts, dim=1).double()
            right = steps > STEP if name.endswith('apart') else steps < ALIKE
            if len(steps):
                result[name] = {'pairs_a_frame': len(steps) / self._frames, 'right': _mean(right, weight),
                                'slope_of_rest': _mean(slopes, weight * ~right)}
        return result


@torch.no_grad()
def survey(frames: list[SurveyFrame], settings: Ranking, logits_of: Callable[[Tensor], Tensor] | None = None,
           seed: int = 0) -> dict[str, dict[str, dict]]:
    """Return the result of PairSurvey for every kind of labels in the frames, and every arm.

    :param logits_of: gives the class scores [1, C, H, W] of an image [1, 3, H, W]; without it no arm is weighted
    """
    arms = {name: arm for name, arm in ARMS.items() if logits_of or not arm[1]}
    kinds = [kind for kind in LABEL_PARTS if any(kind in frame.labels for frame in frames)]
    surveys = {kind: {name: PairSurvey(settings) for name in arms} for kind in kinds}
    torch.manual_seed(seed)
    for frame in frames:
        logits = logits_of(frame.image[None]) if logits_of else None
        for kind in frame.labels:
            families = {robust: pairs_of(frame, kind, settings, robust) for robust in (False, True)}
            for name, (robust, weighted) in arms.items():
                weights = tuple(_certainty(logits, pairs, settings) if weighted else torch.ones(pairs.valid.shape)
                                for pairs in families[robust])
                surveys[kind][name].add(families[robust], weights, frame.depth[None])
    return {kind: {name: each.result() for name, each in named.items()} for kind, named in surveys.items()}


def _certainty(logits: Tensor, pairs: Pairs, settings: Ranking) -> Tensor:
    return certainty(object_probability(logits, pairs, settings.pairs.objects), pairs, settings.measure)


def _at(values: Tensor, pairs: Pairs) -> Tensor:
    return values.flatten(1).gather(1, pairs.index.flatten(1)).view_as(pairs.index)


def _mean(values: Tensor, weight: Tensor) -> float | None:
    return float((values * weight).sum() / weight.sum()) if weight.sum() > 0 else None


def _cut(window: Window, array: np.ndarray, padding: float) -> Tensor:
    return window.labels(torch.from_numpy(array)[None, None], padding)[0, 0]

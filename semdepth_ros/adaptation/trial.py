"""Whether candidate weights may be served: the criteria, each with what was measured and its limit."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np

from semdepth_ros.adaptation.anchors import abs_rel
from semdepth_ros.adaptation.comparison import Compared, compare
from semdepth_ros.adaptation.factory import Classes, predict
from semdepth_ros.adaptation.held_out import Block
from semdepth_ros.adaptation.settings import Trial
from semdepth_ros.adaptation.signed_rank import p_of_positive
from semdepth_ros.adaptation.triplet import Triplet
from semdepth_ros.networks import JointNetwork


@dataclass(frozen=True)
class Criterion:
    """One thing that is asked of a candidate.

    :param words: one line that says what was measured and what was expected
    """

    name: str
    passed: bool
    value: float
    limit: float
    words: str


@dataclass(frozen=True)
class TrialReport:
    """What came of a trial.

    :param blocks: number of the first frame of each block
    :param candidate, served: photometric error of either on each block
    """

    criteria: tuple[Criterion, ...]
    blocks: tuple[int, ...]
    candidate: tuple[float, ...]
    served: tuple[float, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the candidate."""
        return all(criterion.passed for criterion in self.criteria)

    @property
    def reason(self) -> str:
        """What speaks against it, else by how much it is better, in one line."""
        failed = [criterion.words for criterion in self.criteria if not criterion.passed]
        return '; '.join(failed) or next(c.words for c in self.criteria if c.name == 'gain')

    def as_json(self) -> dict:
        """Return the report as JSON has it."""
        return {'passed': self.passed, 'reason': self.reason, 'blocks': list(self.blocks),
                'candidate': [_number(v) for v in self.candidate], 'served': [_number(v) for v in self.served],
                'criteria': [asdict(c) | {'value': _number(c.value), 'limit': _number(c.limit)} for c in self.criteria]}


def hold_trial(blocks: list[Block], candidate: JointNetwork, served: JointNetwork, factory: JointNetwork,
               anchors: list[Triplet], classes: Classes, focal_px: float, settings: Trial,
               semantics_fixed: bool) -> TrialReport:
    """Hold a candidate against the served weights on fresh blocks, and against the factory's on anchors.

    :param anchors: those with exact depth are judged by it, others by the factory weights' depth
    """
    compared = [[compare(t, candidate, served, classes, focal_px) for t in block.triplets] for block in blocks]
    mine, theirs = (tuple(_mean(c.errors[i] for c in block) for block in compared) for i in (0, 1))
    every = [c for block in compared for c in block]
    criteria = [_finite(every), *_gain(mine, theirs, settings),
                *_forgetting(candidate, factory, anchors, focal_px, settings), *_bounds(every, settings)]
    if not semantics_fixed:
        criteria += _classes(every, settings)
    return TrialReport(tuple(criteria), tuple(block.first for block in blocks), mine, theirs)


def _finite(compared: list[Compared]) -> Criterion:
    bad = sum(not c.finite for c in compared)
    return Criterion('finite', not bad, bad, 0, f'{bad} frames are not finite')


def _gain(mine: tuple[float, ...], theirs: tuple[float, ...], s: Trial) -> list[Criterion]:
    pairs = np.array([(m, t) for m, t in zip(mine, theirs) if np.isfinite([m, t]).all() and t > 0]).reshape(-1, 2)
    gains = 1 - pairs[:, 0] / pairs[:, 1]
    gain, p = (float(np.median(gains)), p_of_positive(gains)) if len(gains) else (float('nan'), 1.0)
    return [Criterion('blocks', len(gains) >= s.blocks, len(gains), s.blocks,
                      f'{len(gains)} held-out blocks can be compared, expected {s.blocks}'),
            Criterion('gain', gain >= s.least_gain, gain, s.least_gain,
                      f'photometric error is {100 * gain:.2f} % less, expected {100 * s.least_gain:.2g} %'),
            Criterion('rank', p < s.level, p, s.level,
                      f'p is {p:.3f} on {len(gains)} blocks, expected less than {s.level:g}')]


def _forgetting(candidate: JointNetwork, factory: JointNetwork, anchors: list[Triplet], focal_px: float,
                s: Trial) -> list[Criterion]:
    criteria = []
    exact, held = [t for t in anchors if t.depth is not None], [t for t in anchors if t.depth is None]
    if exact:
        mine, theirs = (float(np.mean([abs_rel(_depth(network, t, focal_px), t.depth) for t in exact]))
                        for network in (candidate, factory))
        ratio, most = mine / max(theirs, 1e-9), s.most_forgetting
        words = f"Abs Rel on anchors is {ratio:.3f} x the factory weights', expected at most {most:g}"
        criteria.append(Criterion('forgetting', bool(ratio <= most), ratio, most, words))
    if held:
        change = float(np.mean([_log_change(_depth(candidate, t, focal_px), t) for t in held]))
        most = s.most_log_change
        criteria.append(Criterion('forgetting_stored', bool(change <= most), change, most,
                                  f'ln(depth) of stored frames moved by {change:.3f}, expected at most {most:g}'))
    return criteria


def _bounds(compared: list[Compared], s: Trial) -> list[Criterion]:
    most, criteria = s.most_scale_change, []
    for name, words, values in (('scale', 'depth changed its scale', [c.log_scale for c in compared]),
                                ('road_height', "the road's height changed", [c.log_height for c in compared])):
        values = [v for v in values if np.isfinite(v)]
        if values:
            moved = float(np.expm1(np.median(values)))
            criteria.append(Criterion(name, abs(moved) < most, moved, most,
                                      f'{words} by {100 * moved:+.1f} %, expected less than {100 * most:g} %'))
    spread = float(np.median([c.spread for c in compared])) if compared else 0.0
    return [*criteria, Criterion('spread', spread >= s.least_spread, spread, s.least_spread,
                                 f'disparity spreads {spread:.2f} x as much, expected at least {s.least_spread:g}')]


def _classes(compared: list[Compared], s: Trial) -> list[Criterion]:
    agreement = _mean(c.agreement for c in compared)
    sums: dict[int, np.ndarray] = {}
    for one in compared:
        for train_id, counts in one.class_agreement.items():
            sums[train_id] = sums.get(train_id, np.zeros(2)) + counts
    total = sum(counts[1] for counts in sums.values())
    shares = {i: same / of for i, (same, of) in sums.items() if of >= 0.01 * total}
    worst = min(shares.values(), default=1.0)
    return [Criterion('classes', agreement >= s.least_agreement, agreement, s.least_agreement,
                      f'{100 * agreement:.2f} % of the pixels keep their class, '
                      f'expected {100 * s.least_agreement:g} %'),
            Criterion('each_class', worst >= s.least_class_agreement, worst, s.least_class_agreement,
                      f'of one class {100 * worst:.2f} % keep it, expected {100 * s.least_class_agreement:g} %')]


def _depth(network: JointNetwork, triplet: Triplet, focal_px: float) -> np.ndarray:
    return predict(network, triplet.images[:1], triplet.camera.fx / focal_px)[0][0, 0].cpu().numpy()


def _log_change(depth: np.ndarray, triplet: Triplet) -> float:
    return float(np.abs(np.log(depth / triplet.factory_depth))[triplet.seen.numpy()].mean())


def _mean(values: Iterable[float]) -> float:
    values = [v for v in values if np.isfinite(v)]
    return float(np.mean(values)) if values else float('nan')


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def block_errors(block: Block, served: JointNetwork, factory: JointNetwork, classes: Classes,
                 focal_px: float) -> dict[str, float]:
    """Return the photometric errors of `served` and `factory` weights on a block, for the record alone."""
    errors = [compare(t, served, factory, classes, focal_px).errors for t in block.triplets]
    return {name: _mean(pair[i] for pair in errors) for i, name in enumerate(('served', 'factory'))}

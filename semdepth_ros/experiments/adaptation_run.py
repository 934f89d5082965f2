"""A recorded drive through the learner, every frame judged by the weights that were served before it came."""
from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from semdepth_ros.adaptation import Adapter, AdapterSettings, Observation, Version, read_journal
from semdepth_ros.data import Sample, Sequence, rectified
from semdepth_ros.evaluation.depth_evaluation import resized_nearest, scale_ratio
from semdepth_ros.evaluation.depth_metrics import clamped, depth_errors, evaluated_pixels
from semdepth_ros.evaluation.protocol import PROTOCOL, SequenceEvaluation, evaluate
from semdepth_ros.experiments.adaptation_scale import FusedColumn, ScaleColumn, scale_columns
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Perception, Scale
from semdepth_ros.model_card import ModelCard
from semdepth_ros.networks import JointNetwork
from semdepth_ros.perception import Perceptor
from semdepth_ros.perception.candidate import Candidate, Weights
from semdepth_ros.whole_files import written_whole

JOURNAL, RESULT = 'journal.jsonl', 'adapt.json'
COLUMNS = ('frozen', 'scale_only', 'weights_only', 'adapted')


@dataclass(frozen=True)
class DriveRun:
    """How a drive is taken.

    :param odometry: whether the drive's poses are told as odometry
    :param scale: where the two scaled columns have theirs from: `fused`, the learner's own metric scale; `odometry`, the
        `camera_height`, `none`, or `auto`, the first of these three that the drive has
    :param passes: how often the drive is taken; frames seen again are judged apart
    :param frames: at most so many of the drive; None for all
    """

    odometry: bool = True
    scale: str = 'auto'
    passes: int = 1
    frames: int | None = None


class _Column:
    """The evaluations of one column: first pass, its last third, later passes."""

    def __init__(self, name: str):
        self.parts = {part: SequenceEvaluation(name) for part in ('all', 'last_third', 'seen_again')}

    def add(self, parts: list[str], sample: Sample, perception: Perception) -> None:
        for part in parts:
            self.parts[part].add(sample, perception)


def adapt_drive(sequence: Sequence, network: JointNetwork, card: ModelCard, settings: AdapterSettings, out: Path,
                how: DriveRun = DriveRun(), device: str = 'auto', input_pixels: int = 0, model: str = '',
                progress: Callable[[int, int], None] = lambda done, total: None,
                after: Collection[Sequence] = ()) -> dict[str, Any]:
    """Let the learner take every frame of a drive in order; write and return adapt.json's content.

    A frame counts with the weights that were served before it arrived. Nothing here looks at a clock but
    ms_per_step and processor_ms_per_step.

    :param out: gets adapt.json, the journal and the folder weights/
    :param after: drives that the weights served at the end are judged on, without learning: what was forgotten
    :raises ValueError: a drive without camera, or a frame that cannot be read
    """
    sequence = rectified(sequence)
    count = len(sequence) if how.frames is None else min(how.frames, len(sequence))
    camera_in_base = getattr(getattr(sequence, 'drive', None), 'camera_in_base', None)
    perceptors = [Perceptor(network, card, device=device, max_range_m=math.inf, input_pixels=input_pixels)
                  for _ in range(2)]
    adapter = Adapter(network, card, settings, camera_in_base=camera_in_base, folder=out / 'weights',
                      journal=out / JOURNAL, device=perceptors[0].device, input_pixels=input_pixels)
    scales = scale_columns(how.scale, how.odometry, sequence, adapter, card)
    fused = FusedColumn(adapter, served=False), FusedColumn(adapter, served=True)
    columns, step_ms, served = {name: _Column(sequence.name) for name in COLUMNS}, [], 0    # wall, processor
    back = None if camera_in_base is None else np.linalg.inv(camera_in_base)
    for index in range(count * how.passes):
        turn, place = divmod(index, count)
        sample = sequence[place]
        sample = replace(sample, stamp_ns=sample.stamp_ns + turn * _length_ns(sequence, count))
        frame = Frame(sample.image, 'rgb', sample.camera, sample.stamp_ns)
        parts = ['all', *(['last_third'] if 3 * place >= 2 * count else [])] if not turn else ['seen_again']
        served = _judge(frame, sample, parts, perceptors, scales, fused, adapter, columns, served)
        pose = sample.pose if how.odometry else None
        began = time.perf_counter(), time.process_time()
        observation = adapter.observe(frame, pose if back is None or pose is None else pose @ back)
        if observation.stepped:
            ended = time.perf_counter(), time.process_time()
            step_ms.append([1e3 * (end - begin) / observation.stepped for begin, end in zip(began, ended)])
        progress(index + 1, count * how.passes)
    adapter.journal.close()
    if adapter.served.number != served:
        _serve(perceptors[1], adapter.served)
    afterwards = {name: evaluate(perceptor, after, model)
                  for name, perceptor in zip(('frozen', 'served'), perceptors)} if after else {}
    result = {'model': model, 'drive': sequence.name, 'frames': count, 'passes': how.passes, 'protocol': PROTOCOL,
              **_results(columns, 'all', model), 'last_third': _results(columns, 'last_third', model),
              **({'seen_again': _results(columns, 'seen_again', model)} if how.passes > 1 else {}),
              'steps': adapter.counts['steps'] + adapter.counts['undone'], 'accepted_steps': adapter.counts['steps'],
              'promotions': adapter.counts['promotions'], 'would_promote': adapter.counts['would_promote'],
              'rollbacks': adapter.counts['rollbacks'], 'rejections': adapter.counts['rejections'],
              'resets': adapter.counts['resets'], 'gates': dict(adapter.gates.rejections),
              **{name: float(np.median([ms[i] for ms in step_ms])) if step_ms else None
                 for i, name in enumerate(('ms_per_step', 'processor_ms_per_step'))},
              'metric_scale': {name: scale.honesty() for name, scale in zip(('factory', 'served'), fused)},
              'odometry_scale': adapter.scale.value if adapter.scale.ready else None, 'version': adapter.served.number,
              **({'after': afterwards} if afterwards else {}),
              'last_verdict': adapter.last_verdict, 'held_out': held_out(out / JOURNAL, count)}
    written_whole(out / RESULT, lambda path: path.write_text(json.dumps(result, indent=1, allow_nan=False) + '\n'))
    return result


def held_out(journal: Path, count: int) -> dict[str, Any]:
    """Return the mean photometric error on held-out blocks: frozen, served as they came, and their ratio.

    :param count: frames of the first pass
    :return: by part: `all`, `last_third`, `seen_again` and `after_promotion`; parts without a block are left out
    """
    blocks = [line for line in read_journal(journal)
              if line['event'] == 'block' and None not in line['errors'].values()]
    parts = {'all': [b for b in blocks if b['first'] < count],
             'last_third': [b for b in blocks if 2 * count <= 3 * b['first'] < 3 * count],
             'seen_again': [b for b in blocks if b['first'] >= count],
             'after_promotion': [b for b in blocks if b['version'] > 0]}
    return {name: _errors(part) for name, part in parts.items() if part}


def _errors(blocks: list[dict]) -> dict[str, float]:
    frozen, served = (float(np.mean([b['errors'][name] for b in blocks])) for name in ('factory', 'served'))
    return {'blocks': len(blocks), 'frozen': frozen, 'served': served, 'served_over_frozen': served / frozen}


def _judge(frame: Frame, sample: Sample, parts: list[str], perceptors: list[Perceptor], scales: tuple[ScaleColumn, ScaleColumn],
           fused: tuple[FusedColumn, FusedColumn], adapter: Adapter, columns: dict[str, _Column], shown: int) -> int:
    """Perceive a frame with both weights where there is truth or a scale to learn; return the version shown."""
    truth = sample.depth is not None or sample.labels is not None
    if not truth and not any(scale.watches for scale in scales):
        return shown
    version = adapter.served
    if version.number != shown:
        _serve(perceptors[1], version)
    seen = [perceptors[0].perceive(frame, Scale())]
    seen.append(seen[0] if version.number == 0 else perceptors[1].perceive(frame, Scale()))
    factors = [scale.scale.value for scale in scales]
    if truth:
        depths = {'frozen': (seen[0], 1.0), 'scale_only': (seen[0], factors[0]),
                  'weights_only': (seen[1], 1.0), 'adapted': (seen[1], factors[1])}
        for name, (perception, factor) in depths.items():
            columns[name].add(parts, sample, replace(perception, depth=perception.depth * np.float32(factor)))
        if sample.depth is not None:
            frozen, served = (_abs_rel(perception.depth, sample.depth) for perception in seen)
            adapter.journal.write('accuracy', frame=adapter.number + 1, version=version.number, frozen=frozen,
                                  served=served)
            for scale, perception in zip(fused, seen):
                scale.judge(perception.depth, sample.depth)
    for scale, perception in zip(scales, seen):
        scale.take(perception)
    return version.number


def _serve(perceptor: Perceptor, version: Version) -> None:
    perceptor.serve(Candidate(Weights(version.network, version.card), perceptor.engine.twin(version.network)))


def _abs_rel(depth: np.ndarray, truth: np.ndarray) -> float:
    """Return Abs Rel of a frame scaled by the medians; NaN where nothing can be compared."""
    depth = resized_nearest(depth, truth.shape)
    mask = evaluated_pixels(truth) & ~np.isnan(depth)
    if not mask.any():
        return math.nan
    p, t = depth[mask].astype(np.float64), truth[mask].astype(np.float64)
    return depth_errors(clamped(p * scale_ratio(p, t)), t)['abs_rel']


def _results(columns: dict[str, _Column], part: str, model: str) -> dict[str, dict]:
    return {name: {'model': model, 'sequences': [column.parts[part].result()]} for name, column in columns.items()}


def _length_ns(sequence: Sequence, count: int) -> int:
    """Return how long a drive lasts, its last frame included."""
    stamps = np.asarray(sequence.stamps_ns[:count], dtype=np.int64)
    return int(stamps[-1] - stamps[0] + np.median(np.diff(stamps))) if count > 1 else 10 ** 9

"""Is the metric flag to be believed? The scale by the camera's height on real and rendered drives, against their truth.

`python test/scale_proof.py` follows every drive as the node would with scale_source camera_height, once with the
camera's tilt told and once with it learned, and prints a Markdown table; out/scale_proof.json has every frame. It ends
with 1 if depth was ever metric and farther from the truth than three sigma, median over the true road's pixels, or if
on `day`, with the tilt told, it was metric to 10 % in less than 80 % of the frames after the first 50 m. The last line
is what the bias has to cover: how far the mean errors of rendered drives lie apart; --split val is what it was set by.
"""
from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
import json
from pathlib import Path
import sys
from unittest import mock

import numpy as np

from semdepth_ros.data import open_data
from semdepth_ros.data.sample import Sample
from semdepth_ros.data.world import WorldSequence
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Scale
from semdepth_ros.perception import Perceptor
from semdepth_ros.scale import CameraHeight, Mount, Tilt
from semdepth_ros.scale.trial import ScaleTrial
from semdepth_ros.world import presets, scene

ROOT = Path(__file__).resolve().parent.parent
REAL = ('kitti_odom00_lowres_a', 'kitti_raw_0926_slow_traffic')
LEVEL = Tilt(0.0)           # KITTI's colour cameras, by the LiDAR's road in slow_traffic: -0.2 to 0.3 degrees
RATE_HZ, SIZE, OTHER_SIZE = 5.0, (640, 192), (480, 300)
SEARCHED = range(400, 424)  # towns among which lorries that drive close ahead are looked for
SIGMAS, SHARE = 3.0, 0.8
HEADER = ('drive', 'tilt', 'frames', 'metric', 'after 50 m', 'and to 10 %', 'median sigma', 'with truth', 'mean error',
          'worst', 'in sigmas')


def world(preset: str, seed: int, frames: int, split: str) -> WorldSequence:
    """Return a drive through a town."""
    size = OTHER_SIZE if preset == 'other_camera' else SIZE
    return WorldSequence(preset, seed, frames, presets.default_camera(preset, size), split, rate_hz=RATE_HZ)


def hills(seed: int, frames: int, split: str) -> WorldSequence:
    """Return a drive through a town whose slopes reach 14 %, four times those of the steepest test towns."""
    steep = scene.random_town
    with mock.patch.object(scene, 'random_town', lambda *kind: replace(steep(*kind), steepest=0.14)):
        return world('day', seed, frames, split)


def behind_lorries(count: int, frames: int, split: str) -> list[int]:
    """Return the towns where something tall drives nearest ahead for longest."""
    def nearness(seed: int) -> float:
        town = scene.Scene(presets.find_preset('day'), seed, split, frames / RATE_HZ + 1)
        ahead = next(mover for mover in town.traffic.movers if mover.follows == 'lead')
        times = np.arange(frames) / RATE_HZ
        gaps = [town.plan.lead_arc_length(t) - town.plan.arc_length(t) for t in times]
        return float(np.mean(np.array(gaps) < 20)) if ahead.extent[4] > 2.3 else -1.0
    return sorted(SEARCHED, key=nearness, reverse=True)[:count]


def drives(names: list[str], frames: int, split: str, data: Path) -> Iterator[tuple[str, object, Tilt]]:
    """Yield name, sequence and true tilt of the drives that are asked for."""
    kinds = {'day': range(101, 109), 'other_town': (101, 102), 'other_camera': (101, 102), 'hills': (101, 104, 105)}
    for name in names:
        if name == 'real':
            for folder in REAL:
                yield folder, open_data(data / folder)[0], LEVEL
            continue
        for seed in behind_lorries(3, frames, split) if name == 'lorries' else kinds.get(name, (101,)):
            preset = 'day' if name == 'lorries' else name
            sequence = hills(seed, frames, split) if name == 'hills' else world(preset, seed, frames, split)
            yield f'{name} {seed}', sequence, Tilt.of_pose(sequence.drive.camera_in_base)


def samples(sequence) -> Iterator[Sample]:
    """Yield a sequence's samples; those of the world are rendered eight at a time."""
    for first in range(0, len(sequence), 8):
        numbers = list(range(first, min(first + 8, len(sequence))))
        yield from sequence.read(numbers) if hasattr(sequence, 'read') else (sequence[i] for i in numbers)


def follow(perceptor: Perceptor, sequence, tilt: Tilt) -> dict[str, ScaleTrial]:
    """Return the trial of a drive with the tilt told and with it learned."""
    height_m = sequence.camera.height_m
    trials = {how: ScaleTrial(CameraHeight(Mount(height_m, known), perceptor.card.classes))
              for how, known in (('told', tilt), ('learned', None))}
    for sample in samples(sequence):
        perception = perceptor.perceive(Frame(sample.image, 'rgb', sample.camera, sample.stamp_ns), Scale())
        for trial in trials.values():
            trial.take(perception, sample)
    return trials


def row(name: str, how: str, s: dict) -> str:
    """Return a line of the table."""
    def percent(value: float | None) -> str:
        return '-' if value is None else f'{100 * value:.0f} %'
    sigmas = '-' if s['worst_sigmas'] is None else f'{s["worst_sigmas"]:.2f}'
    cells = (name, how, s['frames'], percent(s['metric'] / s['frames']), percent(s['metric_share_after_50_m']),
             percent(s['metric_within_10_percent_after_50_m']), percent(s['median_sigma']), s['metric_with_truth'],
             percent(s['mean_log_error']), percent(s['worst_log_error']), sigmas)
    return '| ' + ' | '.join(map(str, cells)) + ' |'


def verdict(summaries: dict[str, dict[str, dict]]) -> list[str]:
    """Return what is wrong, one line each."""
    wrong = [f'{name}, tilt {how}: metric and {s["worst_sigmas"]:.2f} sigma from the truth'
             for name, trials in summaries.items() for how, s in trials.items() if (s['worst_sigmas'] or 0) > SIGMAS]
    day = [trials['told']['metric_within_10_percent_after_50_m'] for name, trials in summaries.items()
           if name.startswith('day ')]
    if day and np.mean(day) < SHARE:
        wrong.append(f'day: metric to 10 % in {100 * np.mean(day):.0f} % of the frames after 50 m')
    return wrong


def between_drives(summaries: dict[str, dict[str, dict]]) -> str:
    """Return how far the mean errors of rendered drives lie from zero, as a standard deviation."""
    means = {how: [trials[how]['mean_log_error'] for name, trials in summaries.items() if name not in REAL]
             for how in ('told', 'learned')}
    return 'between drives: ' + ', '.join(
        f'{how} {100 * np.sqrt(np.mean(np.square(known))):.1f} %' for how, values in means.items()
        if (known := [v for v in values if v is not None]))


def main() -> int:
    names = ('real', 'day', 'lorries', 'hills', 'other_town', 'other_camera', 'dusk', 'night', 'fog', 'glare', 'hard')
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--model', default='default')
    parser.add_argument('--device', default='auto')
    parser.add_argument('--only', nargs='+', choices=names, default=list(names), help='drives of these kinds')
    parser.add_argument('--frames', type=int, default=120, help='of every rendered drive')
    parser.add_argument('--split', default='test', help='towns of this split')
    parser.add_argument('--data', type=Path, default=ROOT.parent / 'shared' / 'data', help='where the real drives are')
    parser.add_argument('--out', type=Path, default=Path('out/scale_proof.json'))
    args = parser.parse_args()
    perceptor, summaries, traces = Perceptor.from_file(args.model, device=args.device), {}, {}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    print('| ' + ' | '.join(HEADER) + ' |\n|' + '---|' * len(HEADER))
    for name, sequence, tilt in drives(args.only, args.frames, args.split, args.data):
        trials = follow(perceptor, sequence, tilt)
        summaries[name] = {how: trial.summary() for how, trial in trials.items()}
        traces[name] = {how: {'summary': summaries[name][how], 'frames': t.as_json()} for how, t in trials.items()}
        for how, summary in summaries[name].items():
            print(row(name, how, summary), flush=True)
        args.out.write_text(json.dumps(traces) + '\n')
    wrong = verdict(summaries)
    print('\n'.join(wrong) if wrong else 'as it should be')
    print(between_drives(summaries))
    return int(bool(wrong))


if __name__ == '__main__':
    sys.exit(main())

"""Apply the rule at the head of config/ablations/all_four.yaml to its results: python docs/ablations/recommended.py

A row an arm: the mean over seeds of the mean of ln(figure / the figure of `semantic`) over the rule's six figures, five where
the arm learns no classes, with true labels, with noisy ones where the arm has both, and together; and why the rule leaves it
out, if it does. The rule is applied when all arms have run: until then rows are of what is there, and the last line says what
is missing.
"""
from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from semdepth_ros.experiments.declaration_file import read_experiment
from semdepth_ros.experiments.plan import Folders
from semdepth_ros.experiments.verdicts import Results, results_of

PARTS = ('all', 'within_border_5px', 'movable', 'thin')
FIGURES = ['unscaled.all.abs_rel', *(f'median_scaled.{part}.abs_rel' for part in PARTS)]
CLASSES = 'classes.miou'
KITTI, REFERENCE, NOISY = 'kitti_raw_0926_slow_traffic', 'semantic', '_noisy'
WORST, SLOWEST, LEAST_GAIN = 0.02, 1.5, -0.02


def gain(results: Results, arm: str, reference: str) -> float | None:
    """Return the mean over seeds and figures; None where they share no seed."""
    def figures(name: str, seed: int) -> dict[str, float]:
        towns = results[name, seed]['towns'].values()
        means = {metric: float(np.mean([town[metric] for town in towns if metric in town]))
                 for metric in [*FIGURES, CLASSES] if any(metric in town for town in towns)}
        return {metric: 1 - value if metric == CLASSES else value for metric, value in means.items()}

    def mean_log(seed: int) -> float:
        ours, others = figures(arm, seed), figures(reference, seed)
        shared = [metric for metric in others if metric in ours]
        if not set(FIGURES) <= set(shared):
            raise SystemExit(f'{arm}, seed {seed}, lacks some of {FIGURES}: the rule cannot be applied')
        return float(np.mean([math.log(ours[metric] / others[metric]) for metric in shared]))
    logs = [mean_log(seed) for seed in results.seeds(arm, reference)]
    return float(np.mean(logs)) if logs else None


def left_out(results: Results, arm: str) -> str:
    """Return why the rule leaves an arm out; empty where it does not."""
    seeds, reasons = results.seeds(arm, REFERENCE), []
    change = results.change('median_scaled.all.abs_rel', arm, REFERENCE)
    if change is not None and change.high > WORST:
        reasons.append(f'Abs Rel up to {100 * change.high:+.1f} %')
    kitti = [np.mean([results[name, seed]['real'][KITTI]['depth']['median_scaled']['abs_rel'] for seed in seeds])
             for name in (arm, REFERENCE)]
    if kitti[0] > (1 + WORST) * kitti[1]:
        reasons.append(f'KITTI {100 * (kitti[0] / kitti[1] - 1):+.1f} %')
    ours, others = (results.latencies(name) for name in (arm, REFERENCE))
    ratios = [ours[kind]['engine'] / others[kind]['engine'] for kind in others if kind in ours]      # quickest machine first
    if not ratios:
        raise SystemExit(f'no machine has timed both {arm} and {REFERENCE}: the rule cannot be applied')
    if ratios[0] > SLOWEST:
        reasons.append(f'{ratios[0]:.1f} times as long')
    return ', '.join(reasons)


def main() -> None:
    """Print the rows."""
    experiment = read_experiment('all_four')
    results = results_of(experiment, experiment.steps, Folders(Path('runs/ablations'), Path(__file__).parent))
    missing = [f'{arm.name} (seed {seed})' for arm in experiment.arms for seed in experiment.seeds
               if (arm.name, seed) not in results]
    rows = []
    for arm in experiment.arms:
        if arm.name.endswith(NOISY) or not results.seeds(arm.name, REFERENCE):
            continue
        values = [gain(results, arm.name, REFERENCE)]
        if arm.name + NOISY in experiment.arm_names and results.seeds(arm.name + NOISY, REFERENCE + NOISY):
            values.append(gain(results, arm.name + NOISY, REFERENCE + NOISY))
        rows.append((float(np.mean(values)), arm.name, values, left_out(results, arm.name)))
    for mean, name, values, reason in sorted(rows):
        print(f'{name:26s}{values[0]:+8.3f}{f"{values[1]:+8.3f}" if len(values) > 1 else "       -"}{mean:+8.3f}  {reason}')
    best = min((row for row in rows if not row[3]), default=None)
    if missing:
        print(f'not applied: {len(missing)} runs are missing: {", ".join(missing)}')
    else:
        print(f'recommended: {best[1] if best and best[0] < LEAST_GAIN else REFERENCE}')


if __name__ == '__main__':
    main()

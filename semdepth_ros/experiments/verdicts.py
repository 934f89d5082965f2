"""What changed from arm to arm, and whether hypotheses held."""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from semdepth_ros.evaluation.bootstrap import Change, paired_change
from semdepth_ros.experiments.declaration import Experiment, Hypothesis
from semdepth_ros.experiments.plan import Folders, runs_of
from semdepth_ros.experiments.results import Result, find_result

HELD, NOT_HELD, NOT_RUN, NO_FIGURE = 'held', 'not held', 'not run', 'no figure'


class Results(dict[tuple[str, int], Result]):
    """The results of an experiment's runs by (arm, seed); what was not run is not there."""

    def seeds(self, *arms: str) -> list[int]:
        """Return the seeds that all these arms were run with."""
        return sorted(set.intersection(*({seed for name, seed in self if name == arm} for arm in arms)))

    def comparable(self, arm: str, reference: str) -> list[int]:
        """Return the seeds of both arms that were compared with the same renderings of the towns they share.

        A town of another rendering, which is another picture, cannot be paired.
        """
        def same(seed: int) -> bool:
            ours, others = (self[name, seed].get('rendering', {}) for name in (arm, reference))
            return all(ours[town] == others[town] for town in ours.keys() & others.keys())
        return [seed for seed in self.seeds(arm, reference) if same(seed)]

    def by_seed(self, metric: str, arm: str) -> list[float]:
        """Return the mean of a metric over the towns that have it, of every seed that has any."""
        values = ([figures[metric] for figures in self[arm, seed]['towns'].values() if metric in figures]
                  for seed in self.seeds(arm))
        return [float(np.mean(each)) for each in values if each]

    def latencies(self, arm: str) -> dict[tuple[str, str], dict[str, float]]:
        """Return the times of the arm's network, engine and eager_float32 [ms], by machine and the engine's precision.

        They are the lowest of all runs of a network of the same size, quickest machine first; empty without a run.
        """
        own = next((_size(self[arm, seed]) for seed in self.seeds(arm)), None)
        timed: dict[tuple[str, str], list[dict]] = {}
        for result in self.values():
            if _size(result) == own:
                machine, times = result['machine'], result['cost']['latency_ms']
                kind = machine.get('cuda_device') or machine['processor'], times['precision']
                timed.setdefault(kind, []).append(times)
        lowest = {kind: {name: min(each[name] for each in times) for name in ('engine', 'eager_float32')}
                  for kind, times in timed.items()}
        return dict(sorted(lowest.items(), key=lambda item: item[1]['engine']))

    def change(self, metric: str, arm: str, reference: str, kind: str = 'relative') -> Change | None:
        """Return the change from the reference to the arm over the towns that both have, seeds averaged.

        None where they share no comparable seed, or have no two towns with a figure.
        """
        seeds = self.comparable(arm, reference)
        runs = [[self[name, seed]['towns'] for seed in seeds] for name in (arm, reference)]
        every = [town for group in runs for town in group]
        shared = [name for name in every[0] if all(metric in each.get(name, {}) for each in every)] if every else []
        if len(shared) < 2:
            return None
        values, others = (np.mean([[each[name][metric] for name in shared] for each in group], axis=0)
                          for group in runs)
        return None if kind == 'relative' and not others.mean() else paired_change(values, others, kind)


def _size(result: Result) -> tuple:
    return tuple(result['cost']['size']), result['cost']['parameters'], result['cost']['macs']


class Verdict(NamedTuple):
    """Whether a hypothesis held; the change, where there is one; and how many seeds it rests on."""

    word: str
    change: Change | None
    seeds: int


def results_of(experiment: Experiment, steps: int | None, folders: Folders) -> Results:
    """Return the results that are there."""
    found = Results()
    for run in runs_of(experiment, steps) if steps else []:
        result = find_result(run, folders)
        if result is not None:
            found[run.arm.name, run.seed] = result
    return found


def judged(hypothesis: Hypothesis, results: Results, seeds: int) -> Verdict:
    """Judge a hypothesis, once both of its arms were run with all seeds, in the same towns; before, it is `not run`.

    `no figure` says that no two towns have the metric for both, as where classes were not learned.

    :param seeds: how many there are to be
    """
    done = len(results.comparable(hypothesis.arm, hypothesis.reference))
    change = results.change(hypothesis.metric, hypothesis.arm, hypothesis.reference, hypothesis.change)
    if done < seeds or change is None:
        return Verdict(NOT_RUN if done < seeds else NO_FIGURE, change, done)
    return Verdict(HELD if _holds(hypothesis, change) else NOT_HELD, change, done)


def _holds(hypothesis: Hypothesis, change: Change) -> bool:
    if hypothesis.at_most is not None:
        return change.value <= hypothesis.at_most and (hypothesis.interval is None or change.high < hypothesis.interval)
    return change.value >= hypothesis.at_least and (hypothesis.interval is None or change.low > hypothesis.interval)

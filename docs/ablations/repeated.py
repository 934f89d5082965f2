"""Say what runs that are made once more differ by, and whether that changes what was judged: python docs/ablations/repeated.py

Three arms of all_four were trained twice: with the arms before them, and with those named beside them in TWICE, from a start
that was trained anew, on another processor and in single precision. First the second against the first, seed by seed and
together, then the arms beside it against the second: the change of means over towns, its interval from towns where seeds are
averaged, and the figure of the rule that recommends.
"""
from __future__ import annotations

from pathlib import Path

from recommended import CLASSES, FIGURES, gain

from semdepth_ros.experiments.results import read_result
from semdepth_ros.experiments.verdicts import Results

HERE, SEEDS = Path(__file__).parent, (1, 2)
FIRST = {'semantic_noisy': 'all_four', 'plain': 'core_li2021_one_lens', 'combined': 'all_four'}
TWICE = {'semantic_noisy': ('ssfm_ranking_noisy', 'semhint_noisy', 'combined_noisy'), 'plain': ('two_stage',),
         'combined': ('combined_two_stage',)}


def changes(results: Results, arm: str, reference: str) -> str:
    """Return one line."""
    parts = []
    for metric in (*FIGURES, CLASSES, 'classes.pixel_accuracy'):
        change = results.change(metric, arm, reference)
        if change is not None:
            parts.append(f'{metric.removesuffix(".abs_rel")} {100 * change.value:+.1f} % '
                         f'[{100 * change.low:+.1f}, {100 * change.high:+.1f}]')
    return f'rule {gain(results, arm, reference):+.3f}: ' + ', '.join(parts)


def main() -> None:
    """Print the lines."""
    for twice, beside in TWICE.items():
        results = Results()
        for seed in SEEDS:
            results['again', seed] = read_result(HERE / 'all_four' / 'repeated' / f'{twice}_s{seed}.json')
            results[twice, seed] = read_result(HERE / FIRST[twice] / 'results' / f'{twice}_s{seed}.json')
            for arm in beside:
                results[arm, seed] = read_result(HERE / 'all_four' / 'results' / f'{arm}_s{seed}.json')
        for seed in SEEDS:
            one = Results({key: value for key, value in results.items() if key[1] == seed})
            print(f'again against {twice}, seed {seed}: {changes(one, "again", twice)}')
        print(f'again against {twice}: {changes(results, "again", twice)}')
        for arm in beside:
            print(f'{arm} against {twice} again: {changes(results, arm, "again")}')


if __name__ == '__main__':
    main()

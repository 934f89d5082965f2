"""Say what a run that is made once more differs by, and whether that changes what was judged: python docs/ablations/repeated.py

`semantic_noisy` of all_four was trained twice: with the arms before it, and with `ssfm_ranking_noisy`, `semhint_noisy` and
`combined_noisy`, from a start that was trained anew, on another processor and in single precision. First the second against
the first, seed by seed and together, then those arms against the second: the change of means over towns, its interval from
towns where seeds are averaged, and the figure of the rule that recommends.
"""
from __future__ import annotations

from pathlib import Path

from recommended import FIGURES, gain

from semdepth_ros.experiments.results import read_result
from semdepth_ros.experiments.verdicts import Results

FOLDER, TWICE, SEEDS = Path(__file__).parent / 'all_four', 'semantic_noisy', (1, 2)
WITH_IT = ('ssfm_ranking_noisy', 'semhint_noisy', 'combined_noisy')


def changes(results: Results, arm: str, reference: str) -> str:
    """Return one line."""
    parts = []
    for metric in (*FIGURES, 'classes.miou', 'classes.pixel_accuracy'):
        change = results.change(metric, arm, reference)
        parts.append(f'{metric.removesuffix(".abs_rel")} {100 * change.value:+.1f} % '
                     f'[{100 * change.low:+.1f}, {100 * change.high:+.1f}]')
    return f'rule {gain(results, arm, reference):+.3f}: ' + ', '.join(parts)


def main() -> None:
    """Print the lines."""
    results = Results()
    for seed in SEEDS:
        results['again', seed] = read_result(FOLDER / 'repeated' / f'{TWICE}_s{seed}.json')
        for arm in (TWICE, *WITH_IT):
            results[arm, seed] = read_result(FOLDER / 'results' / f'{arm}_s{seed}.json')
    for seed in SEEDS:
        one = Results({key: value for key, value in results.items() if key[1] == seed})
        print(f'again against {TWICE}, seed {seed}: {changes(one, "again", TWICE)}')
    print(f'again against {TWICE}: {changes(results, "again", TWICE)}')
    for arm in WITH_IT:
        print(f'{arm} against again: {changes(results, arm, "again")}')


if __name__ == '__main__':
    main()

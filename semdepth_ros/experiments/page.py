"""An experiment's page: tables and plots of whatever results are there."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from semdepth_ros.evaluation.bootstrap import Change
from semdepth_ros.evaluation.dense_evaluation import BANDS_PX, CLASS_BAND_PX, CLASSES, GROUPS, SCALINGS
from semdepth_ros.evaluation.depth_metrics import METRICS
from semdepth_ros.experiments.declaration import Arm, Experiment, Hypothesis
from semdepth_ros.experiments.markdown import MISSING, NOT_RUN, amount, change_cell, mean_cell, table
from semdepth_ros.experiments.plan import Folders
from semdepth_ros.experiments.plots import bands_plot, changes_plot
from semdepth_ros.experiments.processes import spent
from semdepth_ros.experiments.schedule import known_steps
from semdepth_ros.experiments.verdicts import Results, judged, results_of
from semdepth_ros.whole_files import written_whole

WORDS = {'unscaled': 'unscaled', 'median_scaled': 'median-scaled', 'one_scale': 'one scale a sequence'}
HEADINGS = {'abs_rel': 'Abs Rel', 'sq_rel': 'Sq Rel', 'rmse': 'RMSE', 'rmse_log': 'RMSE log', 'd1': 'd1', 'd2': 'd2',
            'd3': 'd3'}
CHANGES = {'median_scaled.all.abs_rel': 'all pixels',
           'median_scaled.within_border_5px.abs_rel': 'within 5 px of a border',
           'median_scaled.beyond_border_5px.abs_rel': 'beyond 5 px', 'median_scaled.thin.abs_rel': 'thin',
           'median_scaled.movable.abs_rel': 'movable', 'median_scaled.class_mean.abs_rel': 'mean of classes',
           'depth_borders.f_score': 'F-score of depth borders', 'classes.miou': 'mIoU'}
HIGHER_IS_BETTER = ('depth_borders.f_score', 'classes.miou')


def write_page(experiment: Experiment, folders: Folders) -> Path:
    """Write README.md and its plots into the experiment's folder; return the page's path.

    The same results make the same bytes.
    """
    folder = folders.docs / experiment.name
    steps = known_steps(experiment, folders)
    results = results_of(experiment, steps, folders)
    changes = {CHANGES[metric]: by_arm for metric, by_arm in _changes(experiment, results).items()}
    plots = {'changes.svg': changes_plot(changes, [CHANGES[metric] for metric in HIGHER_IS_BETTER]),
             'bands.svg': bands_plot(_bands(experiment, results))}
    for name, svg in plots.items():
        written_whole(folder / name, lambda path, svg=svg: path.write_text(svg, encoding='utf-8'))
    text = page(experiment, steps, results)
    written_whole(folder / 'README.md', lambda path: path.write_text(text, encoding='utf-8'))
    return folder / 'README.md'


def page(experiment: Experiment, steps: int | None, results: Results) -> str:
    """Return the page as Markdown."""
    intervals = ('Relative change against the arm each is compared with, seeds averaged, and its 95 % interval over '
                 'towns (paired bootstrap). Errors fall and scores rise where an arm is better.')
    sections = {
        'Hypotheses': [_hypotheses(experiment, results)],
        'Arms': [_arms(experiment, results)],
        'Changes': [_change_table(experiment, results), intervals, '![changes](changes.svg)'],
        'Depth in the test towns': _depth(experiment, results),
        'At borders': [_borders(experiment, results), '![Abs Rel by distance from a border](bands.svg)'],
        'By class': [_by_class(experiment, results)],
        'Real frames': [_real(experiment, results)],
        'Cost': [_cost(experiment, results)],
        'How it was run': [_how(experiment, results)]}
    parts = [f'# {experiment.title or experiment.name}', experiment.about.strip(), _declared(experiment, steps)]
    for title, texts in sections.items():
        if texts[0]:
            parts += [f'## {title}', *texts]
    return '\n\n'.join(part for part in parts if part) + '\n'


def _declared(experiment: Experiment, steps: int | None) -> str:
    towns, start = experiment.towns, experiment.start
    length = f'{steps} steps' if steps else f'steps that fill {experiment.minutes:g} minutes on average, not found yet'
    begun = f'all arms of a seed start from `{start.arm}` trained for {start.steps} steps' if start else \
        'every arm starts from fresh weights'
    return (f'Declared in `{experiment.name}.yaml`, its hypotheses before the runs; what the figures are is '
            f'in [ABLATIONS.md](../../ABLATIONS.md). Recipe `{Path(experiment.recipe).stem}`; {begun}, and train for '
            f'{length}. {len(experiment.seeds)} seeds; {towns.count} test towns of {towns.frames} frames at '
            f'{towns.size[0]}x{towns.size[1]}. Figures are means over towns and seeds; ± is half of what seeds differ '
            f'by.')


def _hypotheses(experiment: Experiment, results: Results) -> str:
    rows = []
    for hypothesis in experiment.hypotheses:
        verdict = judged(hypothesis, results, len(experiment.seeds))
        seeds = '' if verdict.seeds == len(experiment.seeds) else f' ({verdict.seeds} of {len(experiment.seeds)} seeds)'
        found = change_cell(verdict.change, hypothesis.change) or MISSING
        rows.append([hypothesis.text, f'`{hypothesis.metric}`', f'`{hypothesis.arm}` against `{hypothesis.reference}`',
                     _wanted(hypothesis), found, f'**{verdict.word}**{seeds}'])
    return table(['', 'metric', 'arms', 'wanted', 'found [95 % interval]', ''], rows)


def _wanted(hypothesis: Hypothesis) -> str:
    most, least = hypothesis.at_most, hypothesis.at_least
    limit = f'at most {amount(most, hypothesis.change)}' if most is not None else \
        f'at least {amount(least, hypothesis.change)}'
    if hypothesis.interval is None:
        return limit
    side = 'below' if most is not None else 'above'
    return f'{limit}, interval {side} {amount(hypothesis.interval, hypothesis.change, sign=False)}'


def _arms(experiment: Experiment, results: Results) -> str:
    rows = []
    for arm in experiment.arms:
        done, against = len(results.seeds(arm.name)), f'`{arm.against}`' if arm.against else MISSING
        rows.append([f'`{arm.name}`', arm.about, against, arm.data or next(iter(experiment.data)),
                     f'{done} of {len(experiment.seeds)}' if done else NOT_RUN])
    text = table(['arm', 'what it is', 'compared with', 'training data', 'seeds run'], rows)
    return text + ''.join(f'\n\n{line}' for arm in experiment.arms if arm.filter for line in [_left_out(arm, results)])


def _left_out(arm: Arm, results: Results) -> str:
    """Return how many images an arm with a filter was not trained on, of every seed that was run."""
    counts = [(seed, results[arm.name, seed].get('flagged')) for seed in results.seeds(arm.name)]
    known = [(seed, count['flagged'], count['images']) for seed, count in counts if count]
    shares = ', '.join(f'{few} of {all_} ({100 * few / all_:.1f} %) with seed {seed}' for seed, few, all_ in known)
    return f'`{arm.name}` learns from what `{arm.filter.by}` sees no holes in. Images left out: {shares or NOT_RUN}.'


def _change_table(experiment: Experiment, results: Results) -> str:
    changes = _changes(experiment, results)
    rows = []
    for arm in experiment.arms:
        if arm.against:
            missing = MISSING if results.seeds(arm.name, arm.against) else NOT_RUN
            cells = [change_cell(changes[metric].get(arm.name), 'relative') or missing for metric in CHANGES]
            rows.append([f'`{arm.name}` against `{arm.against}`', *cells])
    return table(['', *CHANGES.values()], rows)


def _changes(experiment: Experiment, results: Results) -> dict[str, dict[str, Change | None]]:
    return {metric: {arm.name: results.change(metric, arm.name, arm.against) for arm in experiment.arms if arm.against}
            for metric in CHANGES}


def _depth(experiment: Experiment, results: Results) -> list[str]:
    return [text for scaling in SCALINGS for text in (
        f'All pixels, {WORDS[scaling]}:',
        _figure_table(experiment, results, {HEADINGS[m]: f'{scaling}.all.{m}' for m in METRICS}))]


def _borders(experiment: Experiment, results: Results) -> str:
    columns = {}
    for scaling in reversed(SCALINGS):
        for px in BANDS_PX if scaling == 'median_scaled' else (5,):
            for side in ('within', 'beyond'):
                columns[f'{side} {px} px, {WORDS[scaling]}'] = f'{scaling}.{side}_border_{px}px.abs_rel'
    columns |= {f'{side} 5 px of a movable thing, median-scaled': f'median_scaled.{side}_movable_border_5px.abs_rel'
                for side in ('within', 'beyond')}
    columns |= {f'depth borders: {name.replace("_", "-")}': f'depth_borders.{name}'
                for name in ('precision', 'recall', 'f_score')}
    return 'Abs Rel, and how well breaks of depth lie on true ones:\n\n' + _figure_table(experiment, results, columns)


def _by_class(experiment: Experiment, results: Results) -> str:
    groups = {f'{group}, {WORDS[scaling]}': f'{scaling}.{group}.abs_rel' for scaling in reversed(SCALINGS)
              for group in (*GROUPS, 'class_mean')}
    groups |= {'far vehicles': 'far_vehicles.rate', 'below ground': 'below_ground.rate', 'mIoU': 'classes.miou',
               'pixels right': 'classes.pixel_accuracy'}
    groups = {name.replace('class_mean', 'mean of classes'): metric for name, metric in groups.items()}
    text = ('Abs Rel of groups of classes, the rates of vehicles at over twice their depth and of pixels below the '
            'ground, and classes themselves:\n\n')
    text += _figure_table(experiment, results, groups)
    for title, pattern in (('Abs Rel, median-scaled', 'median_scaled.{}.abs_rel'),
                           (f'The same within {CLASS_BAND_PX} px of a border',
                            f'median_scaled.{{}}_within_border_{CLASS_BAND_PX}px.abs_rel'), ('IoU', 'classes.{}')):
        columns = {name.replace('_', ' '): pattern.format(name) for name in CLASSES}
        seen = {name: m for name, m in columns.items() if any(results.by_seed(m, arm.name) for arm in experiment.arms)}
        if seen:
            text += f'\n\n{title}, of every class:\n\n{_figure_table(experiment, results, seen)}'
    return text


def _real(experiment: Experiment, results: Results) -> str:
    rows = []
    for arm in experiment.arms:
        for name in experiment.real if arm.given == 'prediction' else ():
            parts = [results[arm.name, seed].get('real', {}).get(name) for seed in results.seeds(arm.name)]
            rows.append([f'`{arm.name}`', name, *_real_cells([part for part in parts if part])])
    return table(['arm', 'frames', *(f'Abs Rel {WORDS[s]}' for s in ('unscaled', 'one_scale', 'median_scaled')),
                   'RMSE median-scaled', 'd1 median-scaled', 'mIoU'], rows)


def _real_cells(parts: list[dict]) -> list[str]:
    places = [('depth', scaling, 'abs_rel') for scaling in ('unscaled', 'one_scale', 'median_scaled')]
    places += [('depth', 'median_scaled', 'rmse'), ('depth', 'median_scaled', 'd1')]
    places.append(('semantics', 'miou'))
    return [mean_cell(_reach(part, *place) for part in parts) if parts else NOT_RUN for place in places]


def _reach(part: dict, *keys: str) -> float | None:
    for key in keys:
        part = part.get(key) if isinstance(part, dict) else None
    return part


def _cost(experiment: Experiment, results: Results) -> str:
    rows = []
    for arm in experiment.arms:
        if not results.seeds(arm.name):
            rows.append([f'`{arm.name}`', *[NOT_RUN] * 6])
            continue
        costs = [results[arm.name, seed]['cost'] for seed in results.seeds(arm.name)]
        cost, file_mb = costs[0], next((f'{each["file_mb"]:.1f} MB' for each in costs if 'file_mb' in each), MISSING)
        (machine, precision), times = next(iter(results.latencies(arm.name).items()))
        rows.append([f'`{arm.name}`', f'{cost["parameters"] / 1e6:.2f} M', f'{cost["macs"] / 1e9:.2f} G', file_mb,
                     f'{times["engine"]:.1f} ({precision})', f'{times["eager_float32"]:.1f}', machine])
    note = ('Of one image through depth and classes, without the pose network. Times are medians of 30 runs in '
            'milliseconds, the lowest of all arms and seeds with such a network, while other runs may have been going '
            'on; compare those of one machine. The file has the pose network and probe frames too.\n\n')
    return note + table(['arm', 'parameters', 'MACs', 'model file', 'engine', 'as it is, float32', 'on'], rows)


def _how(experiment: Experiment, results: Results) -> str:
    rows = []
    for arm, seed in sorted(results, key=lambda run: (experiment.arm_names.index(run[0]), run[1])):
        result = results[arm, seed]
        machine = result['machine']
        threads = f'{machine["processor"]}, {machine["threads"]} of {machine["cores"]} threads'
        where = machine.get('cuda_device') or threads
        took = MISSING if result.get('seconds') is None else spent(result['seconds'])
        rows.append([f'`{arm}`', seed, result['steps'], result['start_steps'], took,
                     ', '.join(result.get('fresh', ())) or MISSING, f'`{result["code"]}`',
                     f'{where}, torch {machine["torch"]}', result['experiment']])
    text = table(['arm', 'seed', 'steps', 'after', 'trained', 'started fresh', 'code', 'machine', 'experiment'], rows)
    return text + ''.join(f'\n\n**{warning}**' for warning in _mixed(experiment, results))


def _mixed(experiment: Experiment, results: Results) -> list[str]:
    """Return warnings where runs differ in more than their arms: in renderings, starts, segmenters or precision."""
    towns = {str(sorted(result.get('rendering', {}).items())) for result in results.values()}
    learned: dict[str, set[str]] = {}
    for (arm, _), result in results.items():
        learned.setdefault(experiment.arm(arm).data, set()).add(result.get('data', ''))
    warnings = ['Not all runs were compared with the same renderings of the test towns: the world has changed between '
                'them.'] * (len(towns) > 1)
    warnings += ['Not all runs learned from the same renderings: the world has changed between them.'] * any(
        len(digests) > 1 for digests in learned.values())
    begun: dict[tuple[int, str], list[str]] = {}
    for (arm, seed), result in results.items():
        begun.setdefault((seed, result.get('start', '')), []).append(f'`{arm}`')
    for seed in experiment.seeds:
        groups = sorted((arms for (of, _), arms in begun.items() if of == seed), key=len)
        if len(groups) > 1:
            warnings.append(f'Not all runs of seed {seed} began from the same start, which was trained anew between them: '
                            f'{"; and ".join(map(", ".join, groups[:-1]))} from another than the rest.')
    guided: dict[str, set[str]] = {}
    for (arm, seed), result in results.items():
        if 'segmenter' in result:
            guided.setdefault(result['segmenter'], set()).add(f'`{arm}` (seed {seed})')
    if len(guided) > 1:
        groups = '; and '.join(', '.join(sorted(each)) for each in guided.values())
        warnings.append(f'Not all runs with a segmenter were guided by the same one, or it was trained anew: {groups}.')
    asked = experiment.set.get('precision', '32-true')
    other = sorted({f'`{arm}` (seed {seed}, {result["precision"]})' for (arm, seed), result in results.items()
                    if result.get('precision', asked) != asked})
    return warnings + [f'Not all runs were trained in {asked}: {", ".join(other)}.'] * (0 < len(other) < len(results))


def _figure_table(experiment: Experiment, results: Results, columns: dict[str, str]) -> str:
    rows = []
    for arm in experiment.arms:
        figures = [mean_cell(results.by_seed(metric, arm.name)) for metric in columns.values()]
        rows.append([f'`{arm.name}`', *(figures if results.seeds(arm.name) else [NOT_RUN] * len(columns))])
    return table(['arm', *columns], rows)


def _bands(experiment: Experiment, results: Results) -> dict[str, list[float]]:
    """Return Abs Rel within 2, 5 and 10 px of a border and beyond 10, by arm."""
    metrics = [f'median_scaled.within_border_{px}px.abs_rel' for px in BANDS_PX]
    metrics.append(f'median_scaled.beyond_border_{BANDS_PX[-1]}px.abs_rel')
    curves = {arm.name: [results.by_seed(metric, arm.name) for metric in metrics] for arm in experiment.arms}
    return {name: [float(np.mean(values)) for values in curve] for name, curve in curves.items() if all(curve)}

"""A study of the learner as a page: tables and a plot of whatever results are there."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from semdepth_ros.evaluation.bootstrap import Change, paired_change
from semdepth_ros.experiments.adaptation_study import Cell, Study
from semdepth_ros.experiments.adaptation_study_run import StudyFolders, known_result
from semdepth_ros.experiments.adaptation_scale import MOST_SIGMAS
from semdepth_ros.experiments.markdown import MISSING, NOT_RUN, amount, change_cell, table
from semdepth_ros.experiments.plots import changes_plot
from semdepth_ros.whole_files import written_whole

BLOCK = 10          # frames whose mean counts as one value: neighbours are alike
OURS, OFFLINE = 'ours', 'offline'
LEAST_GAP = 0.05    # between the frozen model and the reference; of a smaller one no share is said
Results = dict[Cell, dict[str, Any]]


def write_study_page(study: Study, folders: StudyFolders) -> Path:
    """Write README.md and its plot into the study's folder; return the page's path.

    The same results make the same bytes.
    """
    found = {cell: known_result(study, cell, folders) for cell in study.cells()}
    results = {cell: result for cell, result in found.items() if result is not None}
    drives = [name for name, drive in study.drives.items() if drive.final]
    arms = [name for name in study.arms if name != OFFLINE]
    changes = {drive: {arm: change_of(results.get(Cell(drive, arm))) for arm in arms} for drive in drives}
    if any(change for by_arm in changes.values() for change in by_arm.values()):
        svg = changes_plot(changes)
        written_whole(folders.docs / 'changes.svg', lambda path: path.write_text(svg, encoding='utf-8'))
    text = study_page(study, results, any(c for by_arm in changes.values() for c in by_arm.values()))
    written_whole(folders.docs / 'README.md', lambda path: path.write_text(text, encoding='utf-8'))
    return folders.docs / 'README.md'


def study_page(study: Study, results: Results, plot: bool) -> str:
    """Return the page as Markdown."""
    final = [name for name, drive in study.drives.items() if drive.final]
    looked = [name for name in study.drives if name not in final]
    missing = [f'{cell.drive} / {cell.arm}' for cell in study.cells() if cell not in results]
    parts = [f'# {study.title or study.name}', study.about.strip(), _declared(study),
             f'Not run: {", ".join(missing) if results else "all of it"}.' if missing else '',
             table(['Drive', 'What'], [[n, study.drives[n].about] for n in final if study.drives[n].about]),
             table(['Arm', 'What'], [[name, arm.about] for name, arm in study.arms.items()])]
    sections = {'Last third': _last_third(study, final, results),
                'Arms': _arms(study, final, results) + ['![changes](changes.svg)'] * plot,
                'Held-out photometric error': _held_out(study, final, results),
                'Metric scale': _metric(final, results),
                'What the learner did': _decisions(study, final, results),
                'Trials': _trials(final, results),
                'Drives that were looked at while settings were chosen': [
                    *_last_third(study, looked, results), *_decisions(study, looked, results)] if looked else []}
    for title, texts in sections.items():
        if any(texts):
            parts += [f'## {title}', *texts]
    return '\n\n'.join(part for part in parts if part) + '\n'


def change_of(result: dict[str, Any] | None) -> Change | None:
    """Return the relative change of Abs Rel from the frozen to the served weights over the last third's blocks."""
    served, frozen = (_blocks(result, name) for name in ('served', 'frozen'))
    return None if len(frozen) < 2 else paired_change(served, frozen)


def _blocks(result: dict[str, Any] | None, name: str) -> np.ndarray:
    values = np.array(((result or {}).get('frame_abs_rel') or {}).get(name, ()))
    return values[:len(values) // BLOCK * BLOCK].reshape(-1, BLOCK).mean(axis=1)


def share_closed(ours: dict[str, Any], offline: dict[str, Any] | None) -> float | None:
    """Return the share of the gap to the offline reference that weights alone close; None below LEAST_GAP."""
    if offline is None:
        return None
    frozen, best = (_abs_rel(one, 'frozen') for one in (ours, offline))
    if frozen is None or best is None or frozen - best < LEAST_GAP * frozen:
        return None
    return (frozen - _abs_rel(ours, 'weights_only')) / (frozen - best)


def _declared(study: Study) -> str:
    return (f'Declared in `config/studies/{study.name}.yaml`; every run is a file in `results/`. A frame counts with '
            f'the weights that were promoted before it came. Intervals: 95 %, paired bootstrap over blocks of {BLOCK} '
            f'frames; negative is better.')


def _last_third(study: Study, drives: list[str], results: Results) -> list[str]:
    rows, scaled = [], []
    learners = [name for name, arm in study.arms.items() if not arm.baseline and name != OFFLINE]
    for drive in drives:
        offline = results.get(Cell(drive, OFFLINE))
        for arm in learners:
            result = results.get(Cell(drive, arm))
            if result is None and arm == OURS:
                rows.append([drive, arm, NOT_RUN])
            if result is None or _abs_rel(result, 'frozen') is None:
                continue
            reference = offline if offline and offline['factory'] == result['factory'] else None
            share = share_closed(result, reference)
            rows.append([drive, arm, _figure(result, 'frozen'), _figure(result, 'weights_only'),
                         change_cell(change_of(result), 'relative'),
                         MISSING if reference is None else _figure(reference, 'frozen'),
                         MISSING if share is None else f'{100 * share:.0f} %'])
            scaled.append([drive, arm, *(_figure(result, column, 'unscaled')
                                         for column in ('frozen', 'scale_only', 'weights_only', 'adapted'))])
    texts = []
    if scaled or all(study.drives[d].preset for d in drives):
        texts = ['Abs Rel, every frame median-scaled: what weights do to the shape of depth.',
                 table(['Drive', 'Arm', 'Frozen', 'Weights alone', 'Change', 'Fine-tuned offline', 'Gap closed'],
                       [row + [''] * (7 - len(row)) for row in rows])]
    if scaled:
        texts += ['Abs Rel unscaled: what scale and weights do to metres.',
                  table(['Drive', 'Arm', 'Frozen', 'Scale alone', 'Weights alone', 'Both'], scaled)]
    return texts


def _arms(study: Study, drives: list[str], results: Results) -> list[str]:
    arms = [name for name in study.arms if name != OFFLINE]

    def rows(cell: Callable[[dict[str, Any]], str]) -> list[list[str]]:
        lines = []
        for arm in arms:
            taken = study.arms[arm].on or tuple(study.drives)
            lines.append([arm, *(MISSING if drive not in taken else NOT_RUN if Cell(drive, arm) not in results
                                 else cell(results[Cell(drive, arm)]) for drive in drives)])
        return lines

    texts = []
    if any(change_of(r) for r in results.values()):
        texts += ['Change of Abs Rel over the last third, median-scaled, weights alone.',
                  table(['Arm', *drives], rows(lambda r: change_cell(change_of(r), 'relative') or MISSING)),
                  f'Worst block of {BLOCK} frames: Abs Rel of the served weights against the frozen ones.',
                  table(['Arm', *drives], rows(_worst))]
    if study.after:
        texts += [f'What was forgotten: Abs Rel on `{study.after.source}` ({study.after.frames} frames, median-scaled) '
                  f'of the weights served at the end, against the frozen ones.',
                  table(['Arm', *drives], rows(_forgotten))]
    return texts


def _worst(result: dict[str, Any]) -> str:
    served, frozen = (_blocks(result, name) for name in ('served', 'frozen'))
    return amount(float(np.max(served / frozen)) - 1, 'relative') if len(frozen) else MISSING


def _forgotten(result: dict[str, Any]) -> str:
    after = result.get('after') or {}
    if 'median_scaled' not in after.get('frozen', {}):
        return MISSING
    return amount(after['served']['median_scaled'] / after['frozen']['median_scaled'] - 1, 'relative')


def _held_out(study: Study, drives: list[str], results: Results) -> list[str]:
    rows = []
    for cell, result in results.items():
        if cell.drive in drives and cell.arm != OFFLINE:
            for part in ('all', 'last_third', 'after_promotion'):
                errors = result['held_out'].get(part)
                if errors and not (part == 'after_promotion' and study.arms[cell.arm].baseline):
                    rows.append([cell.drive, cell.arm, part.replace('_', ' '), errors['blocks'],
                                 f'{errors["frozen"]:.4f}', f'{errors["served"]:.4f}',
                                 amount(errors['served_over_frozen'] - 1, 'relative')])
    return ['Mean over held-out blocks as they came, no frame of which was trained on.',
            table(['Drive', 'Arm', 'Blocks', 'Count', 'Frozen', 'Served', 'Change'], rows)] if rows else []


def _metric(drives: list[str], results: Results) -> list[str]:
    """Return what the learner's own scale was worth, from the runs that say so."""
    rows = []
    for cell, result in results.items():
        said = result.get('metric_scale', {}).get('served', {})
        if cell.drive in drives and cell.arm != OFFLINE and said.get('frames'):
            worth = ([f'{100 * said["metric_error"]:.1f} %', f'{100 * said["metric_worst"]:.1f} %', said['metric_wrong']]
                     if said['metric'] else [MISSING] * 3)
            rows.append([cell.drive, cell.arm, said['frames'], f'{100 * said["error"]:.1f} %',
                         f'{100 * said["metric"]:.0f} %', *worth])
    return [f'The scale of the served weights that the learner says, fused from what the drive has, against the truth: how far '
            f'the median depth of a frame is off once scaled. Wrong are frames said to be metric and further off than '
            f'{MOST_SIGMAS} times the sigma that was said.',
            table(['Drive', 'Arm', 'Frames', 'Off, median', 'Said to be metric', 'Then off, median', 'At worst', 'Wrong'],
                  rows)] if rows else []


def _decisions(study: Study, drives: list[str], results: Results) -> list[str]:
    rows = []
    for cell, r in results.items():
        if cell.drive in drives and cell.arm != OFFLINE:
            gates = ', '.join(f'{name} {count}' for name, count in sorted(r['gates'].items(), key=lambda i: -i[1]))
            refused = ', '.join(f'{name} {count}' for name, count in sorted(r['refused'].items()))
            rows.append([cell.drive, cell.arm, r['frames'], f'{r["accepted_steps"]} of {r["steps"]}',
                         MISSING if r['last_step'] is None else r['last_step'], r['promotions'], r['rollbacks'],
                         refused or MISSING, r['resets'], gates or MISSING,
                         *(MISSING if r.get(name) is None else f'{r[name]:.0f}'
                           for name in ('ms_per_step', 'processor_ms_per_step'))])
    heads = ['Drive', 'Arm', 'Frames', 'Steps kept', 'Last at frame', 'Promoted', 'Rolled back',
             'Trials refused by', 'Resets', 'Turned away', 'ms a step', 'of the processor']
    said = ('A step is the whole of a frame in which one is taken, with all that the learner does there; ms as they '
            'passed, beside whatever else the machine did, and ms of the processor.')
    return [table(heads, rows), said] if rows else []


def _trials(drives: list[str], results: Results) -> list[str]:
    rows = [[cell.drive, cell.arm, trial['frame'], 'promoted' if trial['passed'] else 'refused', trial['reason']]
            for cell, result in results.items() if cell.drive in drives for trial in result['trials']]
    return [table(['Drive', 'Arm', 'At frame', 'Verdict', 'Why'], rows)] if rows else []


def _abs_rel(result: dict[str, Any] | None, column: str, scaling: str = 'median_scaled') -> float | None:
    return None if result is None else result['abs_rel']['last_third'].get(column, {}).get(scaling)


def _figure(result: dict[str, Any] | None, column: str, scaling: str = 'median_scaled') -> str:
    value = _abs_rel(result, column, scaling)
    return (NOT_RUN if result is None else MISSING) if value is None else f'{value:.3f}'

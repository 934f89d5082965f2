"""A run of the learner as one page: what it decided, and why, drawn from its journal."""
from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

from semdepth_ros.adaptation import read_journal
from semdepth_ros.evaluation.report_style import STYLE
from semdepth_ros.experiments.adaptation_run import COLUMNS, JOURNAL, RESULT
from semdepth_ros.experiments.timeline import Mark, Series, timeline
from semdepth_ros.whole_files import read_json, written_whole

PAGE = 'report.html'
MARKED = {'promotion': ('promoted', '#3a8f4d'), 'rollback': ('rolled back', '#c4512d'), 'reset': ('reset', '#8b5fbf'),
          'confirmed': ('confirmed', '#1f6fb2')}


def write_page(folder: Path) -> Path:
    """Draw a run's journal; return the page's path.

    :raises ValueError: the folder holds no run
    """
    lines = list(read_journal(folder / JOURNAL))
    if not lines:
        raise ValueError(f'{folder} holds no run: expected {folder / JOURNAL}')
    text = page(lines, read_json(folder / RESULT) or {})
    written_whole(folder / PAGE, lambda path: path.write_text(text, encoding='utf-8'))
    return folder / PAGE


def page(lines: list[dict[str, Any]], result: dict[str, Any]) -> str:
    """Return the page's HTML text.

    :param lines: of a journal
    :param result: what adapt_drive returned; empty where a run did not come to its end, or ran on a robot
    """
    title = f'Adaptation: {result.get("drive", "journal")}'
    return f'''<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{escape(title)}</title><style>{STYLE} svg {{ max-width: 100%; height: auto; }}</style></head><body><main>
<header><h1>{escape(title)}</h1><p>{escape(result.get('last_verdict') or _last_verdict(lines))}</p></header>
{_facts(lines, result)}{sections(lines)}{_accuracy(result)}
</main></body></html>
'''


def sections(lines: list[dict[str, Any]]) -> str:
    """Return what a journal says of a run as HTML: curves, trials and gates."""
    return f'{_plots(lines)}{_trials(lines)}{_gates(lines)}'


def _facts(lines: list[dict], result: dict) -> str:
    counted = {name + 's': sum(line['event'] == name for line in lines)
               for name in ('trial', 'promotion', 'rollback', 'reset')}
    facts = {'frames': 1 + max(line['frame'] for line in lines),
             'steps kept': sum(line.get('taken', 0) for line in lines), **counted}
    if result.get('ms_per_step'):
        facts['ms per step'] = round(result['ms_per_step'])
    items = ''.join(f'<li><span>{escape(name)}</span><b>{value}</b></li>' for name, value in facts.items())
    return f'<ul class="facts">{items}</ul>'


def _plots(lines: list[dict]) -> str:
    frames = 1 + max(line['frame'] for line in lines)
    marks = [Mark(line['frame'], *MARKED[line['event']]) for line in lines if line['event'] in MARKED]
    steps = [line for line in lines if line['event'] == 'step' and line.get('losses')]
    blocks = [line for line in lines if line['event'] == 'block']
    accuracy = [line for line in lines if line['event'] == 'accuracy']
    watched = [line for line in lines if line['event'] == 'watch']
    panels = [
        ('Loss of each step, weighted', [_series(steps, lambda s, n=name: s['losses'].get(n), name)
                                         for name in ('total', 'photometric', 'anchored', 'distillation')]),
        ('Photometric error of held-out blocks', [_series(blocks, lambda b, n=name: b['errors'].get(n), name)
                                                  for name in ('factory', 'served')]),
        ('Abs Rel against the truth, every frame median-scaled',
         [_series(accuracy, lambda a, n=name: a.get(n), name) for name in ('frozen', 'served')]),
        ('Served against previous weights while watched, relative change of photometric error',
         [_series(watched, lambda w: w.get('loss'), 'median since the promotion')]),
        ("Odometry's metres over the network's own", [_series(steps, lambda s: s.get('scale'), 'scale')]),
        ('Distance of the trial weights from the factory weights, relative',
         [_series(steps, lambda s: s.get('change'), 'change')]),
    ]
    drawn = [(name, [s for s in series if s.points]) for name, series in panels]
    return ''.join(f'<div class="part"><h3>{escape(name)}</h3>{timeline(series, marks, frames)}</div>'
                   for name, series in drawn if series)


def _series(lines: list[dict], value, name: str) -> Series:
    points = [(line['frame'], value(line)) for line in lines]
    return Series(name, tuple((x, y) for x, y in points if y is not None))


def _trials(lines: list[dict]) -> str:
    rows = ''
    for line in (line for line in lines if line['event'] == 'trial'):
        said = ''.join(f'<tr><td>{"✓" if c["passed"] else "✗"} {escape(c["name"].replace("_", " "))}</td>'
                       f'<td>{escape(c["words"])}</td></tr>' for c in line['criteria'])
        verdict = 'passed' if line['passed'] else 'not passed'
        rows += (f'<div class="part"><h3>Trial at frame {line["frame"]}: {verdict}</h3>'
                 f'<div class="scroll"><table><tbody>{said}</tbody></table></div></div>')
    return rows and f'<section id="trials"><h2>Trials</h2>{rows}</section>'


def _gates(lines: list[dict]) -> str:
    closed: dict[str, list[dict]] = {}
    for line in lines:
        if line['event'] == 'gate':
            closed.setdefault(line['gate'], []).append(line)
        elif line['event'] == 'step' and line['closed']:
            closed.setdefault(line['closed'], []).append({'reason': 'a step was not taken, or taken back'})
    rows = ''.join(f'<tr><td>{escape(name)}</td><td>{len(found)}</td><td>{escape(found[-1]["reason"])}</td></tr>'
                   for name, found in sorted(closed.items(), key=lambda item: -len(item[1])))
    return rows and _table('gates', 'Gates', ('Gate', 'Turned away', 'Last reason'), rows)


def _accuracy(result: dict) -> str:
    rows = ''
    for part, columns in (('all frames', result), ('last third', result.get('last_third', {})),
                          ('seen again', result.get('seen_again', {}))):
        for name in COLUMNS:
            depth = columns[name]['sequences'][0].get('depth', {}) if name in columns else {}
            if 'unscaled' in depth:
                scalings = ('unscaled', 'one_scale', 'median_scaled')
                cells = ''.join(f'<td>{depth[scaling]["abs_rel"]:.3f}</td>' for scaling in scalings)
                rows += f'<tr><td>{part}: {escape(name.replace("_", " "))}</td><td>{depth["frames"]}</td>{cells}</tr>'
    heads = ('', 'Frames with truth', 'Abs Rel unscaled', 'one scale', 'median-scaled')
    return rows and _table('accuracy', 'Against the truth', heads, rows)


def _table(anchor: str, title: str, heads: tuple[str, ...], rows: str) -> str:
    head = ''.join(f'<th>{name}</th>' for name in heads)
    return (f'<section id="{anchor}"><h2>{title}</h2><div class="part"><div class="scroll"><table><thead><tr>'
            f'{head}</tr></thead><tbody>{rows}</tbody></table></div></div></section>')


def _last_verdict(lines: list[dict]) -> str:
    said = [line for line in lines if line['event'] in ('promotion', 'rollback', 'trial')]
    return json.dumps(said[-1].get('reason', '')).strip('"') if said else 'no trial was held'

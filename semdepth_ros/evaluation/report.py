"""A report in one HTML file: tables, pictures and the protocol; nothing is fetched from elsewhere."""
from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path

import cv2
import numpy as np

from semdepth_ros import __version__
from semdepth_ros.classes import CITYSCAPES
from semdepth_ros.data.pictures import write_picture
from semdepth_ros.evaluation.depth_metrics import METRICS
from semdepth_ros.evaluation.report_style import STYLE

SCALINGS = ('unscaled', 'one_scale', 'median_scaled')  # in the order of the tables
HEADINGS = {'abs_rel': 'Abs Rel', 'sq_rel': 'Sq Rel [m]', 'rmse': 'RMSE [m]', 'rmse_log': 'RMSE log',
            'd1': 'δ &lt; 1.25', 'd2': 'δ &lt; 1.25²', 'd3': 'δ &lt; 1.25³'}
WORDS = {'unscaled': 'unscaled', 'one_scale': 'one scale a sequence', 'median_scaled': 'every frame median-scaled'}
_COLOUR = {c.name: '#{:02x}{:02x}{:02x}'.format(*c.colour) for c in CITYSCAPES}


def write_report(path: str | Path, result: dict, pages: Mapping[str, Mapping[str, np.ndarray]] | None = None,
                 title: str = 'Depth and classes', lead: str = '') -> Path:
    """Write an evaluation as one HTML file, and its pictures as PNG files in pictures/ beside it.

    :param path: the file to write, or a folder that gets report.html
    :param result: what evaluate returned; further keys of a top-level number are shown, to three digits unless whole
    :param pages: pictures rgb uint8 [H, W, 3] by caption, by sequence, as an Album has them
    :param lead: HTML that comes before the summary
    :raises OSError: the file cannot be written
    """
    path = Path(path)
    path = path if path.suffix == '.html' else path / 'report.html'
    path.parent.mkdir(parents=True, exist_ok=True)
    pages = pages or {}
    _write_pictures(path.parent / 'pictures', pages)
    temporary = path.with_name(path.name + '.partial')
    temporary.write_text(report_html(result, pages, title, lead), encoding='utf-8')
    temporary.replace(path)
    return path


def report_html(result: dict, pages: Mapping[str, Mapping[str, np.ndarray]], title: str = 'Depth and classes',
                lead: str = '') -> str:
    """Return the report's HTML text."""
    numbers = {name: value for name, value in result.items() if isinstance(value, (int, float))}
    sections = [_section(sequence, pages.get(sequence['name'], {})) for sequence in result['sequences']]
    return f'''<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{escape(title)}: {escape(str(result['model']))}</title>
<style>{STYLE} svg {{ max-width: 100%; height: auto; }}</style></head><body><main>
<header><h1>{escape(title)}</h1><p>Model <strong>{escape(str(result['model']))}</strong>, {len(result['sequences'])}
sequence{'s' if len(result['sequences']) != 1 else ''}, {sum(s['frames'] for s in result['sequences'])} frames.
semdepth_ros {__version__}.</p></header>
{_facts(numbers)}{lead}{_summary(result['sequences'])}
{''.join(sections)}
{_protocol(result.get('protocol', {}))}
</main></body></html>
'''


def _summary(sequences: list[dict]) -> str:
    depth = [[_link(s['name']), s['depth']['frames'], *(_number(s['depth'][k]['abs_rel']) for k in SCALINGS),
              _number(s['depth']['median_scaled']['rmse'], 2), _number(s['depth']['median_scaled']['d1']),
              _number(s['depth']['scale_ratio']['median']), _percent(s['depth']['scale_ratio']['std_over_mean'])]
             for s in sequences if 'unscaled' in s.get('depth', {})]
    classes = [[_link(s['name']), s['semantics']['frames'], _number(s['semantics']['miou']),
                _percent(s['semantics']['pixel_accuracy'])] for s in sequences if 'semantics' in s]
    latency = [[_link(s['name']), s['frames'], *(_number(s['latency_ms'][p], 1) for p in ('p50', 'p95', 'p99'))]
               for s in sequences if 'latency_ms' in s]
    heads = ['Sequence', 'Frames<br>with truth']
    return '<section id="summary"><h2>Summary</h2>' + ''.join([
        _table([*heads, 'Abs Rel<br>unscaled', 'Abs Rel<br>one scale', 'Abs Rel<br>median-scaled',
                'RMSE [m]<br>median-scaled', 'δ &lt; 1.25<br>median-scaled', 'true / perceived<br>scale',
                'scale<br>flicker'], depth, 'Depth'),
        _table([*heads, 'mIoU', 'Pixel accuracy'], classes, 'Classes'),
        _table(['Sequence', 'Frames', 'p50 [ms]', 'p95 [ms]', 'p99 [ms]'], latency, 'Latency')]) + '</section>'


def _section(sequence: dict, pictures: Mapping[str, np.ndarray]) -> str:
    parts = [_by_range(sequence), _semantics(sequence), _by_class(sequence)]
    left_out = ''.join(f'<p>{_frames(count)} left out: {escape(reason)}</p>'
                       for reason, count in sequence.get('left_out', {}).items())
    figures = ''.join(_figure(caption, picture) for caption, picture in pictures.items())
    return (f'<section id="{_anchor(sequence["name"])}"><h2>{escape(sequence["name"])}</h2>'
            f'{left_out}{_depth(sequence.get("depth", {}))}{figures}'
            f'<div class="parts">{"".join(parts)}</div></section>')


def _depth(depth: dict) -> str:
    if not depth:
        return ''
    note = (f'<p>{_frames(depth["frames"])} with true depth, {_percent(depth["coverage"])} of their evaluated pixels '
            f'perceived as valid.</p>')
    rows = [[WORDS[k], *(_number(depth[k][m]) for m in METRICS)] for k in SCALINGS if k in depth]
    return _table(['Scaling', *HEADINGS.values()], rows, 'Depth', note)


def _semantics(sequence: dict) -> str:
    html = ''
    titles = {'semantics': 'Classes', 'agreement_with_noisy_labels': 'Agreement with noisy labels (no truth)'}
    for key, title in titles.items():
        scores = sequence.get(key)
        if scores:
            rows = [[_chip(name), _bar(iou, 1)] for name, iou in scores['per_class'].items()]
            note = (f'<p>{_frames(scores["frames"])}: mIoU {_number(scores["miou"])}, pixel accuracy '
                    f'{_percent(scores["pixel_accuracy"])}.</p>')
            html += _table(['Class', 'IoU'], rows, title, note)
    return html


def _by_class(sequence: dict) -> str:
    tables = sequence.get('depth_by_class')
    return _groups(tables, 'Class', f'Depth by class (of {tables["classes_from"]})', _chip) if tables else ''


def _by_range(sequence: dict) -> str:
    tables = sequence.get('depth_by_range')
    return _groups(tables, 'True depth', 'Depth by range', escape) if tables else ''


def _groups(tables: dict, head: str, title: str, show) -> str:
    plain, scaled = tables['unscaled'], tables['median_scaled']
    most = max(max(row['abs_rel'] for row in table.values()) for table in (plain, scaled))
    rows = [[show(name), _percent(row['share']), _bar(row['abs_rel'], most), _bar(scaled[name]['abs_rel'], most),
             _number(scaled[name]['rmse'], 2)] for name, row in plain.items()]
    heads = [head, 'Pixels', 'Abs Rel<br>unscaled', 'Abs Rel<br>median-scaled', 'RMSE [m]<br>median-scaled']
    return _table(heads, rows, title)


def _table(heads: list[str], rows: list[list], title: str, note: str = '') -> str:
    if not rows:
        return f'<div class="part"><h3>{escape(title)}</h3>{note}</div>' if note else ''
    head = ''.join(f'<th>{h}</th>' for h in heads)
    body = ''.join('<tr>' + ''.join(f'<td>{cell}</td>' for cell in row) + '</tr>' for row in rows)
    return (f'<div class="part"><h3>{escape(title)}</h3>{note}<div class="scroll"><table><thead><tr>{head}</tr></thead>'
            f'<tbody>{body}</tbody></table></div></div>')


def _facts(numbers: dict) -> str:
    items = ''.join(f'<li><span>{_words(name)}</span><b>{value if isinstance(value, int) else f"{value:.3g}"}</b></li>'
                    for name, value in numbers.items())
    return f'<ul class="facts">{items}</ul>' if items else ''


def _protocol(protocol: Mapping[str, str]) -> str:
    items = ''.join(f'<dt>{_words(name)}</dt><dd>{escape(text)}</dd>' for name, text in protocol.items())
    return f'<section id="protocol"><h2>Protocol</h2><dl>{items}</dl></section>' if items else ''


def _figure(caption: str, picture: np.ndarray) -> str:
    data = cv2.imencode('.jpg', np.ascontiguousarray(picture[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()
    return (f'<figure><img alt="{escape(caption)}" src="data:image/jpeg;base64,{base64.b64encode(data).decode()}">'
            f'<figcaption>{escape(caption)}</figcaption></figure>')


def _write_pictures(folder: Path, pages: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    for sequence, pictures in pages.items():
        for caption, picture in pictures.items():
            folder.mkdir(parents=True, exist_ok=True)
            write_picture(folder / f'{_anchor(sequence)}_{_anchor(caption)}.png', picture)


def _bar(value: float, most: float) -> str:
    width = 100 * min(max(value / most, 0), 1) if most > 0 else 0
    return f'<span class="bar"><i style="width:{width:.1f}%"></i></span><span class="value">{_number(value)}</span>'


def _chip(name: str) -> str:
    return f'<span class="chip" style="background:{_COLOUR.get(name, "#000")}"></span>{escape(name)}'


def _link(name: str) -> str:
    return f'<a href="#{_anchor(name)}">{escape(name)}</a>'


def _words(name: str) -> str:
    return escape(name.replace('_', ' '))


def _anchor(name: str) -> str:
    return ''.join(c if c.isalnum() or c in '-_.' else '_' for c in name)


def _frames(count: int) -> str:
    return f'{count} frame' + ('s' if count != 1 else '')


def _number(value: float, digits: int = 3) -> str:
    return f'{value:.{digits}f}'


def _percent(value: float) -> str:
    return f'{100 * value:.1f} %'

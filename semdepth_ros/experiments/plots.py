"""Plots of an experiment as SVG: small, the same bytes for the same results, on white so that they show on any page."""
from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from html import escape

from semdepth_ros.evaluation.bootstrap import Change

BETTER, WORSE, UNSURE, INK, LINE = '#1f6fb2', '#c4512d', '#6b7480', '#1d2126', '#dcdfe3'
COLOURS = ('#1f6fb2', '#c4512d', '#3a8f4d', '#8b5fbf', '#b58900', '#1c8c8c', '#a13d63', '#5d6670', '#7a9a01', '#444fa0')
ROW_PX, NAMES_PX, PANEL_PX, PANELS_ACROSS = 22, 190, 220, 3
BANDS = ('≤ 2 px', '≤ 5 px', '≤ 10 px', '> 10 px')


def changes_plot(changes: Mapping[str, Mapping[str, Change | None]], higher_is_better: Collection[str] = ()) -> str:
    """Draw relative changes with their intervals: a panel a metric, a row an arm; blue is surely better, red worse.

    :param changes: by metric and arm; None where an arm was not run
    """
    arms = list(next(iter(changes.values()), {}))
    high = 58 + ROW_PX * max(1, len(arms))
    rows = math.ceil(len(changes) / PANELS_ACROSS)
    parts = []
    for i, (metric, by_arm) in enumerate(changes.items()):
        left, top = (i % PANELS_ACROSS) * PANEL_PX, (i // PANELS_ACROSS) * high
        if not left:
            names = ''.join(_text(NAMES_PX - 8, 47 + ROW_PX * k, arm, 'end') for k, arm in enumerate(arms))
            parts.append(f'<g transform="translate(0,{top})">{names}</g>')
        parts.append(f'<g transform="translate({NAMES_PX + left},{top})">'
                     f'{_panel(metric, by_arm, metric in higher_is_better)}</g>')
    return _svg(NAMES_PX + PANELS_ACROSS * PANEL_PX, rows * high, ''.join(parts))


def bands_plot(curves: Mapping[str, list[float]]) -> str:
    """Draw Abs Rel by distance from a border, a line an arm.

    :param curves: one number for each of BANDS, by arm
    """
    width, height, left, bottom = 430, max(300, 60 + 18 * len(curves)), 60, 40
    most = _nice(max((value for curve in curves.values() for value in curve), default=1.0))
    xs = [left + 40 + i * (width - left - 60) / (len(BANDS) - 1) for i in range(len(BANDS))]
    rows = [height - bottom - k / 5 * (height - bottom - 30) for k in range(6)]
    parts = [_line(left, y, width, y, LINE) + _text(left - 6, y + 4, f'{most * k / 5:.3g}', 'end')
             for k, y in enumerate(rows)]
    parts += [_text(x, height - 16, name, 'middle') for x, name in zip(xs, BANDS)]
    parts.append(_text(left, 16, 'Abs Rel, median-scaled, by distance from a class border', weight='600'))
    for i, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[i % len(COLOURS)]
        ys = [rows[0] - value / most * (rows[0] - rows[-1]) for value in curve]
        points = ' '.join(f'{x:.1f},{y:.1f}' for x, y in zip(xs, ys))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [_dot(x, y, colour) for x, y in zip(xs, ys)]
        parts.append(_dot(width + 24, 44 + 18 * i, colour) + _text(width + 34, 48 + 18 * i, name))
    return _svg(width + 240, height, ''.join(parts))


def _panel(metric: str, by_arm: Mapping[str, Change | None], higher: bool) -> str:
    known = [change for change in by_arm.values() if change is not None]
    most = _nice(max((abs(v) for change in known for v in change), default=0.1))
    middle, half, bottom = PANEL_PX / 2, PANEL_PX / 2 - 32, 36 + ROW_PX * len(by_arm)
    parts = [_text(middle, 16, metric, 'middle', '600', 10.5)]
    for share in (-1, 0, 1):
        x = middle + share * half
        parts.append(_line(x, 30, x, bottom, INK if not share else LINE))
        parts.append(_text(x, bottom + 14, f'{100 * share * most:+.3g} %' if share else '0', 'middle', size=10))
    for k, change in enumerate(by_arm.values()):
        y = 43 + ROW_PX * k
        if change is None:
            parts.append(_text(middle + 8, y + 4, 'not run', size=10, colour=UNSURE))
            continue
        x, low, high = (middle + value / most * half for value in change)
        sure = change.high < 0 or change.low > 0
        colour = UNSURE if not sure else BETTER if (change.value > 0) == higher else WORSE
        parts.append(_line(low, y, high, y, colour, 2) + _dot(x, y, colour))
    return ''.join(parts)


def _nice(value: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is at least the value."""
    if not value > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9))


def _svg(width: float, height: float, content: str) -> str:
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
            f'height="{height:.0f}" font-family="system-ui, sans-serif">'
            f'<rect width="100%" height="100%" fill="#ffffff"/>{content}</svg>\n')


def _text(x: float, y: float, text: str, anchor: str = 'start', weight: str = '400', size: float = 12,
          colour: str = INK) -> str:
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" font-size="{size}" '
            f'fill="{colour}">{escape(text)}</text>')


def _line(x0: float, y0: float, x1: float, y1: float, colour: str, width: float = 1) -> str:
    return f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def _dot(x: float, y: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'

"""Curves over the frames of a drive as SVG, with what happened marked."""
from __future__ import annotations

from html import escape
from typing import NamedTuple

from semdepth_ros.experiments.plots import COLOURS, INK, LINE

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 1180, 220, 70, 170, 14, 30


class Series(NamedTuple):
    """One curve: points are (frame, value)."""

    name: str
    points: tuple[tuple[float, float], ...]


class Mark(NamedTuple):
    """Something that happened at a frame."""

    frame: int
    name: str
    colour: str


def timeline(series: list[Series], marks: list[Mark], frames: int) -> str:
    """Return the curves of one unit over a drive of so many frames; the same bytes for the same numbers."""
    values = [y for each in series for _, y in each.points]
    low, high = min(values), max(values)
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    low, high = low - room, high + room

    def place(frame: float, value: float) -> tuple[float, float]:
        x = LEFT + (WIDTH - LEFT - RIGHT) * frame / max(frames - 1, 1)
        return x, HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low)

    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        value = low + share * (high - low)
        y = place(0, value)[1]
        parts.append(_line(LEFT, y, WIDTH - RIGHT, y, LINE) + _text(LEFT - 6, y + 4, f'{value:.3g}', 'end'))
        frame = round(share * (frames - 1))
        parts.append(_text(place(frame, low)[0], HEIGHT - 10, str(frame), 'middle'))
    for mark in marks:
        x = place(mark.frame, low)[0]
        parts.append(f'<g><title>{escape(mark.name)} at frame {mark.frame}</title>'
                     f'{_line(x, TOP, x, HEIGHT - BOTTOM, mark.colour, 1.5)}</g>')
    for i, each in enumerate(series):
        colour = COLOURS[i % len(COLOURS)]
        points = ' '.join('{:.1f},{:.1f}'.format(*place(*point)) for point in each.points)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        if len(each.points) <= 60:
            parts += ['<circle cx="{:.1f}" cy="{:.1f}" r="2.6" fill="{}"/>'.format(*place(*point), colour)
                      for point in each.points]
        parts.append(_key(i, colour, each.name))
    for k, (name, colour) in enumerate(dict.fromkeys((mark.name, mark.colour) for mark in marks)):
        parts.append(_key(len(series) + k, colour, name))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
            f'font-family="system-ui, sans-serif"><rect width="100%" height="100%" fill="#ffffff"/>'
            f'{"".join(parts)}</svg>')


def _key(row: int, colour: str, name: str) -> str:
    y = TOP + 14 + 18 * row
    return _line(WIDTH - RIGHT + 12, y - 4, WIDTH - RIGHT + 28, y - 4, colour, 3) + _text(WIDTH - RIGHT + 34, y, name)


def _line(x0: float, y0: float, x1: float, y1: float, colour: str, width: float = 1) -> str:
    return f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def _text(x: float, y: float, text: str, anchor: str = 'start') -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="12" fill="{INK}">{escape(text)}</text>'

"""Draw which floor imports from which, out of the imports themselves: python docs/images/architecture.py"""
from __future__ import annotations

import ast
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'test'))
from test_architecture import FLOORS, ROS_FLOORS, floor, imported, sources  # noqa: E402

WIDTH, ROW, LEFT, BOX, TEXT = 1080, 40, 20, 120, 430


def floors_and_arrows() -> tuple[dict[str, int], dict[tuple[str, str], int]]:
    """Return the number of files on each floor, and how many files of one import from another."""
    modules = sources()
    files, arrows = dict.fromkeys(FLOORS, 0), {}
    for name, path in modules.items():
        own = floor(name)
        if own is None:
            continue
        files[own] += 1
        for other in {floor(target) for target in imported(path) & set(modules)} - {None, own}:
            arrows[own, other] = arrows.get((own, other), 0) + 1
    return {name: count for name, count in files.items() if count}, arrows


def what_for(name: str) -> str:
    """Return what a floor is for: the first line of its package's docstring."""
    if name == 'ground':
        return 'What everything speaks: frames, perceptions, classes, cards, model files, settings.'
    said = ast.get_docstring(ast.parse((ROOT / 'semdepth_ros' / name / '__init__.py').read_text(encoding='utf-8'))) or ''
    return said.splitlines()[0].split('. ')[0].replace('`', '').rstrip('.') + '.'


def drawing() -> str:
    """Return the picture: a row a floor, top to bottom; each arc ends at a floor that is imported from."""
    files, arrows = floors_and_arrows()
    place = {name: 30 + ROW * i for i, name in enumerate(files)}
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {ROW * len(files) + 20}" '
             f'font-family="sans-serif" font-size="13">',
             '<defs><marker id="end" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">'
             '<path d="M0 0L8 4L0 8z" fill="#4a6fa5"/></marker></defs>',
             '<rect width="100%" height="100%" fill="#ffffff"/>']
    for (own, other), count in sorted(arrows.items()):
        start, end = place[own], place[other] + (6 if own != other else 0)
        reach = LEFT + BOX + 24 + 0.62 * (end - start)
        parts.append(f'<path d="M{LEFT + BOX} {start}C{reach:.0f} {start} {reach:.0f} {end} {LEFT + BOX + 2} {end}" fill="none" '
                     f'stroke="#4a6fa5" stroke-opacity="0.55" stroke-width="{min(0.8 + count / 6, 4):.1f}" '
                     f'marker-end="url(#end)"/>')
    for name, y in place.items():
        fill = '#fde8c8' if name in ROS_FLOORS else '#dcebdc'
        parts += [f'<rect x="{LEFT}" y="{y - 15}" width="{BOX}" height="30" rx="6" fill="{fill}" stroke="#555555"/>',
                  f'<text x="{LEFT + 10}" y="{y + 5}">{name}</text>',
                  f'<text x="{TEXT}" y="{y + 5}" fill="#333333">{escape(what_for(name))}</text>']
    return '\n'.join([*parts, '</svg>', ''])


if __name__ == '__main__':
    (Path(__file__).parent / 'architecture.svg').write_text(drawing(), encoding='utf-8')

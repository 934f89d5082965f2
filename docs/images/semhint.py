"""Draw how depth and classes refine each other in training, out of the recipe: python docs/images/semhint.py"""
from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from semdepth_ros.networks import build_network  # noqa: E402
from semdepth_ros.training.recipe_file import read_recipe  # noqa: E402

WIDTH, HEIGHT, BOX, TALL = 1060, 520, 190, 46
FILLS = {'network': '#e4e4e4', 'shared': '#dcebdc', 'refined': '#fde8c8', 'loss': '#f6d3d3'}
COLUMNS = (20, 290, 560, 850)


def box(kind: str, x: int, y: int, first: str, second: str = '') -> str:
    """Return a box, whose middle is at height y, with one or two lines of text."""
    text = f'<text x="{x + BOX / 2:g}" y="{y + (5 if not second else -3)}" text-anchor="middle">{first}</text>'
    if second:
        text += f'<text x="{x + BOX / 2:g}" y="{y + 14}" text-anchor="middle" fill="#555555" font-size="11">{second}</text>'
    return (f'<rect x="{x}" y="{y - TALL // 2}" width="{BOX}" height="{TALL}" rx="6" fill="{FILLS[kind]}" '
            f'stroke="#555555"/>{text}')


def arrow(*places: tuple[float, float], dashed: bool = False) -> str:
    """Return an arrow through places; dashed where no gradient goes back."""
    path, dash = 'L'.join(f'{x:g} {y:g}' for x, y in places), ' stroke-dasharray="5 4"' if dashed else ''
    return f'<path d="M{path}" fill="none" stroke="#4a6fa5" stroke-width="1.4" marker-end="url(#end)"{dash}/>'


def note(x: float, y: float, text: str) -> str:
    """Return small text that ends at x."""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="end" fill="#555555" font-size="11">{text}</text>'


def drawing() -> str:
    """Return the picture: the network on the left, what refines what in the middle, the losses on the right."""
    recipe = read_recipe('semhint')
    network = build_network(recipe.architecture | {'pretrained': False})
    shared, steps = len(network.trunk.steps), network.depth_decoder.form.steps
    labels, hints, balance = recipe.losses.semantic.refinement, recipe.losses.hint, recipe.balance
    a, b, c, d = COLUMNS
    classes, depth, given = 110, 330, 30
    right = tuple(x + BOX for x in COLUMNS)
    return '\n'.join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">',
        '<defs><marker id="end" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
        'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8z" fill="#4a6fa5"/></marker></defs>',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        box('network', a, 220, 'encoder', recipe.architecture['encoder']),
        box('shared', a, 330, f'{shared} shared convolutions', f'of {steps} of each decoder'),
        arrow((a + BOX / 2, 243), (a + BOX / 2, 307)),
        box('network', b, classes, 'semantic decoder', f'{steps - shared} convolutions, classes'),
        box('network', b, depth, 'depth decoder', f'{steps - shared} convolutions, disparities'),
        arrow((right[0], depth), (b, depth)), arrow((right[0], depth), (250, depth), (250, classes), (b, classes)),
        f'<circle cx="250" cy="{depth}" r="7" fill="#f6d3d3" stroke="#555555"/>',
        note(345, 398, f'gradients balanced here: depth {balance.depth:g}, classes {1 - balance.depth:g}'),
        arrow((250, 384), (250, depth + 9)),
        box('refined', c, classes, 'pseudo-semantics', f'surest {100 * labels.class_share:g} %; votes of {labels.window_px:g} px'),
        box('refined', c, depth, 'pseudo-depth', 'planes, insides, feet'),
        box('network', c, given, 'noisy labels', 'of a segmenter'),
        arrow((c + BOX / 2, given + 23), (c + BOX / 2, classes - 23), dashed=True),
        arrow((right[1], classes), (c, classes), dashed=True), arrow((right[1], depth), (c, depth), dashed=True),
        arrow((right[1], classes + 14), (520, classes + 14), (520, depth - 14), (c, depth - 14), dashed=True),
        arrow((right[1], depth - 8), (500, depth - 8), (500, 220), (c + 30, 220), (c + 30, classes + 23), dashed=True),
        box('loss', d, classes, 'cross-entropy', f'weight {recipe.losses.semantic.weight:g}'),
        arrow((right[2], classes), (d, classes), dashed=True),
        arrow((b + 120, classes - 23), (b + 120, 62), (d - 30, 62), (d - 30, classes - 12), (d, classes - 12)),
        box('refined', c, 430, 'warped images', f'better by {100 * hints.margin:g} %, {hints.window}x{hints.window} px'),
        arrow((c + BOX / 2, depth + 23), (c + BOX / 2, 407), dashed=True),
        box('loss', d, depth, 'log(1 + |h - d| / median)', f'weight {hints.weight:g}, where accepted'),
        arrow((right[2], depth), (d, depth), dashed=True),
        arrow((right[2], 430), (d + BOX / 2, 430), (d + BOX / 2, depth + 23), dashed=True),
        arrow((b + 60, depth + 23), (b + 60, 490), (d + 150, 490), (d + 150, depth + 23)),
        note(right[2] + 70, 484, 'depth d, and its warps'),
        '</svg>', ''])


if __name__ == '__main__':
    (Path(__file__).parent / 'semhint.svg').write_text(drawing(), encoding='utf-8')

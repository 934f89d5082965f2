"""Draw the guidances after published systems, out of networks as they are built: python docs/images/methods.py"""
from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from semdepth_ros.networks import build_network  # noqa: E402

ENCODER = 'efficientnet_lite0'
METHODS = {'ssfm': 'modulation', 'seem': ['attention', 'edge_points']}
SAID = {'ModulatedLevel': 'modulation', 'AttentionLevel': 'attention', 'ConcatenationLevel': 'concatenation'}
COLUMNS = {'encoder': 30, 'semantic': 250, 'guidance': 470, 'depth': 690}
WIDTH, BOX, HEIGHT, TOP, ROW = 860, 140, 36, 96, 66
FILLS = {'encoder': '#e4e4e4', 'semantic': '#fde8c8', 'guidance': '#f6d3d3', 'depth': '#dcebdc'}


class Drawing:
    """Boxes and arrows as SVG."""

    def __init__(self, height: int):
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
            'font-size="13">',
            '<defs><marker id="end" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
            'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8z" fill="#4a6fa5"/></marker></defs>',
            '<rect width="100%" height="100%" fill="#ffffff"/>']

    def box(self, kind: str, x: int, y: int, text: str, width: int = BOX) -> None:
        """Draw a box whose left side is at x and whose middle is at height y."""
        self.parts += [f'<rect x="{x}" y="{y - HEIGHT // 2}" width="{width}" height="{HEIGHT}" rx="6" '
                       f'fill="{FILLS[kind]}" stroke="#555555"/>',
                       f'<text x="{x + width / 2:g}" y="{y + 5}" text-anchor="middle">{text}</text>']

    def text(self, x: float, y: int, text: str, weight: str = 'normal') -> None:
        """Write text around x."""
        self.parts.append(f'<text x="{x:g}" y="{y}" text-anchor="middle" font-weight="{weight}">{text}</text>')

    def arrow(self, *places: tuple[float, float]) -> None:
        """Draw an arrow through places."""
        path = 'L'.join(f'{x:g} {y:g}' for x, y in places)
        self.parts.append(f'<path d="M{path}" fill="none" stroke="#4a6fa5" stroke-width="1.3" marker-end="url(#end)"/>')

    def svg(self) -> str:
        """Return the picture."""
        return '\n'.join([*self.parts, '</svg>', ''])


def drawing(name: str) -> str:
    """Return a method's picture: a row a stride, coarse to fine; what is between the decoders is the guidance."""
    network = build_network({'encoder': ENCODER, 'guidance': METHODS[name]})
    guidances = getattr(network.guidance, 'guidances', [network.guidance])
    blocks, points = guidances[0].levels, guidances[1].settings if len(guidances) > 1 else None
    strides, channels = network.depth_decoder.form.levels(0).strides, network.depth_decoder.form.levels(0).channels
    rows = {stride: TOP + ROW * i for i, stride in enumerate(reversed([*strides, 32]))}
    end = rows[strides[0]] + ROW
    written = end + 24
    picture = Drawing(written + ROW + 20 if points else end + 24)
    for column, x in COLUMNS.items():
        picture.text(x + BOX / 2, 30, f'{column} decoder' if column in ('semantic', 'depth') else column, 'bold')
    _trunk(picture, network.encoder.channels, rows)
    for level in reversed(range(len(strides))):
        block = blocks[str(level)] if str(level) in blocks else None
        _level(picture, rows[strides[level]], strides[level], channels[level], block)
    if points is None:
        _label_map(picture, [rows[strides[int(level)]] for level in blocks])
    else:
        _edge_points(picture, written, strides[0], points.maps, rows)
    for column, text, y in (('semantic', 'classes', end), ('depth', 'disparities', written + ROW if points else end)):
        middle = COLUMNS[column] + BOX / 2
        picture.arrow((middle, y - ROW + HEIGHT / 2), (middle, y - 14))
        picture.text(middle, y, text, 'bold')
    return picture.svg()


def _trunk(picture: Drawing, channels: tuple[int, ...], rows: dict[int, int]) -> None:
    """Draw the encoder, and the decoders' beginning at its coarsest map."""
    x = COLUMNS['encoder']
    for i, width in enumerate(channels):
        picture.box('encoder', x, rows[2 << i], f'stride {2 << i}: {width}')
        if i:
            picture.arrow((x + BOX / 2, rows[1 << i] - HEIGHT / 2), (x + BOX / 2, rows[2 << i] + HEIGHT / 2))
    picture.text(x + BOX / 2, rows[2] + ROW, 'image', 'bold')
    picture.arrow((x + BOX / 2, rows[2] + ROW - 16), (x + BOX / 2, rows[2] + HEIGHT / 2))
    for column in ('semantic', 'depth'):
        middle = COLUMNS[column] + BOX / 2
        picture.arrow((x + BOX, rows[32]), (middle, rows[32]), (middle, rows[16] - HEIGHT / 2))


def _level(picture: Drawing, y: int, stride: int, channels: int, block: object | None) -> None:
    """Draw a level of both decoders, and the guidance between them where there is one."""
    for column in ('semantic', 'depth'):
        picture.box(column, COLUMNS[column], y, f'stride {stride}: {channels}')
        if stride < 16:
            middle = COLUMNS[column] + BOX / 2
            picture.arrow((middle, y - ROW + HEIGHT / 2), (middle, y - HEIGHT / 2))
    if block is not None:
        x = COLUMNS['guidance']
        picture.box('guidance', x, y, SAID[type(block).__name__])
        picture.arrow((COLUMNS['semantic'] + BOX, y), (x, y))
        picture.arrow((x + BOX, y - 8), (COLUMNS['depth'], y - 8))
        picture.arrow((COLUMNS['depth'], y + 8), (x + BOX, y + 8))


def _label_map(picture: Drawing, heights: list[int]) -> None:
    """Draw the map of classes that each modulation is given."""
    x = COLUMNS['guidance'] - 34
    picture.text(COLUMNS['guidance'] + 4, 56, 'label map: given, or the network&#39;s own classes')
    picture.arrow((x, 64), (x, heights[-1] - 11), (x + 34, heights[-1] - 11))
    for y in heights[:-1]:
        picture.arrow((x, y - 11), (x + 34, y - 11))


def _edge_points(picture: Drawing, y: int, stride: int, maps: int, rows: dict[int, int]) -> None:
    """Draw the points, what they look at and where they are written."""
    x, width = COLUMNS['guidance'] - 40, BOX + 80
    picture.box('guidance', x, y, 'points on semantic edges', width)
    picture.text(x + width / 2, y + 38, f'look at the {maps} finest maps of all three')
    for column in ('encoder', 'semantic'):
        side = COLUMNS[column] + BOX + 10
        picture.arrow((side, rows[2 << (maps - 1)] - HEIGHT / 2), (side, y), (x, y))
    picture.box('depth', COLUMNS['depth'], y, f'stride {stride}, written')
    picture.arrow((x + width, y - 8), (COLUMNS['depth'], y - 8))
    picture.arrow((COLUMNS['depth'], y + 8), (x + width, y + 8))
    picture.arrow((COLUMNS['depth'] + BOX / 2, rows[stride] + HEIGHT / 2), (COLUMNS['depth'] + BOX / 2, y - HEIGHT / 2))


if __name__ == '__main__':
    for method in METHODS:
        (Path(__file__).parent / f'{method}.svg').write_text(drawing(method), encoding='utf-8')

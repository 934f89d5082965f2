"""Draw how a frozen segmenter steers the depth decoder, out of a network's shapes: python docs/images/pixel_adaptive.py"""
from __future__ import annotations

import sys
from pathlib import Path

from torch import nn

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from semdepth_ros.networks import build_network  # noqa: E402

ARCHITECTURE = {'encoder': 'small', 'guidance': {
    'kind': 'pixel_adaptive', 'segmenter': {'kind': 'model', 'architecture': {'encoder': 'small'}}}}
WIDTH, ROW, TOP, BOX = 1040, 74, 88, 42
SEGMENTER, MAPPING, OPERATOR, JOIN, SKIP = 20, 230, 420, 690, 880
FIXED, TRAINED, PLAIN = '#d9d9d9', '#fde8c8', '#dcebdc'


def box(x: int, y: float, width: int, fill: str, first: str, second: str) -> str:
    """Return a box with two lines of text."""
    return (f'<rect x="{x}" y="{y}" width="{width}" height="{BOX}" rx="6" fill="{fill}" stroke="#555555"/>'
            f'<text x="{x + width / 2}" y="{y + 18}" text-anchor="middle">{first}</text>'
            f'<text x="{x + width / 2}" y="{y + 34}" text-anchor="middle" fill="#555555" font-size="11">{second}</text>')


def arrow(*points: tuple[float, float]) -> str:
    """Return a line through points with a head at its end."""
    path = ' '.join(f'{x:.0f},{y:.0f}' for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="#4a6fa5" stroke-width="1.6" marker-end="url(#end)"/>'


def level_row(network: nn.Module, level: int, y: float) -> list[str]:
    """Return the parts of one level: segmenter, mapping, operator, and where the encoder's features join."""
    guidance, decoder = network.guidance, network.depth_decoder
    levels = decoder.form.levels(0)
    channels, stride, source = levels.channels[level], levels.strides[level], guidance.sources[level]
    segmenter, middle = guidance.segmenter.module, y + BOX / 2
    octave = stride.bit_length() - 1
    width = guidance.mappings[str(level)][0].out_channels
    parts = [box(SEGMENTER, y, 160, FIXED, f'segmenter, stride {source}', f'{segmenter.channels[source]} channels, fixed'),
             box(MAPPING, y, 140, TRAINED, '1x1, normalised', f'guidance f: {width} channels'),
             box(OPERATOR, y, 220, TRAINED, f'pixel-adaptive {guidance.settings.kernel}x{guidance.settings.kernel}',
                 f'{channels} channels at stride {stride}'),
             box(JOIN, y, 150, PLAIN, 'concatenate, 3x3', f'level of {channels} channels'),
             box(SKIP, y, 140, PLAIN, f'encoder, stride {stride}', f'{network.encoder.channels[octave - 1]} channels'),
             arrow((SEGMENTER + 160, middle), (MAPPING, middle)), arrow((MAPPING + 140, middle), (OPERATOR, middle)),
             arrow((OPERATOR + 220, middle), (JOIN, middle)), arrow((SKIP, middle), (JOIN + 150, middle))]
    lower, start, end = y + BOX + (ROW - BOX) / 2, (JOIN + 75, y + BOX), OPERATOR + 110
    if level:
        parts += [arrow(start, (start[0], lower), (end, lower), (end, y + ROW)),
                  f'<text x="{end + 14}" y="{lower - 3}" fill="#555555" font-size="11">3x3, up-sampled</text>',
                  arrow((SEGMENTER + 80, y + BOX), (SEGMENTER + 80, y + ROW))]
    return parts


def drawing() -> str:
    """Return the picture: a row a guided level, coarse to fine."""
    network = build_network(ARCHITECTURE)
    levels = sorted(network.guidance.sources, reverse=True)
    height, end = TOP + ROW * len(levels), OPERATOR + 110
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">',
             '<defs><marker id="end" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
             'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8z" fill="#4a6fa5"/></marker></defs>',
             '<rect width="100%" height="100%" fill="#ffffff"/>',
             box(SEGMENTER, 16, 160, FIXED, "segmenter's encoder", 'image, normalised'),
             box(OPERATOR, 16, 220, PLAIN, "encoder's coarsest features", '3x3, up-sampled'),
             arrow((SEGMENTER + 80, 16 + BOX), (SEGMENTER + 80, TOP)), arrow((end, 16 + BOX), (end, TOP))]
    for row, level in enumerate(levels):
        parts += level_row(network, level, TOP + ROW * row)
    return '\n'.join([*parts, '</svg>', ''])


if __name__ == '__main__':
    (Path(__file__).parent / 'pixel_adaptive.svg').write_text(drawing(), encoding='utf-8')

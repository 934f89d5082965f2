"""What was found, as tables."""
from __future__ import annotations

from collections.abc import Callable

from semdepth_ros.training.filtering.flag_list import FlaggedFrame, FlagList, SequenceFlags

LISTED = 40     # sequences a printed table names; the others are added up


def summary(flags: FlagList) -> str:
    """Return a table of the sequences in plain text: those with flagged images first, then what they add up to."""
    heads = f'{"sequence":36} {"images":>7} {"judged":>7} {"flagged":>8} {"share":>7}'
    rows = sorted(flags.sequences, key=lambda each: -len(each.flagged) / each.frames)
    lines = [_row(each.name, each.frames, each.judged, len(each.flagged)) for each in rows[:LISTED]]
    if len(rows) > LISTED:
        rest = rows[LISTED:]
        lines.append(_row(f'({len(rest)} others)', sum(r.frames for r in rest), sum(r.judged for r in rest),
                          sum(len(r.flagged) for r in rest)))
    return '\n'.join([heads, *lines, _row('all', *flags.counts().values())])


def flagged_table(flags: FlagList, picture_of: Callable[[SequenceFlags, FlaggedFrame], str]) -> str:
    """Return a Markdown page that lists every flagged image.

    :param picture_of: gives the file name of an image's picture; '' for none
    """
    counts = flags.counts()
    share = counts['flagged'] / counts['images'] if counts['images'] else 0.0
    rule = ', '.join(f'{key} {value}' for key, value in flags.rule.items())
    lines = ['# Flagged images', '',
             f'{counts["flagged"]} of {counts["images"]} images ({100 * share:.1f} %), of which {counts["judged"]} show a '
             f'plane of road. Model {flags.model.get("name", "?")}; rule: {rule}.', '',
             '| source | sequence | frame | name | time [s] | pixels below the ground | deepest [heights] | picture |',
             '|---|---|---|---|---|---|---|---|']
    for source in flags.sources:
        for sequence in source.sequences:
            for each in sequence.flagged:
                picture = picture_of(sequence, each)
                lines.append(f'| {source.source} | {sequence.name} | {each.frame} | {each.name} | '
                             f'{each.stamp_ns / 1e9:.3f} | {100 * each.share:.2f} % | {each.deepest:.2f} | '
                             + (f'[{picture}]({picture}) |' if picture else '|'))
    return '\n'.join(lines) + '\n'


def _row(name: str, images: int, judged: int, flagged: int) -> str:
    return f'{name:36} {images:7} {judged:7} {flagged:8} {100 * flagged / max(images, 1):6.1f} %'

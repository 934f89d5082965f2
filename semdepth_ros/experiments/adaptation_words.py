"""What came of a run of the learner, in a few plain words out of its journal."""
from __future__ import annotations

from collections import Counter
from typing import Any

EARLY = ('between', 'settling')  # gates that say nothing of what a drive is like


def what_came_of(lines: list[dict[str, Any]], blocks: int) -> str:
    """Return in one sentence what was promoted and why, or why nothing was.

    :param lines: of a journal
    :param blocks: held-out blocks that a trial takes
    """
    promoted = [line for line in lines if line['event'] == 'promotion']
    if promoted:
        told = [f'version {line["version"]} was promoted at frame {line["frame"]}: {line["reason"]}' for line in promoted]
        told += [f'version {line["version"]} was rolled back to {line["to"]} at frame {line["frame"]}: {line["reason"]}'
                 for line in lines if line['event'] == 'rollback']
        return _sentence('; '.join(told))
    trials = [line for line in lines if line['event'] == 'trial']
    if trials:
        count = f'{len(trials)} trials were' if len(trials) > 1 else 'a trial was'
        return _sentence(f'nothing was promoted: {count} held and the trained weights did not pass: '
                         f'{trials[-1].get("reason", "")}')
    return _sentence(f'nothing was promoted, for no trial was held: it takes {blocks} held-out blocks of one stretch of '
                     f'frames, and {_why_no_trial(lines)}')


def _why_no_trial(lines: list[dict[str, Any]]) -> str:
    steps = sum(line.get('taken', 0) for line in lines)
    closed = [line for line in lines if line['event'] == 'gate' and line['gate'] not in EARLY]
    if not closed or len(closed) < steps:
        return f'the drive is too short ({1 + max((line["frame"] for line in lines), default=-1)} frames)'
    name, times = Counter(line['gate'] for line in closed).most_common(1)[0]
    reason = next(line['reason'] for line in reversed(closed) if line['gate'] == name)
    return f'the gate {name!r} turned away {times} frames ({reason})'


def _sentence(text: str) -> str:
    return f'{text[:1].upper()}{text[1:]}.'

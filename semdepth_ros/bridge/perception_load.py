"""How busy a perception node says it is, out of its diagnostics."""
from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PerceptionLoad:
    """What perception says of itself, of several cameras the worst.

    :param p95_ms: from the coming of an image to its outputs, 95th percentile of the last 200 frames [ms]; NaN unknown
    :param period_ms: between images [ms]; inf where none come
    :param dropped: images that a newer one replaced, since the start
    """

    p95_ms: float
    period_ms: float
    dropped: int


def load_of(statuses: Iterable[Any], node: str) -> PerceptionLoad | None:
    """Return the load that diagnostic_msgs/DiagnosticStatus tell of a node's cameras; None where none is of it.

    :param node: its name, without the leading slash
    """
    cameras = [{pair.key: pair.value for pair in status.values} for status in statuses
               if status.name.startswith(f'{node}: camera')]
    if not cameras:
        return None
    rate = max(_number(values, 'rate in [Hz]', 0.0) for values in cameras)
    return PerceptionLoad(max((_number(values, 'node p95 [ms]', float('nan')) for values in cameras), key=_worse),
                          1e3 / rate if rate > 0 else float('inf'),
                          sum(int(_number(values, 'dropped', 0)) for values in cameras))


def _number(values: dict[str, str], name: str, unknown: float) -> float:
    with suppress(KeyError, ValueError):
        return float(values[name])
    return unknown


def _worse(value: float) -> float:
    return -1.0 if value != value else value

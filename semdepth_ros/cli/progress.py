"""How far a command has come, on one line of the terminal."""
from __future__ import annotations

import sys
import time

EVERY_S = 0.2


class Progress:
    """Prints `frames 12/100, 3.1/s, 28 s left`; a context manager, called with (done, total).

    On a terminal the line is rewritten; elsewhere, as in a log file, every tenth is a line.

    :param noun: what is counted
    """

    def __init__(self, noun: str, stream=None):
        self._noun, self._stream = noun, stream or sys.stderr
        self._live = self._stream.isatty()
        self._start, self._printed, self._tenth = time.monotonic(), 0.0, 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind, error, trace) -> None:
        if self._live and self._printed:
            print(file=self._stream)

    def __call__(self, done: int, total: int) -> None:
        """Say that so many of all are done."""
        now, tenth = time.monotonic(), 10 * done // max(1, total)
        if done < total and (now - self._printed < EVERY_S if self._live else tenth == self._tenth):
            return
        self._printed, self._tenth = now, tenth
        rate = done / max(1e-6, now - self._start)
        left = f', {(total - done) / rate:.0f} s left' if done < total else ''
        line = f'{self._noun} {done}/{total}, {rate:.1f}/s{left}'
        print(f'\r{line:<60}' if self._live else line, end='' if self._live else '\n', file=self._stream, flush=True)

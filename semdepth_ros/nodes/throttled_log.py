"""Warnings that repeat, said once in a while and remembered for diagnostics; Python's log messages said through ROS."""
from __future__ import annotations

import logging
import re
import threading
import time
from typing import Any

_NAME_OR_NUMBER = re.compile(r'(?<!\w)[A-Za-z_/~][\w/]*|\d+')
_KINDS = 500


class ThrottledLog:
    """Says each kind of trouble at most once in a period, by a steady clock, and how often it was left unsaid.

    Lines that differ in nothing but numbers are of one kind; digits in a name, as of a topic or a frame, are no number.

    :param logger: rclpy's logger, or anything with its methods warning and info
    """

    def __init__(self, logger: Any, period_s: float = 5.0):
        self._logger, self._period_s, self._lock = logger, period_s, threading.Lock()
        self._said: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}
        self._last_text = ''
        self._last_s: float | None = None

    def warn(self, text: str) -> None:
        """Warn in one line that quotes the values at odds."""
        kind, now = _kind(text), time.monotonic()
        with self._lock:
            self._last_text, self._last_s = text, now
            if now - self._said.get(kind, float('-inf')) < self._period_s:
                self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
                return
            more = self._unsaid.pop(kind, 0)
            if len(self._said) > _KINDS:
                self._said.clear()
            self._said[kind] = now
        self._logger.warning(text + (f' ({more} more like it)' if more else ''))

    def info(self, text: str) -> None:
        """Say in one line what has changed; what changes seldom is not held back."""
        self._logger.info(text)

    def last(self) -> tuple[str, float | None]:
        """Return the newest trouble, empty if there was none, and how long ago it was [s]."""
        with self._lock:
            return self._last_text, None if self._last_s is None else time.monotonic() - self._last_s


def _kind(text: str) -> str:
    return _NAME_OR_NUMBER.sub(lambda found: '#' if found[0].isdecimal() else found[0], text)


class ForwardToRos(logging.Handler):
    """Hands the messages of Python's logging to a ROS logger; use as a context or close() it."""

    def __init__(self, logger: Any, name: str = 'semdepth_ros'):
        super().__init__()
        self._logger, self._source = logger, logging.getLogger(name)
        self._source.addHandler(self)
        self._source.propagate = False
        if self._source.level == logging.NOTSET:
            self._source.setLevel(logging.INFO)

    def emit(self, record: logging.LogRecord) -> None:
        """Say one message with its own severity; each on a line of its own, since rclpy ties a severity to a line."""
        if record.levelno >= logging.ERROR:
            self._logger.error(record.getMessage())
        elif record.levelno >= logging.WARNING:
            self._logger.warning(record.getMessage())
        elif record.levelno >= logging.INFO:
            self._logger.info(record.getMessage())
        else:
            self._logger.debug(record.getMessage())

    def close(self) -> None:
        """Stop forwarding."""
        self._source.removeHandler(self)
        self._source.propagate = True
        super().close()

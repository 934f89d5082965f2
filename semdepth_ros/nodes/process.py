"""A node's process from start to end: signals, one-line errors, exit codes."""
from __future__ import annotations

from collections.abc import Callable
import signal
import sys
import threading

import rclpy
from rclpy.signals import SignalHandlerOptions


def run_until_signal(name: str, body: Callable[[threading.Event], int | None], argv: list[str]) -> int:
    """Run body between rclpy's start and end; return its exit code, or 2 after one line on stderr.

    SIGINT and SIGTERM set the event that body is handed, however many come.

    :param name: what to call the program in errors
    :param argv: the process's arguments; those after --ros-args are rclpy's
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    rclpy.init(args=argv, signal_handler_options=SignalHandlerOptions.NO)
    try:
        return body(stop) or 0
    except (ValueError, OSError) as error:
        print(f'{name}: {" ".join(str(error).split())}', file=sys.stderr)
        return 2
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):  # Python's own end would make the next one deadly
            signal.signal(number, signal.SIG_IGN)
        rclpy.shutdown()

"""A node's process from start to end: signals, one-line errors, exit codes."""
from __future__ import annotations

import argparse
from collections.abc import Callable
import signal
import sys
import threading

import rclpy
from rclpy.impl.implementation_singleton import rclpy_implementation as _ros
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args


def read_arguments(parser: argparse.ArgumentParser, argv: list[str]) -> argparse.Namespace:
    """Return what the parser makes of the arguments that are not ROS's; end the process with one line if it cannot."""
    try:
        return parser.parse_args(remove_ros_args(argv)[1:])
    except _ros.RCLError as error:
        parser.exit(2, f'{parser.prog}: {" ".join(str(error).split())}\n')


def run_until_signal(name: str, body: Callable[[threading.Event], int | None], argv: list[str]) -> int:
    """Run body between rclpy's start and end; return its exit code, or 2 after one line on stderr.

    SIGINT and SIGTERM set the event that body is handed, however many come.

    :param name: what to call the program in errors
    :param argv: the process's arguments; those after --ros-args are rclpy's
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        rclpy.init(args=argv, signal_handler_options=SignalHandlerOptions.NO)
        return body(stop) or 0
    except (ValueError, OSError, _ros.RCLError) as error:
        print(f'{name}: {" ".join(str(error).split())}', file=sys.stderr)
        return 2
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):  # Python's own end would make the next one deadly
            signal.signal(number, signal.SIG_IGN)
        if rclpy.ok():
            rclpy.shutdown()

"""A program's place on the ROS graph, for programs that see to signals themselves."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import rclpy
from rclpy.signals import SignalHandlerOptions


@contextmanager
def on_graph() -> Iterator[None]:
    """Start rclpy without handlers of its own for signals, and end it."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        yield
    finally:
        rclpy.shutdown()

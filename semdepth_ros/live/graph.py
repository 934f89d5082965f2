"""A program's place on the ROS graph, for programs that see to signals themselves."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import threading

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions


@contextmanager
def on_graph() -> Iterator[None]:
    """Start rclpy without handlers of its own for signals, and end it."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        yield
    finally:
        rclpy.shutdown()


@contextmanager
def spinning_node(name: str) -> Iterator[Node]:
    """Run a node whose callbacks have a thread of their own."""
    node, executor = rclpy.create_node(name), SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, name=f'{name} callbacks')
    thread.start()
    try:
        yield node
    finally:
        executor.shutdown()
        thread.join()
        node.destroy_node()

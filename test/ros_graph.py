"""A ROS graph inside the test's own process: nodes on one executor thread, and waiting for what they do."""
from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, ShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions


class Graph:
    """A context of its own with an executor thread; nodes are added and made with graph.context."""

    def __init__(self, *arguments: str):
        self.context = rclpy.Context()
        rclpy.init(args=list(arguments), context=self.context, signal_handler_options=SignalHandlerOptions.NO)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.nodes: list[Node] = []
        self.error = None
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def add(self, node: Node) -> Node:
        """Spin a node from now on."""
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def node(self, name: str, **more: Any) -> Node:
        """Return a new spinning node."""
        return self.add(Node(name, context=self.context, **more))

    def remove(self, node: Node) -> None:
        """Take a node out of the graph, from the executor's thread."""
        self.nodes.remove(node)
        self.call(lambda: (self.executor.remove_node(node), node.destroy_node()))

    def call(self, function: Callable[[], Any]) -> Any:
        """Return what a function returns on the executor's thread, where what is waited for may be destroyed."""
        task = self.executor.create_task(function)
        wait_until(task.done, what=f'{function} on the executor')
        return task.result()

    def close(self) -> None:
        """End everything; raise what a callback raised."""
        self.executor.shutdown(timeout_sec=5.0)
        self._thread.join(20.0)
        assert not self._thread.is_alive(), 'a callback does not end: its node cannot be destroyed under it'
        for node in reversed(self.nodes):
            node.destroy_node()
        self.context.try_shutdown()
        if self.error:
            raise self.error

    def _spin(self) -> None:
        try:
            self.executor.spin()
        except (ExternalShutdownException, ShutdownException):
            pass
        except Exception as error:
            self.error = error


def wait_until(condition: Callable[[], Any], timeout_s: float = 10.0, what: str = '') -> Any:
    """Return what condition returns once that is true; fail when the time is up."""
    end = time.monotonic() + timeout_s
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f'not so within {timeout_s:g} s: {what or condition}')
        time.sleep(0.01)

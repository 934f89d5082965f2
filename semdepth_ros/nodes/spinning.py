"""A node's callbacks on a thread of their own, so that the main thread is free for signals."""
from __future__ import annotations

import threading

from rclpy.executors import ExternalShutdownException, ShutdownException, SingleThreadedExecutor
from rclpy.node import Node


def spin_until(stop: threading.Event, node: Node) -> None:
    """Run a node's callbacks until the event is set; raise what a callback has raised.

    One thread runs the callbacks, which only store and answer; the work is done by threads of the node's own.
    """
    executor, failures = SingleThreadedExecutor(context=node.context), []
    executor.add_node(node)

    def spin() -> None:
        try:
            executor.spin()
        except (ExternalShutdownException, ShutdownException):
            pass
        except Exception as error:
            failures.append(error)
        finally:
            stop.set()

    thread = threading.Thread(target=spin, name='callbacks', daemon=True)
    thread.start()
    stop.wait()
    executor.shutdown(timeout_sec=5.0)
    thread.join(timeout=5.0)
    if failures:
        raise failures[0]

"""Results of other threads, awaited by callbacks without holding up the executor."""
from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from rclpy.executors import Executor
from rclpy.task import Future as RosFuture


async def finished(work: Future, executor: Executor) -> Any:
    """Return what another thread's work results in, or raise what it raises; the executor goes on meanwhile.

    A callback that awaits needs a callback group of its own: no other one of its group is run until it has ended.
    """
    done = RosFuture(executor=executor)
    done.add_done_callback(lambda future: None)  # a callback to run wakes the executor
    work.add_done_callback(lambda future: done.set_result(True))
    await done
    return work.result()

"""The perception node on a live graph, timed alone and beside a learner."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
import math
import os
from pathlib import Path
import tempfile
import time
from typing import Any

import numpy as np
from rclpy.node import Node

from semdepth_ros.bags.qos import OUTPUT
from semdepth_ros.bridge.adaptation_status import STATUS
from semdepth_ros.bridge.rclpy_types import RclpyTypes, qos_profile
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.live.adaptation_run import LEARNER, LearnerStart
from semdepth_ros.live.bench import DEPTH_AND_MASK, perception, timed
from semdepth_ros.live.graph import spinning_node
from semdepth_ros.live.node_process import NodeProcess
from semdepth_ros.live.traffic import ImageSource, OutputSink
from semdepth_ros.perception.benchmark import Progress

LEARNERS = ('off', 'shadow', 'on')
BEGIN_S, BEGUN_STEPS = 900.0, 3     # anchors are rendered at first; then so many steps before the clock runs
_BURST = 10


def measure_beside_learner(mode: str, camera: Camera, pictures: Sequence[np.ndarray], model: str, device: str,
                           frames: int, rate_hz: float, progress: Progress,
                           parameters: Mapping[str, str] | None = None) -> dict:
    """Send a drive again and again to perception, and to a learner beside it; return what measure_graph says.

    Perception and learner are processes of their own, their parameters as they come; images alone tell the learner how
    the camera moves. The clock runs once it has taken BEGUN_STEPS steps. `steps` are those taken meanwhile, `ms_per_step`
    the median and the 95th percentile of what the learner says of them, `versions` those that perception was given.

    :param mode: of the learner; off: there is none
    :param pictures: of the drive, uint8 [H, W, 3] each, 0.1 s apart
    :param device: of both nodes
    :param parameters: of the learner's node, beside model, device, mode and weights_dir
    :raises RuntimeError: a node ended, does not answer, or the learner takes no step within BEGIN_S
    """
    with tempfile.TemporaryDirectory() as name, spinning_node('bench') as node:
        folder = Path(name)
        with perception(model, device, folder, weights_dir=folder) as process:
            source = ImageSource(node, camera, pictures)
            source.wait_for_node(process)
            sink = OutputSink(node, DEPTH_AND_MASK)
            source.warm_up(sink, process)
            said = {'mode': mode, 'rate_hz': rate_hz, 'size': [camera.width, camera.height]}
            if mode == 'off':
                return said | timed(source, sink, process, rate_hz, frames, progress)
            learner = LearnerStart({'model': model, 'device': device, 'mode': mode, 'weights_dir': str(folder)}
                                   | dict(parameters or {}), {})
            with NodeProcess(LEARNER, learner.arguments(), folder / 'learner.log', os.environ) as learning:
                watch = StepCount(node)
                _wait_for_steps(watch, source, process, learning, rate_hz)
                before = watch.taken
                said |= timed(source, sink, process, rate_hz, frames, progress)
                learning.expect_alive()
                return said | {'steps': watch.taken - before, 'versions': watch.versions, 'ms_per_step': watch.ms}


class StepCount:
    """Counts the steps that a learner says it has kept, through its resets.

    `ms` has the median and the 95th percentile of a step over the last minute that had one.
    """

    def __init__(self, node: Node):
        self.taken, self.versions, self.ms = 0, 0, {}
        self._last = 0
        node.create_subscription(RclpyTypes().message_class(STATUS), 'adaptation/status', self.hear, qos_profile(OUTPUT))

    def hear(self, status: Any) -> None:
        """Take note of an AdaptationStatus."""
        self.taken += status.steps - self._last if status.steps >= self._last else status.steps
        self._last, self.versions = status.steps, max(self.versions, status.served_version)
        if not math.isnan(status.step_ms_p50):      # as it is where there was no step within a minute
            self.ms = {'p50': round(float(status.step_ms_p50), 1), 'p95': round(float(status.step_ms_p95), 1)}


def _wait_for_steps(watch: StepCount, source: ImageSource, process: NodeProcess, learner: NodeProcess,
                    rate_hz: float) -> None:
    end = time.monotonic() + BEGIN_S
    while watch.taken < BEGUN_STEPS:
        learner.expect_alive()
        if time.monotonic() > end:
            raise RuntimeError(f'the learner takes no step within {BEGIN_S:g} s: {learner.last_words()}')
        source.send(_BURST, rate_hz, process, lambda done, total: None)

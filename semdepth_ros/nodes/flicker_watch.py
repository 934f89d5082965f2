"""How much published depth flickers: once a second two consecutive frames of a camera are compared, beside perceiving."""
from __future__ import annotations

from collections.abc import Mapping
import queue
import threading

import cv2
import numpy as np

from semdepth_ros.adaptation.driven_points import seen_grey
from semdepth_ros.adaptation.flicker import Flicker, change_between
from semdepth_ros.adaptation.odometry_calibration import unsteady_classes
from semdepth_ros.classes import SemanticClass
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Perception
from semdepth_ros.nodes.one_line import one_line
from semdepth_ros.nodes.throttled_log import ThrottledLog

PERIOD_NS, LONGEST_NS = 1_000_000_000, 500_000_000   # between pairs; between the two of a pair
WIDTH_PX = 416          # at which they are compared

Seen = tuple[Frame, Perception]


class FlickerWatch:
    """Takes what was perceived on the worker's thread, and compares on its own.

    :param flickers: of the cameras, by name
    """

    def __init__(self, flickers: Mapping[str, Flicker], classes: tuple[SemanticClass, ...], log: ThrottledLog):
        self._flickers, self._unsteady, self._log = flickers, unsteady_classes(classes), log
        self._first: dict[str, Seen] = {}
        self._due_ns: dict[str, int] = {}
        self._pairs: queue.Queue = queue.Queue(maxsize=len(flickers))
        self._thread = threading.Thread(target=self._run, name='flicker', daemon=True)
        self._thread.start()

    def see(self, camera: str, frame: Frame, perception: Perception) -> None:
        """Keep a frame, or hand on a pair, if it is time; from the worker's thread."""
        first, stamp_ns = self._first.pop(camera, None), perception.stamp_ns
        if first is not None:
            if _follows(first, perception):
                try:
                    self._pairs.put_nowait((camera, first, (frame, perception)))
                except queue.Full:      # this is no work to wait for
                    pass
            return
        due_ns = self._due_ns.get(camera, stamp_ns)
        if perception.camera is not None and not 0 < due_ns - stamp_ns <= PERIOD_NS:
            self._first[camera], self._due_ns[camera] = (frame, perception), stamp_ns + PERIOD_NS

    def close(self) -> None:
        """End."""
        self._pairs.put(None)
        self._thread.join(timeout=10.0)

    def _run(self) -> None:
        while (pair := self._pairs.get()) is not None:
            camera, first, second = pair
            try:
                self._flickers[camera].take(self._change(first, second))
            except Exception as error:      # whatever two frames do, the next ones are compared
                self._log.warn(f'camera {camera!r}: how much depth flickers is not known ({one_line(error)})')

    def _change(self, first: Seen, second: Seen) -> float | None:
        camera = first[1].camera
        if camera.width > WIDTH_PX:
            camera = camera.scaled(WIDTH_PX, max(1, round(camera.height * WIDTH_PX / camera.width)))
        size = camera.width, camera.height
        greys = [seen_grey(frame, camera) for frame, _ in (first, second)]
        depths = [cv2.resize(perception.depth, size, interpolation=cv2.INTER_NEAREST) for _, perception in (first, second)]
        labels = cv2.resize(first[1].labels, size, interpolation=cv2.INTER_NEAREST)
        return change_between(*greys, *depths, camera.matrix, ~np.isin(labels, self._unsteady))


def _follows(first: Seen, second: Perception) -> bool:
    before = first[1]
    return (0 < second.stamp_ns - before.stamp_ns <= LONGEST_NS and second.camera == before.camera
            and second.model_version == before.model_version and second.depth.shape == before.depth.shape)

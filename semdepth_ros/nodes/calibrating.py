"""Calibrations of live cameras: what the service asks is measured beside perceiving, on a thread of its own each."""
from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Collection
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from rclpy.node import Node

from semdepth_ros.bridge.calibrate import FINISH, METHODS, ODOMETRY, Calibrated, Order, sentence
from semdepth_ros.bridge.rclpy_types import RclpyTypes
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Perception
from semdepth_ros.nodes.calibration_methods import Method, method_of
from semdepth_ros.nodes.declared_parameters import DeclaredParameters
from semdepth_ros.nodes.mount_listener import MountListener
from semdepth_ros.nodes.odometry_listener import OdometryListener
from semdepth_ros.nodes.one_line import one_line
from semdepth_ros.nodes.throttled_log import ThrottledLog
from semdepth_ros.nodes.transform_listener import TransformListener
from semdepth_ros.perception import Perceptor
from semdepth_ros.scale import Mount
from semdepth_ros.scale.camera_store import StoredScale, cameras_folder, store_scale

_WAITING = 4    # frames that wait for a calibration; older ones are left out of it, not of what is published
_LOOK_S = 0.05


@dataclass(eq=False)
class _Running:
    """One calibration under way: frames come in on the worker's thread, and are looked at on its own.

    :param frames: and what they were perceived as, newest last
    """

    order: Order
    deadline_s: float
    answers: list[Future[Calibrated]]
    frames: deque[tuple[Frame, Perception]] = field(default_factory=lambda: deque(maxlen=_WAITING))
    changed: threading.Condition = field(default_factory=threading.Condition)
    is_over: bool = False
    is_answered: bool = False
    failure: str = ''

    def put(self, frame: Frame, perception: Perception) -> None:
        with self.changed:
            self.frames.append((frame, perception))
            self.changed.notify()

    def end(self, failure: str = '', asked: Future[Calibrated] | None = None) -> bool:
        """Have it end, and answer one more who asks; return whether it had not ended by itself."""
        with self.changed:
            self.is_over, self.failure = True, failure
            self.answers += [asked] if asked is not None else []
            self.changed.notify()
            return not self.is_answered

    def next(self) -> tuple[Frame, Perception] | None:
        with self.changed:
            self.changed.wait_for(lambda: self.frames or self.is_over, timeout=_LOOK_S)
            return self.frames.popleft() if self.frames else None


class Calibrating:
    """Runs at most one calibration of each camera at a time.

    :param cameras: their names
    """

    def __init__(self, node: Node, types: RclpyTypes, parameters: DeclaredParameters, perceptor: Perceptor,
                 cameras: Collection[str], mounts: MountListener, log: ThrottledLog):
        self._parameters, self._perceptor, self._mounts, self._log = parameters, perceptor, mounts, log
        self._odometry, self._transforms = OdometryListener(node, types, log), TransformListener(node, types)
        self.cameras = tuple(cameras)
        self._running: dict[str, _Running] = {}
        # perceived and true distances of each camera that stood, and what they were measured with
        self._earlier: dict[str, tuple[tuple, tuple[list[float], list[float]]]] = {}

    def ask(self, order: Order) -> Future[Calibrated]:
        """Begin to measure, or end what is being measured; from the executor's thread.

        :raises ValueError: the camera is being calibrated, or with FINISH it is not
        """
        running, answer = self._running.get(order.camera), Future()
        if order.method == FINISH:
            if running is None or not running.end(asked=answer):
                raise ValueError(f'nothing is being collected on camera {order.camera!r}')
            return answer
        if running is not None:
            raise ValueError(f'camera {order.camera!r} is being calibrated by {METHODS[running.order.method]}: wait for that, '
                             f'or end it by FINISH ({FINISH})')
        running = self._running[order.camera] = _Running(order, time.monotonic() + order.duration_s, [answer])
        self.poll()
        threading.Thread(target=self._measure, args=(running,), name='calibrate', daemon=True).start()
        return answer

    def wants(self, camera: str) -> bool:
        """Return whether images of a camera are needed; from any thread."""
        return camera in self._running

    def see(self, camera: str, frame: Frame, perception: Perception) -> None:
        """Hand on what was perceived, if it is wanted; from the worker's thread."""
        running = self._running.get(camera)
        if running is not None:
            running.put(frame, perception)

    def poll(self) -> None:
        """Listen to odometry and transforms while they are needed; call it a few times a second from the executor."""
        if any(running.order.method == ODOMETRY for running in tuple(self._running.values())):
            self._odometry.open()
            self._odometry.follow()
            self._transforms.open()
        else:
            self._odometry.close()
            self._transforms.close()

    def close(self, why: str) -> None:
        """End all calibrations without an answer; from the executor's thread."""
        for running in tuple(self._running.values()):
            running.end(why)
        self._odometry.close()
        self._transforms.close()

    def _measure(self, running: _Running) -> None:
        order = running.order
        try:
            answer = self._answer(running)
        except Exception as error:
            answer = Calibrated(one_line(error))
            if not isinstance(error, ValueError):
                self._log.warn(f'calibrating camera {order.camera!r} failed: {answer.message}')
        with running.changed:
            running.is_answered = True
            del self._running[order.camera]
        for future in running.answers:
            future.set_result(answer)

    def _answer(self, running: _Running) -> Calibrated:
        """Look at frames until it is over, and say what they said; they begin anew with another camera or weights."""
        order, method, key, trouble = running.order, None, None, ''
        while not (running.is_over or method is not None and method.done or time.monotonic() > running.deadline_s):
            item = running.next()
            if item is None:
                if method is not None:
                    method.look()
                continue
            frame, perception = item
            if (frame.frame_id, frame.camera, perception.model_version) != key:
                key = frame.frame_id, frame.camera, perception.model_version
                method = self._method(order, key)
            try:
                method.take(frame, perception)
                trouble = ''
            except ValueError as error:
                trouble = str(error)
        if running.failure:
            raise ValueError(running.failure)
        if method is None or trouble:
            raise ValueError(trouble or f'no image has come within {order.duration_s:g} s')
        found, measurements, how = method.answer()
        answer = Calibrated(sentence(found, how), found, measurements)
        return self._kept(answer, how, *key[:2]) if answer.success and not order.dry_run else answer

    def _method(self, order: Order, key: tuple) -> Method:
        known = self._earlier.get(order.camera)
        if not order.more or known is None or known[0] != key:
            known = self._earlier[order.camera] = key, ([], [])
        return method_of(order, known[1], lambda frame_id: self._mount(order, frame_id), self._odometry,
                         self._transforms.tree.lookup, self._perceptor.card.classes)

    def _mount(self, order: Order, frame_id: str) -> Mount | None:
        """Return where a camera is: its height as told, its tilt by TF where that says one."""
        found = self._mounts.mount(self._parameters['base_frame'], frame_id)
        height_m = order.height_m or self._parameters['camera_height_m'] or (found.height_m if found else 0.0)
        return Mount(height_m, found.tilt if found else None) if height_m else None

    def _kept(self, answer: Calibrated, how: str, frame_id: str, camera) -> Calibrated:
        found = answer.found
        stored = StoredScale(frame_id, camera, self._perceptor.card.factory, found.scale, found.sigma, how,
                             self._perceptor.version)
        try:
            path = store_scale(stored, cameras_folder())
        except (ValueError, OSError) as error:
            return replace(answer, message=f'{answer.message}; not kept: {one_line(error)}')
        return replace(answer, file=str(path), message=f'{answer.message}; kept in {path}')

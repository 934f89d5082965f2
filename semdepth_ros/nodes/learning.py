"""What the adaptation node has between configure and cleanup: a learner, its camera, odometry, and what it announces.

Two threads meet here. The executor's runs callbacks: it stores the newest image, odometry and transforms, hears what
perception serves, and sends the status once a second. The learner's takes frames and what people ask for, one after the
other: it alone touches the Adapter and announces weights. It leaves a Status behind that the executor's may read.
"""
from __future__ import annotations

import gc
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from rclpy.lifecycle import LifecycleNode

from semdepth_ros.adaptation import Adapter, Observation, OdometryTrack, Status, Version, status_of
from semdepth_ros.adaptation.status import FAULT
from semdepth_ros.bags.qos import INPUT, LATCHED, OUTPUT, Qos
from semdepth_ros.bridge.adaptation_parameters import adapter_settings
from semdepth_ros.bridge.adaptation_status import STATUS, UPDATE, make_adaptation_status, make_weights_update
from semdepth_ros.bridge.camera_mount import camera_mount
from semdepth_ros.bridge.diagnostics import Statistics
from semdepth_ros.bridge.messages import stamp_ns
from semdepth_ros.bridge.model_info import NAME as MODEL_INFO
from semdepth_ros.bridge.model_info import sha256_of
from semdepth_ros.bridge.perception_load import load_of
from semdepth_ros.bridge.rclpy_types import RclpyTypes, qos_profile
from semdepth_ros.bridge.weights_update import weights_folder
from semdepth_ros.frame import Frame
from semdepth_ros.geometry.transform_tree import pose_from, pose_of_text
from semdepth_ros.model_file import find_model
from semdepth_ros.networks import load_network
from semdepth_ros.nodes.camera_input import Arrival, CameraInput
from semdepth_ros.nodes.declared_parameters import DeclaredParameters
from semdepth_ros.nodes.following_subscription import FollowingSubscription
from semdepth_ros.nodes.one_line import one_line
from semdepth_ros.nodes.pace import Pace
from semdepth_ros.nodes.throttled_log import ThrottledLog
from semdepth_ros.nodes.transform_listener import TransformListener
from semdepth_ros.nodes.worker import NewestFirstWorker, Taken
from semdepth_ros.perception.device import choose_device
from semdepth_ros.scale import Mount

ODOMETRY, DIAGNOSTICS = 'nav_msgs/msg/Odometry', 'diagnostic_msgs/msg/DiagnosticArray'
FACTORY = 'factory.safetensors'     # in the folder of weights: what perception goes back to
FRAME = 'frame'             # what of the worker's sources is not somebody's question
STEPS_S = 60.0
LONGEST_REST_S = 0.4        # without looking at frames: gaps of a second would begin all evidence anew
LOOK_S = 0.01               # how often odometry is looked for while a frame waits for it
LIVE_ODOMETRY_S = 2.0       # odometry that was silent for longer is not waited for


class Learning:
    """Learns between activate() and deactivate().

    :raises ValueError: the model, the device or a setting cannot be used
    """

    def __init__(self, node: LifecycleNode, types: RclpyTypes, parameters: DeclaredParameters, log: ThrottledLog):
        self._node, self._types, self._parameters, self._log = node, types, parameters, log
        torch.set_num_threads(parameters['threads'])
        self.folder = weights_folder(parameters['weights_dir'])
        self._device = choose_device(parameters['device'])
        network, card = load_network(parameters['model'])
        self._mount = pose_of_text(parameters['camera_in_base'])
        self.adapter = Adapter(
            network, card, adapter_settings(parameters['mode'], parameters['settings']), camera_in_base=self._mount,
            folder=self.folder, journal=self.folder / 'journal.jsonl' if parameters['journal'] else None,
            resume=parameters['resume'], device=self._device, input_pixels=parameters['input_pixels'])
        self.status, self._frame_id, self._base_frame = Status(factory=self.adapter.serving.factory.card.factory), '', ''
        self._observation, self._statistics = Observation(-1), Statistics()
        self._odometry, self._odometry_at_s, self._odometry_lock = OdometryTrack(), 0.0, threading.Lock()
        self._steps_ms: deque[tuple[float, float]] = deque()
        self._learning_s, self._due_s, self._asked, self._announced_at_s = 0.0, 0.0, 0, -np.inf
        self._pace, self._wake = Pace(parameters['busy_share'], parameters['most_slowdown']), threading.Event()
        self._rest_until_s = self._rested_s = self._piece_s = 0.0
        self._answers: dict[int, Future] = {}       # what people wait for, by the number of the question
        self._announced = 0         # the version that was announced last; the factory's needs no announcement
        self._info: Any = None      # what perception said last
        self._doubted: tuple = ()   # what of it has been looked at again
        self._begun: Any = None     # what it said of itself when it began
        self._transforms = TransformListener(node, types)
        self._camera = CameraInput(node, types, '', parameters['image_transport'] == 'compressed',
                                   parameters['image_kind'], self._statistics, log, self._arrived,
                                   parameters['image_bits'])
        self._status_publisher = node.create_publisher(types.message_class(STATUS), '~/status', qos_profile(OUTPUT))
        self._weights_publisher = node.create_publisher(types.message_class(UPDATE), 'weights', qos_profile(LATCHED))
        self._subscriptions: list[Any] = []
        self._odometry_subscription: FollowingSubscription | None = None
        self._is_active = False
        self._worker = NewestFirstWorker(self._work, self._worker_failed)
        if parameters['idle_priority']:
            self._put(_yield_to_others)
        if self._device.type == 'cuda':
            self._put(self._take_low_priority)
            self.take_pieces()

    def activate(self) -> None:
        """Begin to learn."""
        self._is_active = True
        self._camera.open()
        self._transforms.open()
        if self._types.has(ODOMETRY):
            self._odometry_subscription = FollowingSubscription(
                self._node, self._types.message_class(ODOMETRY), self._node.resolve_topic_name('odometry'),
                self._on_odometry, INPUT)
        self._subscriptions.append(self._node.create_subscription(
            self._types.message_class(MODEL_INFO), 'perception/model_info', self._heard, qos_profile(LATCHED)))
        self._subscriptions.append(self._node.create_subscription(
            self._types.message_class(DIAGNOSTICS), '/diagnostics', self._hear_load, qos_profile(Qos(depth=10))))

    def deactivate(self) -> None:
        """Stop, once the frame that is being worked on is done."""
        self._is_active = False
        self._camera.close()
        self._transforms.close()
        if self._odometry_subscription is not None:
            self._odometry_subscription.close()
            self._odometry_subscription = None
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()
        for source in self._worker.clear():
            if source == FRAME:
                self._statistics.count('dropped')
            elif source in self._answers:
                self._answers.pop(source).set_exception(ValueError('the node was deactivated meanwhile'))

    def close(self) -> None:
        """Give everything back; promoted weights and the journal stay on disk."""
        self.deactivate()
        self._worker.stop()
        self.adapter.journal.close()
        self._node.destroy_publisher(self._status_publisher)
        self._node.destroy_publisher(self._weights_publisher)
        del self.adapter
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def poll(self) -> None:
        """Follow publishers, and send the status when it is due."""
        self._camera.follow()
        if self._odometry_subscription is not None:
            self._odometry_subscription.follow()
        now_s = time.monotonic()
        self._look_again(now_s)
        if now_s >= self._due_s:
            period_s = self._parameters['status_period_s']
            self._due_s = max(self._due_s + period_s, now_s + period_s / 2)
            self._send_status(now_s)

    def ask(self, function: Callable[[Adapter], str]) -> Future[str]:
        """Have the learner's thread call a function between two frames; the result is what it returned or raised."""
        done, number = Future(), self._asked + 1

        def answer() -> None:
            try:
                done.set_result(function(self.adapter))
            except Exception as error:
                done.set_exception(error)
            self._answers.pop(number, None)
            self.status = status_of(self.adapter, self._observation, self.status.stamp_ns)
            self._announce_changes()
        self._answers[number] = done
        self._put(answer)
        return done

    def save(self) -> str:
        """Write the candidate beside the promoted weights; return the file. To be asked for, as a function of ask."""
        path = self.folder / 'candidate.safetensors'
        self.adapter.save(path)
        return str(path)

    def _arrived(self, arrival: Arrival) -> None:
        if self._worker.put(FRAME, arrival):
            self._statistics.count('dropped')

    def _put(self, function: Callable[[], None]) -> None:
        self._asked += 1
        self._worker.put(self._asked, function)
        self._wake.set()

    def _work(self, taken: Taken) -> None:
        for source, item in taken:
            try:
                if source == FRAME:
                    self._learn(item)
                else:
                    self._wake.clear()
                    item()
            except ValueError as error:
                self._statistics.count('rejected')
                self._log.warn(f'{self._camera.image_topic}: {error}')
            except Exception as error:
                self._statistics.count('failed')
                self._log.warn(f'{self._camera.image_topic}: a frame failed with {one_line(error)}')

    def _worker_failed(self, error: BaseException) -> None:
        self.status = Status(state=FAULT, reason=f'learning has ended: {one_line(error)}', factory=self.status.factory,
                             served=self.status.served)
        self._node.get_logger().error(self.status.reason)

    def _learn(self, arrival: Arrival) -> None:
        self._rested_s, began_s = 0.0, time.monotonic()
        self._piece_s = began_s
        frame = self._camera.frame(arrival.message)
        self._frame_id = frame.frame_id
        self.adapter.metric.move(self._mount_of(frame.frame_id))
        observation = self.adapter.observe(frame, self._pose(frame), may_step=began_s >= self._rest_until_s)
        took_s = time.monotonic() - began_s - self._rested_s
        if observation.stepped:
            self._learning_s += took_s
            self._steps_ms.append((began_s, 1e3 * took_s))
        self._observation, self.status = observation, status_of(self.adapter, observation, frame.stamp_ns)
        if observation.event in ('promoted', 'rolled back', 'would promote', 'trial failed'):
            self._node.get_logger().info(self.adapter.last_verdict)
        self._announce_changes()
        if observation.stepped or self._pace.is_behind:
            self._rest(took_s)

    def _rest(self, took_s: float) -> None:
        """Leave the device to others after a frame: at once for a moment, unless somebody asks; then without a step."""
        now_s = time.monotonic()
        rest_s = max(self._pace.rest_s(took_s, now_s) - self._rested_s, 0.0)
        self._rest_until_s = now_s + rest_s
        self._wake.wait(min(rest_s, LONGEST_REST_S))

    def take_pieces(self) -> None:
        """Take steps one sample at a time, with a rest after each: for a device that runs one piece of work after another."""
        self.adapter.learner.one_by_one, self.adapter.learner.between = True, self._rest_between

    def _rest_between(self) -> None:
        if self._device.type == 'cuda':
            torch.cuda.current_stream(self._device).synchronize()
        now_s = time.monotonic()
        rest_s = min(self._pace.rest_s(now_s - self._piece_s, now_s), LONGEST_REST_S)
        time.sleep(rest_s)
        self._rested_s, self._piece_s = self._rested_s + rest_s, time.monotonic()

    def _take_low_priority(self) -> None:
        """Let what this thread launches come after what streams of higher priority launch."""
        stream = torch.cuda.Stream(self._device, priority=0)               # the lowest there is; -1 and below come first
        stream.wait_stream(torch.cuda.default_stream(self._device))
        torch.cuda.set_stream(stream)

    def _hear_load(self, message: Any) -> None:
        load = load_of(message.status, self._parameters['perception'].strip('/'))
        if load is not None:
            self._pace.hear(load, time.monotonic())

    def _mount_of(self, frame_id: str) -> Mount | None:
        """Return where the camera is above the road: the given height before TF's, and TF's tilt; None while unknown."""
        found = camera_mount(self._transforms.tree, self._parameters['base_frame'], frame_id)
        height_m = self._parameters['camera_height_m'] or (found.height_m if found else 0.0)
        return Mount(height_m, found.tilt if found else None) if height_m else None

    def _pose(self, frame: Frame) -> np.ndarray | None:
        """Return the base's pose at the frame's stamp, waited for a little where odometry is alive."""
        patience_s, since_s = self._parameters['odometry_patience_s'], time.monotonic()
        while True:
            with self._odometry_lock:
                newest, heard_s = self._odometry.newest_ns, self._odometry_at_s
                pose = self._odometry.at(frame.stamp_ns)
            now_s = time.monotonic()
            is_over = now_s - since_s >= patience_s or now_s - heard_s > LIVE_ODOMETRY_S
            if pose is not None or newest is None or newest >= frame.stamp_ns or is_over or not self._is_active:
                break
            time.sleep(LOOK_S)
        if pose is not None and self.adapter.reader.camera_in_base is None:
            self.adapter.reader.camera_in_base = self._transforms.tree.lookup(self._base_frame, frame.frame_id)
            if self.adapter.reader.camera_in_base is None:
                self._log.warn(f'odometry of {self._base_frame!r} is not used: no transform from there to '
                               f'{frame.frame_id!r}, and camera_in_base is empty')
                return None
        return pose

    def _on_odometry(self, message: Any) -> None:
        try:
            pose = pose_from(message.pose.pose.position, message.pose.pose.orientation)
        except ValueError as error:
            self._log.warn(f'odometry: {error}')
            return
        with self._odometry_lock:
            self._base_frame, self._odometry_at_s = message.child_frame_id, time.monotonic()
            self._odometry.add(stamp_ns(message.header), pose)

    def _announce_changes(self) -> None:
        """Ask perception to serve what the learner serves, if that lies in a file and is news."""
        version = self.adapter.serving.served
        if version.number != self._announced and self.adapter.mode == 'on':
            said = 0 if self._info is None else self._info.version
            self._announce(version, back=version.number < max(self._announced, said))

    def _announce(self, version: Version, back: bool) -> None:
        """Ask perception to serve a version.

        :param back: whether it may be older than what perception serves
        """
        self._announced, self._announced_at_s = version.number, time.monotonic()
        if version.path is None:
            version = self._factory_file(version)
        self._weights_publisher.publish(make_weights_update(
            self._types, version, back, self.status.stamp_ns, self._frame_id, self.adapter.last_verdict or 'resumed'))

    def _factory_file(self, version: Version) -> Version:
        """Return the factory's version with a file of it in the folder that perception reads."""
        source, path = find_model(self._parameters['model']), self.folder / FACTORY
        if not path.exists() or sha256_of(path) != sha256_of(source):
            self.folder.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix('.partial')
            shutil.copyfile(source, partial)
            os.replace(partial, path)
        return replace(version, path=path, sha256=sha256_of(path))

    def _heard(self, info: Any) -> None:
        self._info = info
        self._put(lambda: self._believe(info))

    def _look_again(self, now_s: float) -> None:
        """Look again at what perception said last once it has had the time to change: one that refuses says nothing."""
        info, doubt = self._info, (self._info, self._announced_at_s)
        if info is None or doubt == self._doubted or info.version == self.adapter.serving.served.number:
            return
        if now_s - self._announced_at_s >= self._parameters['announcement_patience_s']:
            self._doubted = doubt
            self._put(lambda: self._believe(info))

    def _believe(self, info: Any) -> None:
        """Take it that perception serves what it says, but for what it has not yet had the time to change to.

        A perception that has just begun serves its own model first: what was announced reaches it a moment later.
        """
        if self._announced and not stamp_ns(info.header) and info is not self._begun:
            self._begun, self._announced_at_s = info, time.monotonic()
        factory = self.adapter.serving.factory.card.factory
        if info.factory_hash != factory:
            raise ValueError(f'perception serves weights of factory {info.factory_hash[:12]}, the learner has '
                             f'{factory[:12]}: start both with the same model')
        is_early = time.monotonic() - self._announced_at_s < self._parameters['announcement_patience_s']
        if info.version == self.adapter.serving.served.number or (is_early and info.version != self._announced):
            return
        try:
            self.adapter.believe(info.version)
        except ValueError as error:
            if self.adapter.mode != 'on':
                raise
            self._announce(self.adapter.serving.served, back=True)
            raise ValueError(f'perception serves version {info.version}, which is not to be had here ({error}): it is asked to '
                             f'serve version {self._announced}') from error
        self._announced = info.version
        self._node.get_logger().warning(f'perception serves version {info.version}; learning goes on from there')

    def _send_status(self, now_s: float) -> None:
        while self._steps_ms and now_s - self._steps_ms[0][0] > STEPS_S:
            self._steps_ms.popleft()
        memory = torch.cuda.memory_allocated(self._device) if self._device.type == 'cuda' else 0
        frames = self._statistics.total('received'), self._statistics.total('dropped')
        self._status_publisher.publish(make_adaptation_status(
            self._types, self.status, self._frame_id, frames, [ms for _, ms in tuple(self._steps_ms)], self._learning_s,
            str(self._device), memory))


def _yield_to_others() -> None:
    """Let this thread, and those it starts, run when nobody else wants the core; where the system has it."""
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except (AttributeError, OSError):
        pass

"""What the adaptation node has between configure and cleanup: a learner, its camera, odometry, and what it announces.

Two threads meet here. The executor's runs callbacks: it stores the newest images, odometry and transforms, hears what
perception serves, and sends the status once a second. The learner's takes frames and what people ask for, one after the
other: it alone touches the Adapter and announces weights. It leaves a Status behind that the executor's may read.
"""
from __future__ import annotations

import gc
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np
import torch
from rclpy.lifecycle import LifecycleNode

from semdepth_ros.adaptation import Adapter, Observation, OdometryTrack, Status, status_of
from semdepth_ros.adaptation.status import FAULT
from semdepth_ros.bags.qos import INPUT, LATCHED, OUTPUT, Qos
from semdepth_ros.bridge.adaptation_parameters import adapter_settings
from semdepth_ros.bridge.adaptation_status import STATUS, make_adaptation_status
from semdepth_ros.bridge.camera_mount import camera_mount
from semdepth_ros.bridge.diagnostics import Statistics
from semdepth_ros.bridge.messages import stamp_ns
from semdepth_ros.bridge.model_info import NAME as MODEL_INFO
from semdepth_ros.bridge.rclpy_types import RclpyTypes, qos_profile
from semdepth_ros.bridge.weights_update import weights_folder
from semdepth_ros.frame import Frame
from semdepth_ros.geometry.transform_tree import pose_from, pose_of_text
from semdepth_ros.networks import load_network
from semdepth_ros.nodes.camera_input import Arrival, CameraInput
from semdepth_ros.nodes.declared_parameters import DeclaredParameters
from semdepth_ros.nodes.following_subscription import FollowingSubscription
from semdepth_ros.nodes.newest_frames import NewestFrames
from semdepth_ros.nodes.one_line import one_line
from semdepth_ros.nodes.served_weights import ServedWeights
from semdepth_ros.nodes.shared_device import SharedDevice
from semdepth_ros.nodes.throttled_log import ThrottledLog
from semdepth_ros.nodes.transform_listener import TransformListener
from semdepth_ros.nodes.worker import NewestFirstWorker, Taken
from semdepth_ros.perception.device import choose_device
from semdepth_ros.scale import Mount

ODOMETRY, DIAGNOSTICS = 'nav_msgs/msg/Odometry', 'diagnostic_msgs/msg/DiagnosticArray'
FRAME = 'frame'             # what of the worker's sources is not somebody's question
STEPS_S = 60.0
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
        self._learning_s, self._due_s, self._asked = 0.0, 0.0, 0
        self._answers: dict[int, Future] = {}       # what people wait for, by the number of the question
        self.device = SharedDevice(parameters, self._device)
        self.weights = ServedWeights(node, types, parameters, self.adapter, self.folder, self._put)
        self._transforms = TransformListener(node, types)
        self._camera = CameraInput(node, types, '', parameters['image_transport'] == 'compressed',
                                   parameters['image_kind'], self._statistics, log, self._arrived,
                                   parameters['image_bits'])
        self._status_publisher = node.create_publisher(types.message_class(STATUS), '~/status', qos_profile(OUTPUT))
        self._subscriptions: list[Any] = []
        self._odometry_subscription: FollowingSubscription | None = None
        self._is_active = False
        self._frames = NewestFrames()
        self._worker = NewestFirstWorker(self._work, self._worker_failed)
        self._put(self.device.settle)
        if self._device.type == 'cuda':
            self.device.take_pieces(self.adapter.learner)

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
            self._types.message_class(MODEL_INFO), 'perception/model_info', self.weights.hear, qos_profile(LATCHED)))
        self._subscriptions.append(self._node.create_subscription(
            self._types.message_class(DIAGNOSTICS), '/diagnostics', self.device.hear, qos_profile(Qos(depth=10))))

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
            if source in self._answers:
                self._answers.pop(source).set_exception(ValueError('the node was deactivated meanwhile'))
        for _ in self._frames.take():
            self._statistics.count('dropped')

    def close(self) -> None:
        """Give everything back; promoted weights and the journal stay on disk."""
        self.deactivate()
        self._worker.stop()
        self.adapter.journal.close()
        self._node.destroy_publisher(self._status_publisher)
        self.weights.close()
        del self.adapter, self.weights
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def poll(self) -> None:
        """Follow publishers, and send the status when it is due."""
        self._camera.follow()
        if self._odometry_subscription is not None:
            self._odometry_subscription.follow()
        now_s = time.monotonic()
        self.weights.look_again(now_s)
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
        for _ in range(self._frames.put(arrival, stamp_ns(arrival.header), 2 * self.adapter.stride.length + 1)):
            self._statistics.count('dropped')
        self._worker.put(FRAME, None)

    def _put(self, function: Callable[[], None]) -> None:
        self._asked += 1
        self._worker.put(self._asked, function)
        self.device.somebody_asks()

    def _work(self, taken: Taken) -> None:
        for source, item in taken:
            if source != FRAME:
                self.device.nobody_asks()
                self._guarded(item)
                continue
            for arrival, follows_ns in self._frames.take():
                self._guarded(lambda: self._learn(arrival, follows_ns))

    def _guarded(self, function: Callable[[], None]) -> None:
        try:
            function()
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

    def _learn(self, arrival: Arrival, follows_ns: int | None) -> None:
        began_s = self.device.begin()
        frame = self._camera.frame(arrival.message)
        self._frame_id = frame.frame_id
        self.adapter.metric.move(self._mount_of(frame.frame_id))
        pose, waited_s = self._pose(frame)
        self.device.waited(waited_s)
        observation = self.adapter.observe(frame, pose, self.device.has_time(began_s), follows_ns)
        took_s = self.device.worked_s()
        if observation.stepped:
            self._learning_s += took_s
            self._steps_ms.append((began_s, 1e3 * took_s))
        self._observation, self.status = observation, status_of(self.adapter, observation, frame.stamp_ns)
        if observation.event in ('promoted', 'rolled back', 'would promote', 'trial failed'):
            self._node.get_logger().info(self.adapter.last_verdict)
        self._announce_changes()
        self.device.rest(observation.stepped > 0)

    def _announce_changes(self) -> None:
        self.weights.announce_changes(self.status.stamp_ns, self._frame_id)

    def _mount_of(self, frame_id: str) -> Mount | None:
        """Return where the camera is above the road: the given height before TF's, and TF's tilt; None while unknown."""
        found = camera_mount(self._transforms.tree, self._parameters['base_frame'], frame_id)
        height_m = self._parameters['camera_height_m'] or (found.height_m if found else 0.0)
        return Mount(height_m, found.tilt if found else None) if height_m else None

    def _pose(self, frame: Frame) -> tuple[np.ndarray | None, float]:
        """Return the base's pose at the frame's stamp, waited for a little where odometry is alive, and how long [s]."""
        patience_s, since_s, waited_s = self._parameters['odometry_patience_s'], time.monotonic(), 0.0
        while True:
            with self._odometry_lock:
                newest, heard_s = self._odometry.newest_ns, self._odometry_at_s
                pose = self._odometry.at(frame.stamp_ns)
            now_s = time.monotonic()
            is_over = now_s - since_s >= patience_s or now_s - heard_s > LIVE_ODOMETRY_S
            if pose is not None or newest is None or newest >= frame.stamp_ns or is_over or not self._is_active:
                break
            time.sleep(LOOK_S)
            waited_s = time.monotonic() - since_s
        if pose is not None and self._mount is None:                # looked up for every frame: a head may turn
            self.adapter.reader.camera_in_base = self._transforms.tree.lookup(self._base_frame, frame.frame_id)
            if self.adapter.reader.camera_in_base is None:
                self._log.warn(f'odometry of {self._base_frame!r} is not used: no transform from there to '
                               f'{frame.frame_id!r}, and camera_in_base is empty')
                return None, waited_s
        return pose, waited_s

    def _on_odometry(self, message: Any) -> None:
        try:
            pose = pose_from(message.pose.pose.position, message.pose.pose.orientation)
        except ValueError as error:
            self._log.warn(f'odometry: {error}')
            return
        with self._odometry_lock:
            self._base_frame, self._odometry_at_s = message.child_frame_id, time.monotonic()
            self._odometry.add(stamp_ns(message.header), pose)

    def _send_status(self, now_s: float) -> None:
        while self._steps_ms and now_s - self._steps_ms[0][0] > STEPS_S:
            self._steps_ms.popleft()
        memory = torch.cuda.memory_allocated(self._device) if self._device.type == 'cuda' else 0
        frames = self._statistics.total('received'), self._statistics.total('dropped')
        self._status_publisher.publish(make_adaptation_status(
            self._types, self.status, self._frame_id, frames, [ms for _, ms in tuple(self._steps_ms)], self._learning_s,
            str(self._device), memory))

"""What the evaluation node has between configure and cleanup: topics, frames put together, and their evaluation.

Two threads meet here. The executor's stores messages, pairs them by stamp and hands frames that are whole to the other,
which alone reads images, compares, draws and publishes metrics. Once that has ended, the report is written by whoever
closes.
"""
from __future__ import annotations

from dataclasses import replace
import math
import queue
import threading
import time
from typing import Any

from rclpy.lifecycle import LifecycleNode

from semdepth_ros.bags.qos import INPUT, LATCHED, OUTPUT
from semdepth_ros.bridge.depth_metrics import NAME as DEPTH_METRICS
from semdepth_ros.bridge.depth_metrics import make_depth_metrics
from semdepth_ros.bridge.diagnostics import Statistics
from semdepth_ros.bridge.evaluated_frame import TRUTH, evaluated_frame
from semdepth_ros.bridge.evaluation_parameters import report_folder
from semdepth_ros.bridge.frame_assembly import FrameAssembly
from semdepth_ros.bridge.lidar import CLOUD
from semdepth_ros.bridge.messages import make_header, stamp_ns
from semdepth_ros.bridge.model_info import NAME as MODEL_INFO
from semdepth_ros.bridge.perceived import TOPICS as PERCEIVED
from semdepth_ros.bridge.rclpy_types import RclpyTypes, qos_profile
from semdepth_ros.evaluation.depth_evaluation import SCALINGS
from semdepth_ros.evaluation.live_evaluation import LiveEvaluation
from semdepth_ros.geometry.transform_tree import pose_of_text
from semdepth_ros.nodes.camera_input import Arrival, CameraInput
from semdepth_ros.nodes.declared_parameters import DeclaredParameters
from semdepth_ros.nodes.following_subscription import FollowingSubscription, overridden
from semdepth_ros.nodes.one_line import one_line
from semdepth_ros.nodes.pairing import Pairing, message_filters, pairing
from semdepth_ros.nodes.throttled_log import ThrottledLog
from semdepth_ros.nodes.transform_listener import TransformListener

_IMAGE, _INFO = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CameraInfo'
# part: topic and type. Every frame begins with `depth`; the others are paired with it.
PARTS = {'depth': (PERCEIVED['depth'], _IMAGE), 'labels': (PERCEIVED['labels'], _IMAGE),
         'info': (PERCEIVED['info'], _INFO), 'true_depth': (TRUTH['true_depth'], _IMAGE),
         'true_labels': (TRUTH['true_labels'], _IMAGE), 'noisy_labels': (TRUTH['noisy_labels'], _IMAGE),
         'cloud': (TRUTH['cloud'], CLOUD)}
METRICS = 'metrics'   # are to be published
PERIOD_S = 1.0        # between metrics
ONE_SCALE_SHARE = 0.2  # of the time may go into figures that need all frames again
MOST_BEHIND = 200     # frames that may wait to be compared


class Evaluating:
    """Subscribes and compares between activate() and deactivate(); writes the report when it is closed.

    :raises ValueError: a parameter or an overridden quality of service that cannot be
    :raises OSError: the report's folder cannot be made
    """

    def __init__(self, node: LifecycleNode, types: RclpyTypes, parameters: DeclaredParameters, log: ThrottledLog):
        self._node, self._types, self._log = node, types, log
        self._folder = report_folder(parameters['report_dir'])
        self._folder.mkdir(parents=True, exist_ok=True)
        self._patience_s = parameters['patience_s']
        self._queue, self._slop_ns = parameters['queue'], round(parameters['lidar_slop_s'] * 1e9)
        self._transform = pose_of_text(parameters['lidar_transform'])
        self._transforms = TransformListener(node, types)
        self._model, self._served = parameters['model'], ''
        self._evaluation = LiveEvaluation(parameters['name'], parameters['pictures'])
        self._statistics = Statistics()
        self._topics = {part: node.resolve_topic_name(topic) for part, (topic, _) in PARTS.items()}
        self._qos = replace(INPUT, depth=self._queue)
        for topic in self._topics.values():
            overridden(node, topic, self._qos)
        self._camera = CameraInput(node, types, '', parameters['image_transport'] == 'compressed',
                                   parameters['image_kind'], self._statistics, log, self._image_came,
                                   parameters['image_bits'])
        self._topics['image'] = self._camera.image_topic
        self._expected: list[str] = []
        self._assembly = FrameAssembly(self._queue, {'cloud': self._slop_ns})
        self._pairings: dict[str, Pairing] = {part: pairing(self._queue, self._slop_ns if part == 'cloud' else 0)
                                              for part in self._topics if part != 'depth'}
        self._newest_ns: dict[str, int] = {}
        self._metrics = node.create_publisher(types.message_class(DEPTH_METRICS), '~/metrics', qos_profile(OUTPUT))
        self._subscriptions: list[FollowingSubscription] = []
        self._served_subscription: Any = None
        self._due_s = self._one_scale_due_s = 0.0
        self._one_scale: Any = None
        self._frame_id = ''  # of the newest frame counted
        self._work: queue.SimpleQueue = queue.SimpleQueue()  # (stamp, parts) of frames, METRICS, None for the end
        self._thread = threading.Thread(target=self._run, name='evaluate', daemon=True)
        self._thread.start()

    def activate(self) -> None:
        """Listen to what is perceived and to the truth, and to the camera once there is somebody who perceives it."""
        self._transforms.open()
        for part, (_, kind) in PARTS.items():
            self._subscriptions.append(FollowingSubscription(
                self._node, self._types.message_class(kind), self._topics[part],
                lambda message, part=part: self._came(part, Arrival(message, time.monotonic())), self._qos))
        self._served_subscription = self._node.create_subscription(
            self._types.message_class(MODEL_INFO), 'perception/model_info', self._heard_of_model, qos_profile(LATCHED))

    def deactivate(self) -> None:
        """Listen no longer; frames that wait for something are compared as they are."""
        for subscription in self._subscriptions:
            subscription.close()
        self._subscriptions.clear()
        if self._served_subscription is not None:
            self._node.destroy_subscription(self._served_subscription)
            self._served_subscription = None
        self._camera.close()
        self._transforms.close()
        self._hand_on(is_end=True)

    def close(self) -> None:
        """Compare what has come, write the report, and give everything back."""
        self.deactivate()
        self._work.put(None)
        self._thread.join()
        self._node.destroy_publisher(self._metrics)
        self._write_report()

    def poll(self) -> None:
        """Follow publishers, hand on frames that are whole, and ask for metrics once a second; from the executor."""
        for subscription in self._subscriptions:
            subscription.follow()
        self._camera.follow()
        self._expected = [part for part, topic in self._topics.items() if self._node.count_publishers(topic)]
        if self._subscriptions and 'depth' in self._expected:
            self._camera.open()
        self._hand_on()
        now_s = time.monotonic()
        if self._subscriptions and now_s >= self._due_s and self._work.qsize() < MOST_BEHIND:
            self._due_s = max(self._due_s + PERIOD_S, now_s + PERIOD_S / 2)
            self._work.put(METRICS)

    def _image_came(self, arrival: Arrival) -> None:
        self._came('image', arrival)

    def _came(self, part: str, arrival: Arrival) -> None:
        """Take in a message: a frame's first, or one to be paired with that."""
        stamp = stamp_ns(arrival.header)
        if stamp < self._newest_ns.get(part, stamp):
            self._begin_anew(part, stamp)
        self._newest_ns[part] = stamp
        if part == 'depth':
            self._assembly.begin(stamp, part, arrival, arrival.at_s)
            for other, pairs in self._pairings.items():
                self._join(other, pairs.add(0, arrival))
        else:
            self._join(part, self._pairings[part].add(1, arrival))
        self._assembly.passed(part, stamp)
        self._hand_on()

    def _begin_anew(self, part: str, stamp: int) -> None:
        """Forget what waits of a topic whose clock was set back; of the frames, that they wait."""
        if part != 'depth':
            self._pairings[part].forget(1)
            return
        self._log.warn(f'{self._topics[part]}: time went backwards to {stamp * 1e-9:.3f} s; starting anew')
        self._hand_on(is_end=True)
        self._assembly.begin_anew()
        for pairs in self._pairings.values():
            pairs.forget(0)

    def _join(self, part: str, pair: tuple[Arrival, Arrival] | None) -> None:
        if pair:
            self._assembly.add(stamp_ns(pair[0].header), part, pair[1])

    def _heard_of_model(self, info: Any) -> None:
        self._served = f'{info.name or info.file} version {info.version}'

    def _hand_on(self, is_end: bool = False) -> None:
        before_s = math.inf if is_end else time.monotonic() - self._patience_s
        for stamp, parts in self._assembly.whole(self._expected, before_s):
            if self._work.qsize() > MOST_BEHIND:
                parts = {}
            self._work.put((stamp, parts))

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            if work == METRICS:
                self._publish_metrics()
                continue
            try:
                self._compare(*work)
            except Exception as error:  # whatever one frame does, the next one is compared
                self._evaluation.sequence.leave_out(one_line(error))

    def _compare(self, stamp: int, parts: dict[str, Arrival]) -> None:
        if not parts:
            raise ValueError(f'{MOST_BEHIND} frames are waiting to be compared: this machine is too slow')
        messages = {part: arrival.message for part, arrival in parts.items() if part != 'image'}
        frame = self._camera.frame(parts['image'].message) if 'image' in parts else None
        sample, perception = evaluated_frame(
            f'{stamp * 1e-9:.3f} s', messages, frame, lambda width, height: self._camera.camera(width, height, stamp),
            self._camera_from_lidar(messages))
        answered_s = max(parts[part].at_s for part in ('depth', 'labels') if part in parts)
        latency_ms = 1e3 * (answered_s - parts['image'].at_s) if 'image' in parts else None
        self._evaluation.add(sample, perception, latency_ms)
        self._frame_id = perception.frame_id

    def _camera_from_lidar(self, messages: dict[str, Any]) -> Any:
        if self._transform is not None or 'cloud' not in messages or 'true_depth' in messages:
            return self._transform
        camera, scanner = (messages[part].header.frame_id for part in ('depth', 'cloud'))
        found = self._transforms.tree.lookup(camera, scanner)
        if found is None:
            raise ValueError(f'no transform from {camera!r} to {scanner!r}: set lidar_transform'
                             + ('' if self._transforms.is_available else ' (tf2_msgs is not installed)'))
        return found

    def _publish_metrics(self) -> None:
        """Publish the figures of all frames so far; those of one scale as often as that is cheap."""
        evaluation, sequence = self._evaluation, self._evaluation.sequence
        header = make_header(self._types, evaluation.newest_ns, self._frame_id)
        for protocol in SCALINGS:
            if protocol != 'one_scale':
                self._metrics.publish(make_depth_metrics(self._types, header, sequence, protocol, evaluation.crop))
        began_s = time.monotonic()
        if began_s >= self._one_scale_due_s:
            self._one_scale = make_depth_metrics(self._types, header, sequence, 'one_scale', evaluation.crop)
            took_s = time.monotonic() - began_s
            self._one_scale_due_s = began_s + took_s / ONE_SCALE_SHARE
        self._metrics.publish(self._one_scale)

    def _write_report(self) -> None:
        logger, evaluation = self._node.get_logger(), self._evaluation
        if not evaluation.frames:
            reasons = self._evaluation.sequence.result().get('left_out', {})
            logger.error(f'nothing was evaluated, so there is no report: no frame on {self._topics["depth"]} '
                         + (f'could be compared ({next(iter(reasons))})' if reasons else 'came'))
            return
        by = 'message_filters' if message_filters else 'semdepth_ros'
        protocol = {'pairing': f'By {by}: images and truth of exactly the stamp of a frame'
                    + (f'; scans less than {self._slop_ns * 1e-9:g} s from it.' if self._slop_ns else '; scans too.'),
                    'scans': 'The nearest return in a pixel; those close beside much nearer ones are left out: hidden.'}
        model, images = self._model or self._served or 'unknown', self._statistics.total('received')
        result = evaluation.result(model, images, protocol)
        try:
            logger.info(f'{evaluation.frames} frames evaluated: {evaluation.write(self._folder, result)}')
        except OSError as error:
            logger.error(f'the report cannot be written: {one_line(error)}')

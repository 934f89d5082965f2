"""Images sent to a perception node, and what came back: the two ends of a measurement on the graph."""
from __future__ import annotations

from collections.abc import Iterable
import time
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.serialization import serialize_message

from semdepth_ros.bags.cdr import stamp_of, with_stamp
from semdepth_ros.bags.qos import OUTPUT, Qos
from semdepth_ros.bridge.camera_info import make_camera_info
from semdepth_ros.bridge.messages import make_header
from semdepth_ros.bridge.outputs import TOPICS
from semdepth_ros.bridge.rclpy_types import RclpyTypes, qos_profile
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.live.arrivals import Arrivals
from semdepth_ros.live.node_process import NodeProcess
from semdepth_ros.perception.benchmark import Progress

START_S, WARM_UPS = 120.0, 10
COUNTS = ('received', 'perceived', 'dropped', 'gaps')


class ImageSource:
    """Publishes the images of a camera one after the other, again and again, with their camera_info.

    All are serialised beforehand; stamps go on, 0.1 s apart.

    :param node: publishes
    :param pictures: uint8 [H, W, 3] each, of the camera's size
    :param reliability: of the publishers
    """

    def __init__(self, node: Node, camera: Camera, pictures: Iterable[np.ndarray], reliability: str = 'reliable'):
        types, quality = RclpyTypes(), qos_profile(Qos(reliability))
        self.node, self.stamp_ns = node, 1_000_000_000
        self.images = node.create_publisher(types.message_class('sensor_msgs/msg/Image'), 'image', quality)
        self.infos = node.create_publisher(types.message_class('sensor_msgs/msg/CameraInfo'), 'camera_info', quality)
        header = make_header(types, 0, 'camera')
        self.data = [_image(types, header, picture) for picture in pictures]
        self.info = serialize_message(make_camera_info(types, header, camera))

    def wait_for_node(self, process: NodeProcess) -> None:
        """Wait until the node has made its topics."""
        end = time.monotonic() + START_S
        while not self.node.count_publishers('depth/image'):
            process.expect_alive()
            if time.monotonic() > end:
                raise RuntimeError(f'the node is not there after {START_S:g} s: {process.last_words()}')
            time.sleep(0.1)

    def publish(self) -> tuple[int, float]:
        """Publish the next image; return its stamp [ns] and when [s]."""
        self.stamp_ns += 100_000_000
        image = with_stamp(self.data[self.stamp_ns // 100_000_000 % len(self.data)], self.stamp_ns)
        self.infos.publish(with_stamp(self.info, self.stamp_ns))
        at = time.monotonic()
        self.images.publish(image)
        return self.stamp_ns, at

    def warm_up(self, sink: OutputSink, process: NodeProcess) -> None:
        """Send images until some have come back."""
        end, back = time.monotonic() + START_S, 0
        while back < WARM_UPS:
            process.expect_alive()
            if time.monotonic() > end:
                raise RuntimeError(f'the node does not answer within {START_S:g} s: {process.last_words()}')
            stamp, _ = self.publish()
            back += sink.wait_for_all([stamp], 1.0)

    def send(self, frames: int, rate_hz: float, process: NodeProcess, progress: Progress) -> dict[int, float]:
        """Send so many images at a rate; return when [s] by stamp [ns]."""
        sent, start = {}, time.monotonic()
        for i in range(frames):
            time.sleep(max(0.0, start + i / rate_hz - time.monotonic()))
            stamp, at = self.publish()
            sent[stamp] = at
            process.expect_alive()
            progress(i + 1, frames)
        return sent


class OutputSink:
    """Subscribes to outputs and notes when they come, without unpacking them."""

    def __init__(self, node: Node, topics: tuple[str, ...]):
        types = RclpyTypes()
        self.topics, self.arrivals = topics, Arrivals()
        self.diagnostics: Any = None  # the newest message
        for topic in topics:
            node.create_subscription(types.message_class(TOPICS[topic]), topic,
                                     lambda data, topic=topic: self.arrivals.note(topic, stamp_of(data)),
                                     qos_profile(OUTPUT), raw=True)
        node.create_subscription(types.message_class('diagnostic_msgs/msg/DiagnosticArray'), '/diagnostics',
                                 lambda message: setattr(self, 'diagnostics', message), 10)

    def wait_for_all(self, stamps: list[int], timeout_s: float) -> bool:
        """Return whether all outputs of these frames came within the time."""
        end = time.monotonic() + timeout_s
        return all(self.arrivals.wait_for(self.topics, stamp, max(0.0, end - time.monotonic())) is not None
                   for stamp in stamps)

    def complete(self) -> dict[int, float]:
        """Return, by stamp, when the last of its outputs arrived, for frames that have all."""
        return self.arrivals.complete(self.topics)

    def node_latencies(self) -> dict[str, dict[str, float]]:
        """Return the newest diagnostics' percentiles by stage [ms]."""
        stages: dict[str, dict[str, float]] = {}
        for key, value in self._said().items():
            stage, _, rest = key.partition(' p')
            if rest.endswith(' [ms]'):
                stages.setdefault(stage, {})[f'p{rest.removesuffix(" [ms]")}'] = float(value)
        return stages

    def node_counts(self) -> dict[str, int]:
        """Return the newest diagnostics' counters of images."""
        said = self._said()
        return {name: int(said.get(name, 0)) for name in COUNTS}

    def _said(self) -> dict[str, str]:
        statuses = self.diagnostics.status if self.diagnostics else ()
        return {pair.key: pair.value for status in statuses for pair in status.values}


def _image(types: RclpyTypes, header: Any, picture: np.ndarray) -> bytes:
    height, width = picture.shape[:2]
    image = types.make('sensor_msgs/msg/Image', header=header, height=height, width=width, encoding='rgb8',
                       step=3 * width, data=picture.reshape(-1))
    return serialize_message(image)

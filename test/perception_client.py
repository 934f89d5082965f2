"""The other side of a perception node: a camera that sends, and everybody who listens."""
from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from rcl_interfaces.msg import Log
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from ros_graph import Graph, wait_until
from semdepth_ros.bridge import make_camera_info, make_header, make_image, stamp_ns
from semdepth_ros.bridge.outputs import ALL_TOPICS
from semdepth_ros.bridge.rclpy_types import RclpyTypes
from semdepth_ros.geometry import Camera

TYPES = RclpyTypes()
CAMERA = Camera(96, 64, 80.0, 80.0, 47.5, 31.5)
PIXELS = np.random.default_rng(7).integers(0, 256, (64, 96, 3), dtype=np.uint8)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
STEP_NS = 100_000_000


class Client:
    """A node that sends images with ever newer stamps and keeps what it hears, by topic.

    :param prefix: of the camera, such as 'front/'
    """

    def __init__(self, graph: Graph, node_name: str, prefix: str = '', reliable: bool = True):
        self.graph, self.node = graph, graph.node(f'client_of_{node_name}')
        self.prefix, self.perception = prefix, node_name
        self.heard, self.log, self._subscriptions, self._now = defaultdict(list), [], {}, 1_000_000_000
        qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT)
        self.images = self.node.create_publisher(TYPES.message_class('sensor_msgs/msg/Image'), f'{prefix}image', qos)
        self.infos = self.node.create_publisher(TYPES.message_class('sensor_msgs/msg/CameraInfo'),
                                                f'{prefix}camera_info', qos)
        self.node.create_subscription(Log, '/rosout', lambda m: self.log.append(m.msg),
                                      QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL))

    def listen(self, *topics: str, name: str = '', qos: Any = 5) -> None:
        """Subscribe to outputs, or to another topic with its message's name."""
        for topic in topics:
            kind = TYPES.message_class(name or ALL_TOPICS[topic])
            full = topic if name else f'{self.prefix}{topic}'
            self._subscriptions[topic] = self.node.create_subscription(kind, full, self.heard[topic].append, qos)
        if not name:
            wait_until(lambda: self.images.get_subscription_count() and self.infos.get_subscription_count(),
                       what='the node to subscribe')

    def unlisten(self) -> None:
        """End all subscriptions and forget what was heard."""
        self.graph.call(lambda: [self.node.destroy_subscription(s) for s in self._subscriptions.values()])
        self._subscriptions.clear()
        self.heard.clear()

    def header(self) -> Any:
        """Return a header a tenth of a second after the last one."""
        self._now += STEP_NS
        return make_header(TYPES, self._now, 'camera_optical')

    def back_in_time(self) -> None:
        """Begin the clock anew."""
        self._now = 500_000_000

    def send(self, camera: Camera | None = CAMERA, pixels: np.ndarray = PIXELS, **changes: Any) -> Any:
        """Send an image, and its camera_info unless camera is None; return its header."""
        header = self.header()
        if camera:
            self.infos.publish(make_camera_info(TYPES, header, camera))
        message = make_image(TYPES, header, pixels, 'rgb8' if pixels.ndim == 3 else 'mono8')
        for field, value in changes.items():
            setattr(message, field, value)
        self.images.publish(message)
        return header

    def answers(self, header: Any, *topics: str) -> list[Any]:
        """Return the messages of these topics that carry a header's stamp, once they are there."""
        def found(topic: str) -> list[Any]:
            return [m for m in tuple(self.heard[topic]) if stamp_ns(m.header) == stamp_ns(header)]
        return [wait_until(lambda: found(topic), what=f'{topic} of {stamp_ns(header)}; log: {self.log[-3:]}')[0]
                for topic in topics]

    def warned(self, *words: str) -> str:
        """Return a line of the log that has all these words, once it is there."""
        return wait_until(lambda: next((t for t in tuple(self.log) if all(w in t for w in words)), ''),
                          what=f'a warning with {words}; log: {self.log[-5:]}')

    def call(self, service: str, kind: type, **fields: Any) -> Any:
        """Return a service's response."""
        client = self.node.create_client(kind, f'{self.perception}/{service}')
        assert client.wait_for_service(5.0)
        future = client.call_async(kind.Request(**fields))
        wait_until(future.done, 20.0, what=service)
        self.graph.call(lambda: self.node.destroy_client(client))
        return future.result()

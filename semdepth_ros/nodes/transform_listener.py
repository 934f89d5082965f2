"""The height of a camera above the vehicle's base frame, from TF."""
from __future__ import annotations

import time
from typing import Any

from rclpy.node import Node

from semdepth_ros.bags.qos import Qos
from semdepth_ros.bridge.rclpy_types import RclpyTypes, qos_profile
from semdepth_ros.bridge.transform_tree import TransformTree, camera_height

TF_MESSAGE = 'tf2_msgs/msg/TFMessage'
_TOPICS = {'/tf_static': Qos(durability='transient_local', depth=100), '/tf': Qos(depth=100)}
_WANTED_S = 5.0  # how long a height that was asked for is looked for


class CameraHeightListener:
    """Listens to transforms while a height is still wanted; each camera's height is looked up once and kept.

    A camera does not change its height above the base: what it was when its chain of transforms was complete stays, and
    the flood of /tf is left alone from then on.
    """

    def __init__(self, node: Node, types: RclpyTypes):
        self._node, self.is_available = node, types.has(TF_MESSAGE)
        self._class = types.message_class(TF_MESSAGE) if self.is_available else None
        self._tree, self._heights, self._wanted, self._subscriptions = TransformTree(), {}, {}, []

    def height(self, base_frame: str, camera_frame: str) -> float | None:
        """Return the height [m], None while it is not known; from any thread.

        It is looked for from now on, until nobody has asked for a while.
        """
        key = (base_frame, camera_frame)
        if key not in self._heights:
            self._wanted[key] = time.monotonic()
        return self._heights.get(key)

    def update(self) -> None:
        """Subscribe or unsubscribe as needed; call it now and then from the executor."""
        for key, asked_s in tuple(self._wanted.items()):
            if time.monotonic() - asked_s > _WANTED_S:
                del self._wanted[key]
        if self._wanted and not self._subscriptions and self.is_available:
            self._subscriptions = [self._node.create_subscription(self._class, topic, self._receive, qos_profile(qos))
                                   for topic, qos in _TOPICS.items()]
        if not self._wanted:
            self.close()

    def close(self) -> None:
        """Stop listening; heights that are known stay."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def _receive(self, message: Any) -> None:
        self._tree.update(message)
        for key in tuple(self._wanted):
            height = camera_height(self._tree, *key)
            if height is not None:
                self._heights[key] = height
                self._wanted.pop(key, None)

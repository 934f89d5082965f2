"""The transforms of a robot, listened to from open() to close()."""
from __future__ import annotations

from rclpy.node import Node
from rclpy.subscription import Subscription

from semdepth_ros.bags.qos import Qos
from semdepth_ros.bridge.rclpy_types import RclpyTypes, qos_profile
from semdepth_ros.geometry.transform_tree import TransformTree

TF_MESSAGE = 'tf2_msgs/msg/TFMessage'
TOPICS = {'/tf_static': Qos(durability='transient_local', depth=100), '/tf': Qos(depth=100)}


class TransformListener:
    """Keeps the newest transforms in `tree`; hears nothing where tf2_msgs is not installed."""

    def __init__(self, node: Node, types: RclpyTypes):
        self.tree, self.is_available = TransformTree(), types.has(TF_MESSAGE)
        self._node, self._types = node, types
        self._subscriptions: list[Subscription] = []

    def open(self) -> None:
        """Begin to listen, unless that is done."""
        if self._subscriptions or not self.is_available:
            return
        for topic, qos in TOPICS.items():
            self._subscriptions.append(self._node.create_subscription(
                self._types.message_class(TF_MESSAGE), topic,
                lambda message, topic=topic: self.tree.update(message, topic == '/tf_static'), qos_profile(qos)))

    def close(self) -> None:
        """Listen no longer; what is known stays."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

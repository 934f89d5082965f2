"""Where a camera is mounted above the vehicle's base frame, from TF."""
from __future__ import annotations

from dataclasses import dataclass
import time
from typing import Any

from rclpy.node import Node
from rclpy.subscription import Subscription

from semdepth_ros.bags.qos import Qos
from semdepth_ros.bridge.camera_mount import camera_mount
from semdepth_ros.bridge.rclpy_types import RclpyTypes, qos_profile
from semdepth_ros.geometry.transform_tree import TransformTree
from semdepth_ros.scale import Mount

TF_MESSAGE = 'tf2_msgs/msg/TFMessage'
_TOPICS = {'/tf_static': Qos(durability='transient_local', depth=100), '/tf': Qos(depth=100)}


@dataclass(frozen=True)
class Patience:
    """For how long transforms are listened to.

    :param wanted_s: after a mount was asked for
    :param again_s, look_s: how often, and for how long, a mount that moves is looked up again
    """

    wanted_s: float = 5.0
    again_s: float = 10.0
    look_s: float = 1.0


class MountListener:
    """Listens to transforms while somebody asks for a mount.

    /tf_static is listened to all the while, so that a mount that is sent anew is heard. The flood of /tf is left alone
    where the camera's chain of transforms is static, and is otherwise listened to for a second in ten.
    """

    def __init__(self, node: Node, types: RclpyTypes, patience: Patience = Patience()):
        self._node, self._patience, self.is_available = node, patience, types.has(TF_MESSAGE)
        self._class = types.message_class(TF_MESSAGE) if self.is_available else None
        self._tree = TransformTree()
        self._subscriptions: dict[str, Subscription] = {}
        self._wanted: dict[tuple[str, str], float] = {}
        self._mounts: dict[tuple[str, str], Mount] = {}

    def mount(self, base_frame: str, camera_frame: str) -> Mount | None:
        """Return where a camera is, None while it is not known; from any thread.

        It is listened for from now on, until nobody has asked for a while.
        """
        key = (base_frame, camera_frame)
        self._wanted[key] = time.monotonic()
        return self._mounts.get(key)

    def update(self) -> None:
        """Subscribe or unsubscribe as needed; call it now and then from the executor."""
        now_s = time.monotonic()
        for key, asked_s in tuple(self._wanted.items()):
            if now_s - asked_s > self._patience.wanted_s:
                del self._wanted[key]
        self._listen('/tf_static', bool(self._wanted))
        moving = [key for key in tuple(self._wanted) if not self._tree.is_static(*key)]
        unknown = any(key not in self._mounts for key in moving)
        is_time = now_s % self._patience.again_s < self._patience.look_s
        self._listen('/tf', unknown or bool(moving) and is_time)

    def close(self) -> None:
        """Stop listening; mounts that are known stay."""
        for topic in _TOPICS:
            self._listen(topic, False)

    def _listen(self, topic: str, wanted: bool) -> None:
        if wanted and self.is_available and topic not in self._subscriptions:
            self._subscriptions[topic] = self._node.create_subscription(
                self._class, topic, lambda message: self._receive(message, topic == '/tf_static'),
                qos_profile(_TOPICS[topic]))
        elif not wanted and topic in self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.pop(topic))

    def _receive(self, message: Any, is_static: bool) -> None:
        self._tree.update(message, is_static)
        for key in tuple(self._wanted):
            mount = camera_mount(self._tree, *key)
            if mount is not None:
                self._mounts[key] = mount

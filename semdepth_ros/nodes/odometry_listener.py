"""Odometry of the base, listened to from open() to close()."""
from __future__ import annotations

import threading
from typing import Any

import numpy as np
from rclpy.node import Node

from semdepth_ros.adaptation.odometry import OdometryTrack
from semdepth_ros.bags.qos import INPUT
from semdepth_ros.bridge.messages import stamp_ns
from semdepth_ros.bridge.rclpy_types import RclpyTypes
from semdepth_ros.geometry.transform_tree import pose_from
from semdepth_ros.nodes.following_subscription import FollowingSubscription
from semdepth_ros.nodes.throttled_log import ThrottledLog

ODOMETRY = 'nav_msgs/msg/Odometry'


class OdometryListener:
    """Keeps the newest poses of the topic `odometry`; they may be asked for from any thread."""

    def __init__(self, node: Node, types: RclpyTypes, log: ThrottledLog):
        self._node, self._types, self._log = node, types, log
        self.topic, self.is_available = node.resolve_topic_name('odometry'), types.has(ODOMETRY)
        self._track, self._base_frame, self._lock = OdometryTrack(), '', threading.Lock()
        self._subscription: FollowingSubscription | None = None

    @property
    def base_frame(self) -> str:
        """The frame whose poses are told, empty before any."""
        return self._base_frame

    @property
    def newest_ns(self) -> int | None:
        """The stamp up to which poses are known, None without any."""
        with self._lock:
            return self._track.newest_ns

    def at(self, stamp: int) -> np.ndarray | None:
        """Return the base's pose at a stamp [ns], float64 [4, 4] m; None where that is not known."""
        with self._lock:
            return self._track.at(stamp)

    def open(self) -> None:
        """Begin to listen anew, unless that is done."""
        if self._subscription is None and self.is_available:
            with self._lock:
                self._track, self._base_frame = OdometryTrack(), ''
            self._subscription = FollowingSubscription(self._node, self._types.message_class(ODOMETRY), self.topic,
                                                       self._receive, INPUT)

    def follow(self) -> None:
        """Follow the publishers; call it a few times a second."""
        if self._subscription is not None:
            self._subscription.follow()

    def close(self) -> None:
        """Listen no longer; what is known stays."""
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None

    def _receive(self, message: Any) -> None:
        try:
            pose = pose_from(message.pose.pose.position, message.pose.pose.orientation)
        except ValueError as error:
            self._log.warn(f'{self.topic}: {error}')
            return
        with self._lock:
            self._base_frame = message.child_frame_id
            self._track.add(stamp_ns(message.header), pose)

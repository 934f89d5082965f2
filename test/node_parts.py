"""What tests of a node's parts share: a logger that remembers, publishers of either quality, the smallest image."""
from __future__ import annotations

import numpy as np
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from semdepth_ros.bridge.rclpy_types import RclpyTypes

TYPES = RclpyTypes()
IMAGE = TYPES.message_class('sensor_msgs/msg/Image')


class Listener:
    """A logger that remembers what it is told, as (level, text) in `lines`."""

    def __init__(self):
        self.lines = []

    def __getattr__(self, level):
        return lambda text: self.lines.append((level, text))


def publisher(node, topic, reliable, latched=False):
    """Return a publisher of images that offers this quality."""
    reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
    return node.create_publisher(IMAGE, topic, QoSProfile(depth=5, reliability=reliability, durability=durability))


def black(**fields):
    """Return a grey image of 4x2 pixels, with these fields."""
    data = np.zeros(8, np.uint8)
    return TYPES.make('sensor_msgs/msg/Image', width=4, height=2, encoding='mono8', step=4, data=data, **fields)

"""A stand-in for the perception node that answers the warm-up, and then one image of so many: $EVERY."""
import os
import sys
import threading

import numpy as np
import rclpy

from semdepth_ros.bags.qos import OUTPUT
from semdepth_ros.bridge.images import make_image
from semdepth_ros.bridge.messages import stamp_ns
from semdepth_ros.bridge.outputs import TOPICS
from semdepth_ros.bridge.rclpy_types import RclpyTypes, qos_profile
from semdepth_ros.nodes.process import run_until_signal
from semdepth_ros.nodes.spinning import spin_until

EVERY = int(os.environ['EVERY'])
DRIVE_BEGINS_NS = 1_000_000_000


def body(stop: threading.Event) -> None:
    """Answer with the same depth everywhere."""
    types, seen = RclpyTypes(), []
    node = rclpy.create_node('perception')
    publishers = {topic: node.create_publisher(types.message_class(kind), topic, qos_profile(OUTPUT))
                  for topic, kind in TOPICS.items() if kind == 'sensor_msgs/msg/Image'}
    encodings = {'depth/image': '32FC1', 'depth/sigma': '32FC1', 'semantic_color/image': 'rgb8'}

    def answer(message) -> None:
        seen.append(stamp_ns(message.header) >= DRIVE_BEGINS_NS)
        if sum(seen) % EVERY == 0:
            for topic, publisher in publishers.items():
                encoding = encodings.get(topic, 'mono8')
                shape = (message.height, message.width) + ((3,) if encoding == 'rgb8' else ())
                array = np.full(shape, 2, np.float32 if encoding == '32FC1' else np.uint8)
                publisher.publish(make_image(types, message.header, array, encoding))

    node.create_subscription(types.message_class('sensor_msgs/msg/Image'), 'image', answer, 20)
    node.create_subscription(types.message_class('sensor_msgs/msg/CameraInfo'), 'camera_info', lambda message: None, 20)
    spin_until(stop, node)


if __name__ == '__main__':
    sys.exit(run_until_signal('half_blind_node', body, sys.argv))

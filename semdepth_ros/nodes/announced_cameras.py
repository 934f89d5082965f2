"""Which cameras will send images, as far as that is announced before the first one: by camera_infos, by a parameter."""
from __future__ import annotations

from collections.abc import Collection, Sequence
import time

from rclpy.node import Node
from rclpy.subscription import Subscription

from semdepth_ros.bags.qos import CALIBRATION, following
from semdepth_ros.bridge.rclpy_types import RclpyTypes, qos_of, qos_profile
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.nodes.camera_input import CameraInput

_PATIENCE_S = 0.5  # for the camera_infos of all cameras together, where somebody publishes some
_LOOK_S = 0.01


def announced_cameras(node: Node, types: RclpyTypes, inputs: Sequence[CameraInput], sizes: Collection[str]
                      ) -> list[Camera | tuple[int, int]]:
    """Return what is known of the images of each camera: its camera, else its size [px]; cameras of neither are left out.

    Waits for camera_infos where somebody publishes them, so that it may take half a second; call it from a callback:
    what comes meanwhile is taken here and not by the executor, which is busy with that callback.

    :param sizes: such as '1280x720': one for all cameras or one for each, in their order; may be empty
    """
    given = [_size(size) for size in sizes if size]
    given = given * len(inputs) if len(given) == 1 else given + [None] * (len(inputs) - len(given))
    _hear_infos(node, types, inputs)
    found = [camera_input.announced or size for camera_input, size in zip(inputs, given)]
    return [camera for camera in found if camera is not None]


def _size(text: str) -> tuple[int, int]:
    width, height = text.split('x')
    return int(width), int(height)


def _hear_infos(node: Node, types: RclpyTypes, inputs: Sequence[CameraInput]) -> None:
    """Hand every camera the first camera_info that comes."""
    kind, waiting = types.message_class('sensor_msgs/msg/CameraInfo'), {}
    try:
        for camera_input in inputs:
            offered = node.get_publishers_info_by_topic(camera_input.info_topic)
            if offered:
                qos = following(CALIBRATION, [qos_of(o.qos_profile) for o in offered])
                waiting[camera_input] = node.create_subscription(kind, camera_input.info_topic, camera_input.announce,
                                                                 qos_profile(qos))
        end_s = time.monotonic() + _PATIENCE_S
        while any(i.announced is None for i in waiting) and time.monotonic() < end_s:
            for camera_input, subscription in waiting.items():
                _take(subscription, camera_input)
            time.sleep(_LOOK_S)
    finally:
        for subscription in waiting.values():
            node.destroy_subscription(subscription)


def _take(subscription: Subscription, camera_input: CameraInput) -> None:
    with subscription.handle:
        taken = subscription.handle.take_message(subscription.msg_type, False)
    if taken is not None:
        camera_input.announce(taken[0])

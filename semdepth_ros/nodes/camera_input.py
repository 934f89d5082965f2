"""What comes from one camera: images, the camera_info that fits them, and what is amiss with them."""
from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from rclpy.node import Node

from semdepth_ros.bags.qos import BEST_EFFORT, CALIBRATION, INPUT
from semdepth_ros.bit_depth import AUTOMATIC, BitDepth
from semdepth_ros.bridge.diagnostics import Statistics
from semdepth_ros.bridge.images import frame_from_message
from semdepth_ros.bridge.info_matcher import InfoMatcher
from semdepth_ros.bridge.messages import stamp_ns
from semdepth_ros.bridge.rclpy_types import RclpyTypes, cv_bridge_view
from semdepth_ros.bridge.shared_memory import loss_at_driver
from semdepth_ros.bridge.stamps import StampWatch
from semdepth_ros.frame import Frame
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.camera_info import image_size
from semdepth_ros.nodes.following_subscription import FollowingSubscription, overridden
from semdepth_ros.nodes.shared_memory_check import uses_fast_dds
from semdepth_ros.nodes.throttled_log import ThrottledLog
from semdepth_ros.share import shared_file

_SILENCE_S, _SILENCE_PERIODS = 1.0, 5  # without an image for longer than both, a camera is silent
_RAW, _COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
# (expected, found): what helps
_TRANSPORT = {(_RAW, _COMPRESSED): '; with image_transport: compressed, image is to be remapped to the name without '
                                   '/compressed',
              (_COMPRESSED, _RAW): '; image_transport: raw reads it'}
_FIRST_S = 10.0     # in which a best-effort driver's first image is expected
_PATIENCE_S = 0.5  # for how long the first images wait, each for a frame's time, for a camera_info that may come


@dataclass(frozen=True)
class Arrival:
    """A message and when it came, by the steady clock [s]."""

    message: Any
    at_s: float

    @property
    def header(self) -> Any:
        """The message's header."""
        return self.message.header


class CameraInput:
    """The subscriptions of one camera, which exist between open() and close().

    :param prefix: the camera's name, empty for the only one
    :param compressed: read <image>/compressed
    :param image_kind: 'raw', 'rectified', or 'auto' for rectified if the topic is named image_rect…
    :param arrived: called with every image that may be worked on
    :param image_bits: how many of 16 bits the images use; 0 tells it by the first images
    :raises ValueError: an overridden quality of service is none
    """

    def __init__(self, node: Node, types: RclpyTypes, prefix: str, compressed: bool, image_kind: str,
                 statistics: Statistics, log: ThrottledLog, arrived: Callable[[Arrival], None],
                 image_bits: int = AUTOMATIC):
        self._node, self._statistics, self._log, self._arrived = node, statistics, log, arrived
        base = f'{prefix}/image' if prefix else 'image'
        resolved = node.resolve_topic_name(base)
        self.image_topic = f'{resolved}/compressed' if compressed else resolved
        self.info_topic = node.resolve_topic_name(f'{prefix}/camera_info' if prefix else 'camera_info')
        for topic, qos in ((self.image_topic, INPUT), (self.info_topic, CALIBRATION)):
            overridden(node, topic, qos)
        self._kinds = {self.image_topic: f'sensor_msgs/msg/{"CompressedImage" if compressed else "Image"}',
                       self.info_topic: 'sensor_msgs/msg/CameraInfo'}
        self._image_class, self._info_class = (types.message_class(kind) for kind in self._kinds.values())
        self._fallback, self._depth = None if compressed else cv_bridge_view(), BitDepth(image_bits, self.image_topic)
        named_so = resolved.rsplit('/', 1)[-1].startswith('image_rect')
        rectified = image_kind == 'rectified' or (image_kind == 'auto' and named_so)
        self._infos, self._watch = InfoMatcher(rectified), StampWatch()
        self._subscriptions: tuple[FollowingSubscription, ...] = ()  # of image and camera_info, while open
        self._held: Arrival | None = None  # waits for a camera_info
        self._announced: Camera | None = None
        self._patient_until: float | None = None
        self._opened_s = 0.0
        self._told: set[str] = set()
        self._image_bytes = self._gaps_before = 0  # the latter: when subscribed to
        self._lossy_since: float | None = None  # since when a best-effort driver has been there
        self._losses_told: set[bool] = set()  # whether any image had come

    @property
    def is_open(self) -> bool:
        """Whether the images are subscribed to."""
        return bool(self._subscriptions)

    @property
    def gaps(self) -> int:
        """Frames that never came, as the middleware or as the stamps tell, whichever knows of more."""
        return max(self._statistics.total('lost'), self._watch.missing)

    @property
    def reliability(self) -> str:
        """What the images are subscribed with, empty while they are not."""
        return self._subscriptions[0].qos.reliability if self._subscriptions else ''

    @property
    def incompatible(self) -> str:
        """Which publisher of the present cannot be heard, and why; empty while all can be."""
        for topic, subscription in zip((self.image_topic, self.info_topic), self._subscriptions):
            if subscription.excluded_by:
                return _incompatible(topic, subscription.excluded_by)
        return ''

    @property
    def announced(self) -> Camera | None:
        """The camera of the camera_info that was announced, None while there is none that says a size."""
        return self._announced

    def announce(self, info: Any) -> None:
        """Take in a camera_info that comes before the first image."""
        self._infos.add(info)
        try:
            self._announced = self._infos.camera(*image_size(info), stamp_ns(info.header))
        except ValueError:
            pass  # told when an image comes

    def silence_s(self, now_s: float) -> float:
        """Return for how long no image has come [s] if that is unusual, else 0; now_s is by the steady clock."""
        if not self._subscriptions:
            return 0.0
        silence = now_s - max(self._opened_s, self._statistics.last_s('received') or 0.0)
        usual = max(_SILENCE_S, _SILENCE_PERIODS * self._statistics.period_s('received'))
        return silence if silence > usual else 0.0

    def open(self) -> None:
        """Subscribe, unless that is done."""
        if self._subscriptions:
            return
        self._watch.restart()
        self._opened_s, self._gaps_before = time.monotonic(), self.gaps
        image = FollowingSubscription(self._node, self._image_class, self.image_topic, self._on_image,
                                      lost=self._on_lost,
                                      incompatible=lambda policy: self._on_incompatible(self.image_topic, policy))
        info = FollowingSubscription(self._node, self._info_class, self.info_topic, self._on_info, CALIBRATION,
                                     incompatible=lambda policy: self._on_incompatible(self.info_topic, policy))
        self._subscriptions = (image, info)

    def close(self) -> None:
        """Unsubscribe; the camera_infos stay."""
        for subscription in self._subscriptions:
            subscription.close()
        self._subscriptions, self._patient_until = (), None
        if self._held:
            self._held = None
            self._statistics.count('dropped')

    def follow(self) -> None:
        """Follow the publishers, and wait no longer than need be; call it a few times a second."""
        for subscription in self._subscriptions:
            subscription.follow()
        if self._subscriptions:
            self._say_other_types()
            self._say_loss()
        if self._held and time.monotonic() > self._patient_until:
            self._release()

    def frame(self, message: Any) -> Frame:
        """Return an image message as a frame, with its camera if there is one; from the worker's thread.

        :raises ValueError: the image cannot be read
        """
        frame = frame_from_message(message, None, self._depth, self._fallback)
        return replace(frame, camera=self.camera(frame.width, frame.height, frame.stamp_ns))

    def camera(self, width: int, height: int, stamp: int) -> Camera | None:
        """Return the camera of an image of this size [px] and stamp [ns], None where none fits, which is told."""
        try:
            camera = self._infos.camera(width, height, stamp)
        except ValueError as error:
            self._say_once(f'{self.info_topic}: {error}; images go on, without metric geometry and cloud')
            return None
        if camera is None:
            self._log.warn(f'no camera_info on {self.info_topic} for {self.image_topic}: images go on, '
                           'without metric geometry and cloud')
        return camera

    def _on_image(self, message: Any) -> None:
        arrival = Arrival(message, time.monotonic())
        self._statistics.count('received', arrival.at_s)
        self._image_bytes = len(message.data)
        if not self._watch.see(stamp_ns(message.header)):
            self._statistics.count('time jumps')
            self._infos.clear()
            self._log.warn(f'{self.image_topic}: time went backwards to {stamp_ns(message.header) * 1e-9:.3f} s; '
                           'starting anew')
        self._release()  # a frame's time is over for the one before
        if self._must_wait(arrival.at_s):
            self._held = arrival
        else:
            self._arrived(arrival)

    def _must_wait(self, now_s: float) -> bool:
        if len(self._infos):
            return False
        if self._patient_until is None:
            self._patient_until = now_s + _PATIENCE_S
        return now_s <= self._patient_until and self._node.count_publishers(self.info_topic) > 0

    def _say_other_types(self) -> None:
        """Name publishers of other messages, which a subscription never hears from."""
        for topic, expected in self._kinds.items():
            for found in {p.topic_type for p in self._node.get_publishers_info_by_topic(topic)} - {expected}:
                helps = _TRANSPORT.get((expected, found), '')
                self._say_once(f'{topic} is published as {found}, but {expected} is subscribed to: nothing will come '
                               f'from it{helps}')

    def _say_loss(self) -> None:
        """Say once each that a best-effort driver's images do not come at all or not all, and what most often helps."""
        if self.reliability != BEST_EFFORT or not uses_fast_dds():  # whose shared memory it is about
            self._lossy_since = None
            return
        now_s, received = time.monotonic(), self._statistics.total('received')
        self._lossy_since = self._lossy_since or now_s
        silent_s = now_s - self._lossy_since if self._node.count_publishers(self.image_topic) else 0.0
        loss = loss_at_driver(received, self.gaps - self._gaps_before, silent_s if silent_s > _FIRST_S else 0.0,
                              self._image_bytes, shared_file('config', 'fastdds_large_messages.xml'))
        if loss and (received > 0) not in self._losses_told:
            self._losses_told.add(received > 0)
            self._log.warn(f'{self.image_topic}: {loss}')

    def _say_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._log.warn(text)

    def _on_info(self, info: Any) -> None:
        self._infos.add(info)
        self._release()

    def _release(self) -> None:
        held, self._held = self._held, None
        if held:
            self._arrived(held)

    def _on_lost(self, messages: int) -> None:
        self._statistics.count('lost', times=messages)

    def _on_incompatible(self, topic: str, policy: str) -> None:
        self._log.warn(f'{_incompatible(topic, policy.lower())}: nothing will come from it')


def _incompatible(topic: str, policy: str) -> str:
    return f'a publisher of {topic} offers another {policy} than qos_overrides ask for'

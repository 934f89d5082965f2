"""What goes out for one camera."""
from __future__ import annotations

from collections.abc import Collection
from typing import Any

from rclpy.exceptions import ParameterException
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import qos_policy_name_from_kind
from rclpy.qos_overriding_options import QoSOverridingOptions

from semdepth_ros.bags.qos import LATCHED, OUTPUT, Qos
from semdepth_ros.bridge.label_info import NAME as LABEL_INFO
from semdepth_ros.bridge.label_info import make_label_info
from semdepth_ros.bridge.messages import make_header
from semdepth_ros.bridge.outputs import ALL_TOPICS, OutputMaker, OutputSettings
from semdepth_ros.bridge.rclpy_types import RclpyTypes, qos_profile
from semdepth_ros.bridge.stamps import StampPace
from semdepth_ros.classes import SemanticClass
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Perception
from semdepth_ros.nodes.throttled_log import ThrottledLog

try:
    from rclpy.event_handler import PublisherEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks

_OVERRIDES = 'reliability (reliable, best_effort), history (keep_last, keep_all) and depth (from 1)'


class CameraOutput:
    """The publishers of one camera: managed ones, silent until the node is active.

    :param prefix: the camera's name, empty for the only one
    :raises ValueError: an overridden quality of service that cannot be; no publisher is left behind
    """

    def __init__(self, node: LifecycleNode, types: RclpyTypes, prefix: str, classes: Collection[SemanticClass],
                 log: ThrottledLog):
        self._node, self._types, self._prefix, self._classes, self._log = node, types, prefix, classes, log
        self._maker, self._cloud_pace = OutputMaker(types, classes), StampPace()
        self._publishers: dict[str, LifecyclePublisher] = {}
        self._labels: LifecyclePublisher | None = None
        self._named: float | None = None  # the confidence that label_info was sent with
        try:
            for topic, name in ALL_TOPICS.items():
                self._publishers[topic] = self._publisher(topic, name, OUTPUT)
            if types.has(LABEL_INFO):
                self._labels = self._publisher('semantic/label_info', LABEL_INFO, LATCHED)
        except Exception:
            self.close()
            raise

    def wanted(self) -> set[str]:
        """Return the topics that somebody subscribes to."""
        return {topic for topic, publisher in self._publishers.items() if publisher.get_subscription_count()}

    def publish(self, wanted: Collection[str], header: Any, frame: Frame, perception: Perception,
                settings: OutputSettings) -> None:
        """Make and send what is wanted, each with the header of the input."""
        if 'points' in wanted and not self._cloud_pace.lets_pass(perception.stamp_ns, settings.cloud_rate_hz):
            wanted = [topic for topic in wanted if topic != 'points']
        for topic, message in self._maker.make(wanted, header, frame, perception, settings):
            self._publishers[topic].publish(message)

    def name_labels(self, min_confidence: float) -> None:
        """Send the latched label_info, unless it has been sent with this confidence; call it while active."""
        if self._labels is not None and self._named != min_confidence:
            self._named = min_confidence
            header = make_header(self._types, 0, '')
            self._labels.publish(make_label_info(self._types, header, self._classes, min_confidence))

    def close(self) -> None:
        """Take all topics back."""
        for publisher in [*self._publishers.values(), *([self._labels] if self._labels else [])]:
            self._node.destroy_lifecycle_publisher(publisher)

    def _publisher(self, topic: str, message_name: str, qos: Qos):
        name = f'{self._prefix}/{topic}' if self._prefix else topic

        def incompatible(event: Any) -> None:
            policy = qos_policy_name_from_kind(event.last_policy_kind).lower()
            self._log.warn(f'a subscriber of {name} asks for another {policy} than is offered: nothing will reach it')

        try:
            return self._node.create_lifecycle_publisher(
                self._types.message_class(message_name), name, qos_profile(qos),
                event_callbacks=PublisherEventCallbacks(incompatible_qos=incompatible),
                qos_overriding_options=QoSOverridingOptions.with_default_policies())
        except (RuntimeError, ParameterException) as error:
            raise ValueError(f'{name} cannot be published: {error}; qos_overrides.{self._node.resolve_topic_name(name)}'
                             f'.publisher takes {_OVERRIDES}') from error

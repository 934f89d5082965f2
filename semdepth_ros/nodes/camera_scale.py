"""Where one camera's metric scale comes from, as the parameters say at present."""
from __future__ import annotations

from typing import Any

from rclpy.node import Node

from semdepth_ros.bags.qos import OUTPUT
from semdepth_ros.bridge.rclpy_types import RclpyTypes, qos_profile
from semdepth_ros.nodes.declared_parameters import DeclaredParameters
from semdepth_ros.nodes.throttled_log import ThrottledLog
from semdepth_ros.nodes.transform_listener import CameraHeightListener
from semdepth_ros.perception import CameraHeight, GivenScale, Perceptor, Scale, ScaleSource, fixed_scale

STATUS = 'semdepth_ros/msg/AdaptationStatus'
STATUS_TOPIC = 'adaptation/status'


class CameraScale:
    """Hands out the scale source of one camera; it is made anew when what it rests on changes."""

    def __init__(self, parameters: DeclaredParameters, heights: CameraHeightListener, learner: LearnedScale,
                 log: ThrottledLog):
        self._parameters, self._heights, self._learner, self._log = parameters, heights, learner, log
        self._key, self._source = None, GivenScale()

    def source(self, frame_id: str, perceptor: Perceptor) -> ScaleSource:
        """Return the source for the next frame of this camera; from the worker's thread."""
        kind = self._parameters['scale_source']
        value = {'none': lambda: 1.0, 'fixed': lambda: self._parameters['scale'],
                 'camera_height': lambda: self._height(frame_id),
                 'adaptation': lambda: self._learner.scale(perceptor.version)}[kind]()
        key = (kind, value)
        if key != self._key:
            self._key, self._source = key, _source(kind, value, perceptor)
        return self._source

    def reset(self) -> None:
        """Begin anew, as when time has gone backwards."""
        self._key = None

    def _height(self, frame_id: str) -> float | None:
        given = self._parameters['camera_height_m']
        if given > 0:
            return given
        base = self._parameters['base_frame']
        height = self._heights.height(base, frame_id)
        if height is None:
            why = '' if self._heights.is_available else ' (tf2_msgs is not installed)'
            self._log.warn(f'no transform from {base} to {frame_id!r} that says how high the camera is{why}: depth '
                           'has no metric scale yet; set camera_height_m, or base_frame to a frame on the road')
        return height


class LearnedScale:
    """The scale that the adaptation node has found for the weights being served."""

    def __init__(self, node: Node, types: RclpyTypes):
        self._node, self._class, self._status = node, types.message_class(STATUS), None
        self._subscription = None

    def update(self, wanted: bool) -> None:
        """Subscribe while it is wanted; call it now and then from the executor."""
        if wanted and self._subscription is None:
            self._subscription = self._node.create_subscription(self._class, STATUS_TOPIC, self._receive,
                                                                qos_profile(OUTPUT))
        elif not wanted and self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = self._status = None

    def scale(self, version: int) -> Scale:
        """Return the newest scale; not metric if it was found with other weights than this version."""
        status = self._status
        if status is None or not status.scale > 0:
            return Scale()
        return Scale(status.scale, status.scale * status.scale_sigma,
                     status.metric and status.served_version == version)

    def _receive(self, status: Any) -> None:
        self._status = status


def _source(kind: str, value: Any, perceptor: Perceptor) -> ScaleSource:
    if kind == 'fixed':
        return fixed_scale(value)
    if kind == 'camera_height' and value is not None:
        return CameraHeight(value, perceptor.card.classes)
    return GivenScale(value) if isinstance(value, Scale) else GivenScale()

"""Where one camera's metric scale comes from, as the parameters say at present."""
from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.subscription import Subscription

from semdepth_ros.bags.qos import OUTPUT
from semdepth_ros.bridge.rclpy_types import RclpyTypes, qos_profile
from semdepth_ros.frame_perception import Scale
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.nodes.declared_parameters import DeclaredParameters
from semdepth_ros.nodes.mount_listener import MountListener
from semdepth_ros.nodes.throttled_log import ThrottledLog
from semdepth_ros.perception import Perceptor
from semdepth_ros.scale import CameraHeight, GivenScale, Mount, ScaleSource, fixed_scale
from semdepth_ros.scale.camera_height import CameraHeightRule
from semdepth_ros.scale.camera_store import cameras_folder, stored_scale

STATUS = 'semdepth_ros/msg/AdaptationStatus'
STATUS_TOPIC = 'adaptation/status'
OTHER_WEIGHTS = 0.05                        # relative sigma that weights learned since add: a promotion may change as much
SILENT_S = 15.0                             # after which what the learner said last is not believed any more
_MOVED_M, _TURNED = 0.01, np.radians(0.2)  # what is told of a mount that has changed


class CameraScale:
    """Hands out the scale source of one camera; it is made anew when what it rests on changes.

    A mount that moves is told to the source that is there: what it has learned of the network stays true.
    """

    def __init__(self, parameters: DeclaredParameters, mounts: MountListener, learner: LearnedScale, log: ThrottledLog):
        self._parameters, self._mounts, self._learner, self._log = parameters, mounts, learner, log
        self._key: tuple | None = None  # what the source rests on
        self._source: ScaleSource = GivenScale()
        self._told: tuple[tuple[str, str], Mount] | None = None
        self._readings = 0              # how often what is stored was to be read anew

    @property
    def doubt(self) -> str:
        """Why depth is not metric, in words; empty where it is."""
        return self._source.doubt

    def source(self, frame_id: str, perceptor: Perceptor, camera: Camera | None = None) -> ScaleSource:
        """Return the source for the next frame of this camera; from the worker's thread.

        :param camera: of the frame
        """
        kind = self._parameters['scale_source']
        if kind == 'camera_height':
            return self._of_height(frame_id, perceptor)
        if kind == 'stored':
            return self._stored(frame_id, camera, perceptor)
        value = {'none': Scale, 'fixed': lambda: self._parameters['scale'],
                 'adaptation': lambda: self._learner.scale(perceptor.version, frame_id)}[kind]()
        if (kind, value) != self._key:
            self._key = (kind, value)
            self._source = fixed_scale(value) if kind == 'fixed' else GivenScale(value)
        if kind == 'adaptation' and self._source.why != self._learner.doubt:
            self._source = GivenScale(value, self._learner.doubt)
        return self._source

    def reset(self) -> None:
        """Begin anew, as when time has gone backwards."""
        self._key = None

    def read_anew(self) -> None:
        """Have what is stored read again with the next frame; from any thread."""
        self._readings += 1

    def _stored(self, frame_id: str, camera: Camera | None, perceptor: Perceptor) -> ScaleSource:
        """Return the source of what was stored for this camera; read when a camera comes, and when it has changed."""
        factory, version = perceptor.card.factory, perceptor.version
        key = ('stored', frame_id, camera, factory, version, self._readings)
        if key != self._key and camera is not None:
            self._key = key
            try:
                found = stored_scale(frame_id, camera, factory, cameras_folder())
                if found.version != version:
                    found = replace(found, sigma=math.hypot(found.sigma, OTHER_WEIGHTS), how=f'{found.how}, with version '
                                    f'{found.version} of the weights; {version} is served')
                limit = CameraHeightRule().metric_sigma
                self._source = GivenScale(
                    Scale(found.scale, found.scale * found.sigma, found.sigma <= limit),
                    f'the stored scale is known to {100 * found.sigma:.0f} %, expected {100 * limit:.0f} %')
                self._log.info(f'stored scale of {frame_id!r}: {found.scale:.4g}, known to {100 * found.sigma:.0f} % '
                               f'({found.how})')
            except ValueError as error:
                self._source = GivenScale(why=str(error))
                self._log.warn(str(error))
        return self._source if self._key == key else GivenScale(why='no camera_info has come')

    def _of_height(self, frame_id: str, perceptor: Perceptor) -> ScaleSource:
        mount = self._mount(frame_id)
        key = ('camera_height', frame_id, mount is None)
        if key != self._key:
            self._key = key
            self._source = GivenScale() if mount is None else CameraHeight(mount, perceptor.card.classes)
        elif mount is not None and mount != self._source.mount:
            self._source.move(mount)
        return self._source

    def _mount(self, frame_id: str) -> Mount | None:
        """Return where the camera is: the given height before TF's, and TF's tilt."""
        given, base = self._parameters['camera_height_m'], self._parameters['base_frame']
        found = self._mounts.mount(base, frame_id)
        if found is not None:
            self._tell(base, frame_id, found)
        if given > 0:
            return Mount(given, found.tilt if found else None)
        if found is None:
            why = '' if self._mounts.is_available else ' (tf2_msgs is not installed)'
            self._log.warn(f'no transform from {base} to {frame_id!r} that says how high the camera is{why}: depth '
                           'has no metric scale yet; set camera_height_m, or base_frame to a frame on the road')
        return found

    def _tell(self, base: str, frame_id: str, found: Mount) -> None:
        """Say once what TF says of the camera, and again when that has changed."""
        if self._told is not None and self._told[0] == (base, frame_id) and _is_same(self._told[1], found):
            return
        self._told = ((base, frame_id), found)
        where = f'found: {frame_id!r} is {found.height_m:.2f} m above {base}'
        if found.tilt is None:
            self._log.warn(f'{where}, but as an optical frame (z ahead, x to the right) it would not see the road: how '
                           'the camera looks at the road is learned instead')
        else:
            self._log.info(f'{where} and looks down by {round(np.degrees(found.tilt.pitch), 1) + 0.0} degrees')


class LearnedScale:
    """The scale that the adaptation node has found for the weights being served; `doubt` says why it is not metric."""

    def __init__(self, node: Node, types: RclpyTypes):
        self._node, self._class = node, types.message_class(STATUS)
        self.doubt = 'the learner has not said a scale'
        self._status: Any = None
        self._heard_s = 0.0
        self._subscription: Subscription | None = None

    def update(self, wanted: bool) -> None:
        """Subscribe while it is wanted; call it now and then from the executor."""
        if wanted and self._subscription is None:
            self._subscription = self._node.create_subscription(self._class, STATUS_TOPIC, self._receive,
                                                                qos_profile(OUTPUT))
        elif not wanted and self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = self._status = None

    def scale(self, version: int, frame_id: str) -> Scale:
        """Return the newest scale; not metric if it was found with other weights than this version, with another camera,
        or long ago."""
        status, self.doubt = self._status, 'the learner has not said a scale'
        if status is None or not (status.scale > 0 and math.isfinite(status.scale_sigma)):
            return Scale()
        silent_s = time.monotonic() - self._heard_s
        self.doubt = status.scale_doubt
        if silent_s > SILENT_S:
            self.doubt = f'the learner has been silent for more than {SILENT_S:g} s'
        elif status.header.frame_id and status.header.frame_id != frame_id:
            self.doubt = f'the learner looks through {status.header.frame_id!r}, this is {frame_id!r}'
        elif status.served_version != version:
            self.doubt = f'the learner speaks of version {status.served_version}, served is {version}'
        return Scale(status.scale, status.scale * status.scale_sigma, status.metric and not self.doubt)

    def _receive(self, status: Any) -> None:
        self._status, self._heard_s = status, time.monotonic()


def _is_same(told: Mount, found: Mount) -> bool:
    """Return whether there is nothing new to say of a mount."""
    if (told.tilt is None) != (found.tilt is None):
        return False
    turned = 0.0 if found.tilt is None else abs(found.tilt.pitch - told.tilt.pitch)
    return abs(found.height_m - told.height_m) < _MOVED_M and turned < _TURNED

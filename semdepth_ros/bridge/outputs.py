"""Everything that is sent for one perceived frame, by topic; each message is only made if it is wanted."""
from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from semdepth_ros.bridge.camera_info import make_camera_info
from semdepth_ros.bridge.colours import ColourSampler, paint
from semdepth_ros.bridge.compressed_images import make_compressed_depth, make_jpeg
from semdepth_ros.bridge.images import make_depth_image, make_image
from semdepth_ros.bridge.messages import MessageTypes
from semdepth_ros.bridge.point_cloud import POINT, CloudMaker
from semdepth_ros.classes import UNLABELLED, SemanticClass, palette
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Perception

_IMAGE, _INFO, _COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CameraInfo', 'sensor_msgs/msg/CompressedImage'
# topic: message type, in the order of sending; what recordings hold
TOPICS = {'depth/image': _IMAGE, 'depth/camera_info': _INFO, 'semantic/image': _IMAGE,
          'semantic/confidence': _IMAGE, 'depth/sigma': _IMAGE, 'points': 'sensor_msgs/msg/PointCloud2',
          'semantic_color/image': _IMAGE}
# the same once more, for those on a graph who want it so: calibrations of thinned outputs, and pictures for thin lines
MORE_TOPICS = {'semantic/camera_info': _INFO, 'semantic_color/camera_info': _INFO,
               'depth/image/compressedDepth': _COMPRESSED, 'semantic_color/image/compressed': _COMPRESSED}
ALL_TOPICS = {**TOPICS, **MORE_TOPICS}


@dataclass(frozen=True)
class OutputSettings:
    """The parameters of the same names."""

    stride: int = 1
    depth_encoding: str = '32FC1'
    cloud_max_range_m: float = 0.0
    cloud_rate_hz: float = 0.0
    min_confidence: float = 0.0
    overlay_alpha: float = 0.5


class OutputMaker:
    """Makes the messages of one camera's frames, each with the header that came with the image."""

    def __init__(self, types: MessageTypes, classes: Collection[SemanticClass]):
        self._types, self._palette = types, palette(tuple(classes))
        self._cloud, self._colours, self._overlay = CloudMaker(), ColourSampler(), ColourSampler()

    def make(self, wanted: Collection[str], header: Any, frame: Frame, perception: Perception,
             settings: OutputSettings) -> Iterator[tuple[str, Any]]:
        """Yield topic and message for those of ALL_TOPICS that are wanted and possible.

        Without a camera there is neither camera_info nor a cloud, with a distorted one no cloud.
        """
        if settings.min_confidence > 0:
            unsure = perception.confidence < settings.min_confidence * 255
            perception = replace(perception, labels=np.where(unsure, np.uint8(UNLABELLED), perception.labels))
        makers = {'depth/image': self._depth, 'depth/camera_info': self._camera_info, 'semantic/image': self._labels,
                  'semantic/confidence': self._confidence, 'depth/sigma': self._sigma, 'points': self._points,
                  'semantic_color/image': self._colour, 'semantic/camera_info': self._thinned_camera_info,
                  'semantic_color/camera_info': self._camera_info,
                  'depth/image/compressedDepth': self._compressed_depth,
                  'semantic_color/image/compressed': self._compressed_colour}
        for topic in ALL_TOPICS:
            if topic in wanted and is_possible(topic, perception):
                yield topic, makers[topic](header, frame, perception, settings)

    def _depth(self, header, frame, perception, settings):
        return make_depth_image(self._types, header, perception.depth, settings.depth_encoding)

    def _camera_info(self, header, frame, perception, settings):
        return make_camera_info(self._types, header, perception.camera)

    def _thinned_camera_info(self, header, frame, perception, settings):
        return make_camera_info(self._types, header, perception.camera.strided(settings.stride))

    def _compressed_depth(self, header, frame, perception, settings):
        return make_compressed_depth(self._types, header, perception.depth, settings.depth_encoding)

    def _labels(self, header, frame, perception, settings):
        return make_image(self._types, header, perception.labels[::settings.stride, ::settings.stride], 'mono8')

    def _confidence(self, header, frame, perception, settings):
        return make_image(self._types, header, perception.confidence[::settings.stride, ::settings.stride], 'mono8')

    def _sigma(self, header, frame, perception, settings):
        return make_image(self._types, header, perception.sigma, '32FC1')

    def _points(self, header, frame, perception, settings):
        height, width = perception.depth.shape
        rgb = self._colours.sample(frame, perception.camera, width, height, settings.stride)
        return self._cloud.make(self._types, header, perception, rgb, settings.stride,
                                settings.cloud_max_range_m or np.inf)

    def _colour(self, header, frame, perception, settings):
        return make_image(self._types, header, self._painted(frame, perception, settings), 'rgb8')

    def _compressed_colour(self, header, frame, perception, settings):
        return make_jpeg(self._types, header, self._painted(frame, perception, settings))

    def _painted(self, frame, perception, settings):
        height, width = perception.labels.shape
        behind = self._overlay.sample(frame, perception.camera, width, height)
        return paint(perception.labels, self._palette, behind, settings.overlay_alpha)


def output_bytes(wanted: Collection[str], width: int, height: int, settings: OutputSettings) -> dict[str, int]:
    """Return what the pixels and points of one frame take, by topic [bytes], for those of TOPICS that are wanted; the rest is small."""
    whole, thinned = width * height, -(-width // settings.stride) * -(-height // settings.stride)
    sizes = {'depth/image': whole * (2 if settings.depth_encoding == '16UC1' else 4), 'semantic/image': thinned,
             'semantic/confidence': thinned, 'depth/sigma': 4 * whole, 'points': POINT.itemsize * thinned,
             'semantic_color/image': 3 * whole}
    return {topic: sizes.get(topic, 0) for topic in TOPICS if topic in wanted}


def is_possible(topic: str, perception: Perception) -> bool:
    """Return whether what is known of the camera suffices for a topic."""
    if topic == 'points':
        return perception.camera is not None and not perception.camera.is_distorted
    return ALL_TOPICS[topic] != _INFO or perception.camera is not None

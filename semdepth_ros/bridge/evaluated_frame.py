"""Messages of one frame, as what was perceived and the truth that it is compared with."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from semdepth_ros.bridge.lidar import points_of
from semdepth_ros.bridge.perceived import perception_of
from semdepth_ros.classes import expect_train_ids
from semdepth_ros.data.adapters import rectified_sample
from semdepth_ros.data.pictures import as_rgb
from semdepth_ros.data.sample import Sample
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Perception
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.lidar import lidar_depth, without_hidden
from semdepth_ros.image_messages import bytes_of, depth_of

TRUTH = {'true_depth': 'truth/depth/image', 'true_labels': 'truth/semantic/image',
         'noisy_labels': 'noisy/semantic/image', 'cloud': 'lidar/points'}
_FIELDS = {'true_depth': 'depth', 'true_labels': 'labels', 'noisy_labels': 'noisy_labels'}  # of a Sample


def evaluated_frame(name: str, messages: Mapping[str, Any], frame: Frame | None = None,
                    camera: Callable[[int, int], Camera | None] | None = None,
                    camera_from_lidar: np.ndarray | None = None) -> tuple[Sample, Perception]:
    """Return the sample and the perception of one frame, ready to be compared.

    A distorted camera's image and truth are rectified, as what is perceived has been, unless depth/camera_info says
    that it is distorted too. True depth of images comes before that of a scanner.

    :param messages: `depth` and what else there is of semdepth_ros.bridge.perceived.TOPICS and of TRUTH, by part
    :param frame: the image with its camera; where None the sample's image is black
    :param camera: returns the camera of an image of this width and height that did not come
    :param camera_from_lidar: pose of the cloud's frame in the camera's [4, 4]; where None the cloud is left out
    :raises ValueError: a message that cannot be read, or truth of another size than the image
    """
    perception = perception_of(messages)
    truth = {part: _read(part, messages[part]) for part in _FIELDS if part in messages}
    if frame is None:
        shape = next((array.shape for array in truth.values()), perception.depth.shape)
        sample = Sample(name, np.zeros((*shape, 3), np.uint8), camera(*shape[::-1]) if camera else None,
                        perception.stamp_ns)
    else:
        sample = Sample(name, as_rgb(frame.image, frame.layout), frame.camera, frame.stamp_ns)
    for part, array in truth.items():
        if array.shape != sample.image.shape[:2]:
            height, width = sample.image.shape[:2]
            raise ValueError(f'{TRUTH[part]} is {array.shape[1]}x{array.shape[0]}, but its image is '
                             f'{width}x{height}')
    sample = replace(sample, **{_FIELDS[part]: array for part, array in truth.items()})
    if not ('info' in messages and any(messages['info'].d)):
        sample = rectified_sample(sample)
    if 'cloud' in messages and sample.depth is None and camera_from_lidar is not None:
        sample = replace(sample, depth=_scanned(messages['cloud'], sample, camera_from_lidar))
    return sample, perception


def _read(part: str, message: Any) -> np.ndarray:
    try:
        if part == 'true_depth':
            return depth_of(message)
        labels = bytes_of(message)
        expect_train_ids(labels)
        return labels
    except ValueError as error:
        raise ValueError(f'{TRUTH[part]}: {error}') from None


def _scanned(cloud: Any, sample: Sample, camera_from_lidar: np.ndarray) -> np.ndarray:
    height, width = sample.image.shape[:2]
    if sample.camera is None or (sample.camera.width, sample.camera.height) != (width, height):
        raise ValueError('lidar/points cannot be projected: no camera_info fits the image')
    try:
        points = points_of(cloud)
    except ValueError as error:
        raise ValueError(f'lidar/points: {error}') from None
    return without_hidden(lidar_depth(points, camera_from_lidar, sample.camera), sample.camera)

"""What a node has published for one frame, as a Perception again."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from semdepth_ros.bridge.messages import stamp_ns
from semdepth_ros.classes import UNLABELLED
from semdepth_ros.frame_perception import Perception, Scale
from semdepth_ros.geometry.camera_info import camera_from_info
from semdepth_ros.image_messages import bytes_of, depth_of

TOPICS = {'depth': 'depth/image', 'sigma': 'depth/sigma', 'labels': 'semantic/image',
          'confidence': 'semantic/confidence', 'info': 'depth/camera_info'}


def perception_of(messages: Mapping[str, Any]) -> Perception:
    """Return the perception of messages of one stamp, by the parts of TOPICS; scale and version are not known.

    :param messages: depth, and whatever else there is: sigma is NaN, labels are unlabelled, confidence is certain and
        there is no camera where it is missing
    :raises ValueError: an encoding or a calibration that cannot be
    """
    depth = depth_of(messages['depth'])
    labels = bytes_of(messages['labels']) if 'labels' in messages else np.full(depth.shape, UNLABELLED, np.uint8)
    sigma = depth_of(messages['sigma']) if 'sigma' in messages else np.full(depth.shape, np.nan, np.float32)
    confidence = bytes_of(messages['confidence']) if 'confidence' in messages else np.full(labels.shape, 255, np.uint8)
    height, width = depth.shape
    camera = camera_from_info(messages['info'], width, height, rectified=True) if 'info' in messages else None
    header = messages['depth'].header
    return Perception(depth, sigma, labels, confidence, Scale(), 0, camera, stamp_ns(header), header.frame_id)

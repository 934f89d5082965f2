"""Cameras to CameraInfo messages; the way back is geometry/camera_info.py."""
from __future__ import annotations

from typing import Any

import numpy as np

from semdepth_ros.bridge.messages import MessageTypes
from semdepth_ros.geometry.camera import Camera


def make_camera_info(types: MessageTypes, header: Any, camera: Camera) -> Any:
    """Return the sensor_msgs/CameraInfo of an image of exactly this camera: no region of interest, no binning.

    P is K without distortion's help, so that depth_image_proc's x = (u - cx) z / fx holds for a rectified camera.
    """
    k = camera.matrix
    model, distortion = 'plumb_bob', (0.0,) * 5
    if camera.is_distorted:
        model, distortion = camera.distortion_model, camera.distortion
    region = types.make('sensor_msgs/msg/RegionOfInterest', x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    return types.make('sensor_msgs/msg/CameraInfo', header=header, height=camera.height, width=camera.width,
                      distortion_model=model, d=np.array(distortion, dtype=np.float64), k=k.reshape(-1),
                      r=np.eye(3).reshape(-1), p=np.hstack([k, np.zeros((3, 1))]).reshape(-1), binning_x=0, binning_y=0,
                      roi=region)

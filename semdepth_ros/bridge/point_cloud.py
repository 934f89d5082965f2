"""Perceptions to organised point clouds."""
from __future__ import annotations

from typing import Any, TYPE_CHECKING

import numpy as np

from semdepth_ros.bridge.messages import MessageTypes
from semdepth_ros.geometry.camera import Camera

if TYPE_CHECKING:  # its package loads torch, which programs that only start nodes can do without
    from semdepth_ros.frame_perception import Perception

POINT = np.dtype({'names': ['x', 'y', 'z', 'rgb', 'label', 'confidence'],
                  'formats': ['<f4', '<f4', '<f4', '<u4', 'u1', 'u1'], 'offsets': [0, 4, 8, 12, 16, 17],
                  'itemsize': 20})
_LARGEST = np.finfo(np.float32).max
_UINT8, _FLOAT32 = 2, 7  # sensor_msgs/PointField
_DATATYPES = {'x': _FLOAT32, 'y': _FLOAT32, 'z': _FLOAT32, 'rgb': _FLOAT32, 'label': _UINT8, 'confidence': _UINT8}


class CloudMaker:
    """Makes clouds; keeps the rays and the buffer of the camera seen last."""

    def __init__(self):
        self._key: tuple[Camera, int] | None = None
        self._rays: tuple[np.ndarray, np.ndarray] | None = None  # x / z [1, w] and y / z [h, 1]
        self._points: np.ndarray | None = None  # POINT [h, w]

    def make(self, types: MessageTypes, header: Any, perception: Perception, rgb: np.ndarray | None, stride: int = 1,
             max_range_m: float = np.inf) -> Any:
        """Return the organised sensor_msgs/PointCloud2 of perception[::stride, ::stride].

        Points are x = (u - cx) z / fx, y = (v - cy) z / fy, z as depth_image_proc has them; NaN where depth is not
        finite or beyond max_range_m. rgb is packed into a float as PCL does. Message classes that do not copy what they
        are given share this maker's buffer until its next cloud.

        :param header: as it came with the input
        :param rgb: uint8 [h, w, 3], the colours at the strided pixels; None is black
        :raises ValueError: the perception has no camera
        """
        points = self.fill(perception, rgb, stride, max_range_m)
        height, width = points.shape
        fields = [types.make('sensor_msgs/msg/PointField', name=name, offset=POINT.fields[name][1],
                             datatype=_DATATYPES[name], count=1) for name in POINT.names]
        return types.make('sensor_msgs/msg/PointCloud2', header=header, height=height, width=width, fields=fields,
                          is_bigendian=False, point_step=POINT.itemsize, row_step=POINT.itemsize * width,
                          data=points.reshape(-1).view(np.uint8), is_dense=False)

    def fill(self, perception: Perception, rgb: np.ndarray | None, stride: int, max_range_m: float) -> np.ndarray:
        """Return the points, POINT [h, w]; the array is used again by the next call."""
        if perception.camera is None:
            raise ValueError('a point cloud needs the camera, but no camera_info has come with the image')
        self._prepare(perception.camera, stride)
        points, (x, y) = self._points, self._rays
        z = perception.depth[::stride, ::stride]
        z = np.where((z > 0) & (z <= min(max_range_m, _LARGEST)), z, np.float32(np.nan))
        points['z'] = z
        np.multiply(z, x, out=points['x'])
        np.multiply(z, y, out=points['y'])
        points['rgb'] = 0 if rgb is None else _packed(rgb)
        points['label'] = perception.labels[::stride, ::stride]
        points['confidence'] = perception.confidence[::stride, ::stride]
        return points

    def _prepare(self, camera: Camera, stride: int) -> None:
        if (camera, stride) == self._key:
            return
        strided = camera.strided(stride)
        x = (np.arange(strided.width) - strided.cx) / strided.fx
        y = (np.arange(strided.height) - strided.cy) / strided.fy
        self._key, self._rays = (camera, stride), (x.astype(np.float32)[None], y.astype(np.float32)[:, None])
        self._points = np.zeros((strided.height, strided.width), POINT)


def _packed(rgb: np.ndarray) -> np.ndarray:
    """Return 0x00RRGGBB, uint32 [h, w]."""
    channels = rgb.astype(np.uint32)
    return channels[..., 0] << 16 | channels[..., 1] << 8 | channels[..., 2]

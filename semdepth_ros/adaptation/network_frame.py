"""A camera image as the network sees it, with where odometry says the camera was."""
from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch
from torch import Tensor

from semdepth_ros.frame import Frame
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.input_geometry import InputGeometry, input_geometry
from semdepth_ros.model_card import InputRule
from semdepth_ros.perception.intake import as_tensor, network_input

_CAMERAS = 8  # whose geometry is kept


@dataclass(frozen=True)
class NetworkFrame:
    """One frame at the network's size.

    :param image: rgb, uint8 [3, H, W]
    :param seen: where the input shows the image, bool [H, W]
    :param camera: of the input
    :param source: of the image as it came
    :param stamp_ns: [ns]
    :param pose: of the camera in odometry's frame, float64 [4, 4] m; None where it is not known
    """

    image: Tensor
    seen: Tensor
    camera: Camera
    source: Camera
    stamp_ns: int
    pose: np.ndarray | None = None

    @cached_property
    def grey(self) -> np.ndarray:
        """The image in grey, uint8 [H, W]."""
        return cv2.cvtColor(np.ascontiguousarray(self.image.permute(1, 2, 0).numpy()), cv2.COLOR_RGB2GRAY)

    @property
    def intrinsics(self) -> np.ndarray:
        """Of the input, float64 [3, 3] px."""
        return self.camera.matrix


class FrameReader:
    """Turns frames of any camera into the network's input.

    :param rule: of the model, for the device that it is served on
    :param camera_in_base: the camera's optical frame in the frame whose odometry is told, float64 [4, 4]
    """

    def __init__(self, rule: InputRule, camera_in_base: np.ndarray | None = None):
        self.rule, self.camera_in_base = rule, camera_in_base
        self._geometries: OrderedDict[Camera, InputGeometry] = OrderedDict()

    def geometry(self, camera: Camera) -> InputGeometry:
        """Return how images of this camera become inputs."""
        if camera not in self._geometries:
            self._geometries[camera] = input_geometry(camera, self.rule)
            while len(self._geometries) > _CAMERAS:
                self._geometries.popitem(last=False)
        return self._geometries[camera]

    def read(self, frame: Frame, base_pose: np.ndarray | None = None) -> NetworkFrame:
        """Return a frame at the network's size.

        :param base_pose: of the base in odometry's frame at the frame's stamp; the lever arm is applied here
        :raises ValueError: the frame has no camera
        """
        if frame.camera is None:
            raise ValueError('frame has no camera, and learning needs its focal length')
        geometry = self.geometry(frame.camera)
        image = network_input(as_tensor(frame.image), frame.layout, geometry)[0]
        pose = base_pose
        if pose is not None and self.camera_in_base is not None:
            pose = pose @ self.camera_in_base
        return NetworkFrame((image * 255).round().to(torch.uint8).contiguous(), torch.from_numpy(geometry.seen),
                            geometry.camera, frame.camera, frame.stamp_ns, pose)

"""Which camera_info belongs to an image, as messages come in."""
from __future__ import annotations

import threading
from typing import Any

from semdepth_ros.bridge.messages import stamp_ns
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.camera_infos import CameraInfos

_KEPT = 30


class InfoMatcher:
    """Keeps the newest camera_infos of one camera. Any thread may call any method.

    :param rectified: the images are rectified, as camera_from_info has it
    """

    def __init__(self, rectified: bool = False):
        self._lock, self._infos = threading.Lock(), CameraInfos(rectified, most=_KEPT)

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._infos)

    def add(self, info: Any) -> None:
        """Take in a message; of equal stamps the newest counts."""
        with self._lock:
            self._infos.add(stamp_ns(info.header), info)

    def clear(self) -> None:
        """Forget all but the newest, as when time has gone backwards."""
        with self._lock:
            self._infos.clear()

    def camera(self, width: int, height: int, stamp: int) -> Camera | None:
        """Return the camera of an image, as CameraInfos.camera finds it.

        :param stamp: the image's [ns]
        :return: None where no camera_info has come yet
        :raises ValueError: there are some, but not one fits
        """
        with self._lock:
            return self._infos.camera(width, height, stamp)

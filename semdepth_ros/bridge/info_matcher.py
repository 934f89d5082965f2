"""Which camera_info belongs to an image."""
from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from semdepth_ros.bridge.camera_info import camera_from_info
from semdepth_ros.bridge.messages import stamp_ns
from semdepth_ros.geometry.camera import Camera

_KEPT = 30


class InfoMatcher:
    """Keeps the newest camera_infos of one camera. Any thread may call any method.

    :param rectified: the images are rectified, as camera_from_info has it
    """

    def __init__(self, rectified: bool = False):
        self._rectified, self._lock, self._infos = rectified, threading.Lock(), OrderedDict()

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._infos)

    def add(self, info: Any) -> None:
        """Take in a message; of equal stamps the newest counts."""
        with self._lock:
            self._infos.pop(stamp_ns(info.header), None)
            self._infos[stamp_ns(info.header)] = info
            while len(self._infos) > _KEPT:
                self._infos.popitem(last=False)

    def clear(self) -> None:
        """Forget all but the newest, as when time has gone backwards."""
        with self._lock:
            for stamp in list(self._infos)[:-1]:
                del self._infos[stamp]

    def camera(self, width: int, height: int, stamp: int) -> Camera | None:
        """Return the camera of an image: by the camera_info of its very stamp, else by the newest that fits its size.

        Drivers send camera_info once, slowly, or with every image; so both are right.

        :param stamp: the image's [ns]
        :return: None where no camera_info has come yet
        :raises ValueError: there is one, but it contradicts the image or describes no camera
        """
        with self._lock:
            exact = self._infos.get(stamp)
            candidates = [exact] if exact is not None else list(reversed(self._infos.values()))
        first_error = None
        for info in candidates:
            try:
                return camera_from_info(info, width, height, self._rectified)
            except ValueError as error:
                first_error = first_error or error
        if first_error:
            raise first_error
        return None

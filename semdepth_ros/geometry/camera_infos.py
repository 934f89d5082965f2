"""Which camera_info belongs to an image: one rule for the node, for replay and for data."""
from __future__ import annotations

import bisect
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.camera_info import camera_from_info
from semdepth_ros.geometry.plausibility import expect_plausible


@dataclass(frozen=True)
class Region:
    """A region of interest, as sensor_msgs/RegionOfInterest has it."""

    x_offset: int
    y_offset: int
    width: int
    height: int


@dataclass(frozen=True)
class Calibration:
    """What a camera_info says of its camera, without when."""

    width: int
    height: int
    distortion_model: str
    d: tuple[float, ...]
    k: tuple[float, ...]
    p: tuple[float, ...]
    binning_x: int
    binning_y: int
    roi: Region

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing: what a driver sends that has no calibration, or none yet."""
        return not (self.width and self.height and (any(self.k) or any(self.p)))


def calibration_of(info: Any) -> Calibration:
    """Return what a message with the fields of sensor_msgs/CameraInfo says."""
    d, k, p = (tuple(float(v) for v in values) for values in (info.d, info.k, info.p))
    roi = Region(*(int(getattr(info.roi, name)) for name in ('x_offset', 'y_offset', 'width', 'height')))
    return Calibration(int(info.width), int(info.height), info.distortion_model, d, k, p, int(info.binning_x),
                       int(info.binning_y), roi)


class CameraInfos:
    """The camera_infos of one camera by their stamps.

    :param rectified: the images are rectified, as camera_from_info has it
    :param most: how many to keep, the last that were added; None for all
    """

    def __init__(self, rectified: bool = False, most: int | None = None):
        self._rectified, self._most = rectified, most
        self._stamps: list[int] = []  # rising
        self._by_stamp: dict[int, Calibration] = {}
        self._added: deque[int] = deque()  # in the order of coming
        self._counts: Counter[Calibration] = Counter()

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._by_stamp)

    @property
    def calibrations(self) -> list[Calibration]:
        """What they say, each once."""
        return list(self._counts)

    def add(self, stamp_ns: int, info: Any) -> None:
        """Take in a message; of equal stamps the last counts."""
        self._forget(stamp_ns)
        bisect.insort(self._stamps, stamp_ns)
        self._by_stamp[stamp_ns] = calibration = calibration_of(info)
        self._counts[calibration] += 1
        self._added.append(stamp_ns)
        if self._most is not None and len(self._added) > self._most:
            self._forget(self._added[0])

    def clear(self) -> None:
        """Forget all but the one added last, as when time has gone backwards."""
        while len(self._added) > 1:
            self._forget(self._added[0])

    def camera(self, width: int, height: int, stamp_ns: int) -> Camera | None:
        """Return the camera of an image.

        It is that of the camera_info of its very stamp, unless that one is empty; else of the last before it that fits,
        else of the first after it. Drivers send camera_info once, slowly, or with every image, zoom in between, and
        begin with an empty one; so all are right.

        :return: None where there is no camera_info
        :raises ValueError: that of its stamp contradicts the image, or not one fits: what is wrong with the nearest
        """
        exact, first_error = self._by_stamp.get(stamp_ns), None
        if exact is not None and not exact.is_empty:
            return camera_of(exact, width, height, self._rectified)
        for calibration in self._nearest_first(stamp_ns):
            try:
                return camera_of(calibration, width, height, self._rectified)
            except ValueError as error:
                first_error = first_error or error
        if first_error:
            raise first_error
        return None

    def _nearest_first(self, stamp_ns: int) -> Iterator[Calibration]:
        """Yield what those of this stamp, before it and after it say, each once."""
        behind, seen = bisect.bisect_right(self._stamps, stamp_ns), set()
        for index in (*range(behind - 1, -1, -1), *range(behind, len(self._stamps))):
            calibration = self._by_stamp[self._stamps[index]]
            if calibration not in seen:
                seen.add(calibration)
                yield calibration
            if len(seen) == len(self._counts):
                return

    def _forget(self, stamp_ns: int) -> None:
        calibration = self._by_stamp.pop(stamp_ns, None)
        if calibration is not None:
            self._stamps.remove(stamp_ns)
            self._added.remove(stamp_ns)
            self._counts -= Counter([calibration])


@lru_cache(maxsize=64)
def camera_of(calibration: Calibration, width: int, height: int, rectified: bool = False) -> Camera:
    """Return the camera of an image that came with this calibration, if it can be one.

    :raises ValueError: as camera_from_info and expect_plausible
    """
    camera = camera_from_info(calibration, width, height, rectified)
    matrix, columns = (calibration.p, 4) if rectified else (calibration.k, 3)
    whole = Camera(calibration.width or calibration.roi.width or width, calibration.height or calibration.roi.height or
                   height, matrix[0], matrix[columns + 1], matrix[2], matrix[columns + 2],
                   camera.distortion_model, camera.distortion)
    try:
        expect_plausible(whole, matrix[1])
    except ValueError as error:
        raise ValueError(f'camera_info: {error}') from None
    return camera

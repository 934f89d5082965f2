"""What semdepth_ros/Calibrate asks, checked, and its answer."""
from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from semdepth_ros.geometry.transform_tree import SEVEN_NUMBERS, pose_of
from semdepth_ros.scale.camera_height import CameraHeightRule
from semdepth_ros.scale.measured import MeasuredScale

CALIBRATE = 'semdepth_ros/srv/Calibrate'
FINISH, POINTS, TARGET, HEIGHT, ODOMETRY = range(5)
METHODS = ('FINISH', 'POINTS', 'TARGET', 'HEIGHT', 'ODOMETRY')
TRAVEL_M, STANDING_S, DRIVING_S, LONGEST_S = 15.0, 3.0, 60.0, 3600.0


@dataclass(frozen=True)
class Order:
    """What is to be measured; see srv/Calibrate.srv.

    :param camera: name of the camera
    :param points: x, y [px], distance [m]
    :param target_m: distance of the target
    :param region: of the target; None for the middle of the image
    :param height_m: 0 where the node is to know it
    :param camera_in_base: float64 [4, 4]; None for TF's
    """

    method: int
    camera: str
    points: tuple[tuple[float, float, float], ...] = ()
    target_m: float = 0.0
    region: tuple[float, float, float, float] | None = None
    height_m: float = 0.0
    camera_in_base: np.ndarray | None = None
    travel_m: float = TRAVEL_M
    duration_s: float = STANDING_S
    more: bool = False
    dry_run: bool = False
    apply: bool = False

    @property
    def stands(self) -> bool:
        """Whether the camera is to stand."""
        return self.method in (POINTS, TARGET)


@dataclass(frozen=True)
class Calibrated:
    """What came of it.

    :param found: None where nothing could be measured
    :param measurements: points, or views, that it rests on
    :param file: where it is kept; empty where it is not
    """

    message: str
    found: MeasuredScale | None = None
    measurements: int = 0
    file: str = ''

    @property
    def success(self) -> bool:
        """Whether a scale was found that can be relied on."""
        return self.found is not None and not self.found.doubt


def order_from(request: Any, cameras: Collection[str]) -> Order:
    """Return what a request asks.

    :param cameras: names of those that there are
    :raises ValueError: one line that says what is wrong
    """
    if request.method >= len(METHODS):
        names = ', '.join(f'{name} ({number})' for number, name in enumerate(METHODS))
        raise ValueError(f'method is {request.method}, expected one of {names}')
    if request.camera not in cameras:
        raise ValueError(f'camera is {request.camera!r}, expected one of {sorted(cameras)}')
    for name, most in (('height', 20.0), ('travel', 10_000.0), ('duration', LONGEST_S)):
        _expect(getattr(request, name), name, most)
    points, target_m, region = (), 0.0, None
    if request.method == POINTS:
        counts = {name: len(getattr(request, name)) for name in ('x', 'y', 'distance')}
        if not request.x or len(set(counts.values())) != 1:
            raise ValueError(f'x, y and distance have {", ".join(map(str, counts.values()))} numbers, expected as many, and '
                             'at least one')
        points = tuple(zip(request.x, request.y, request.distance))
    if request.method == TARGET:
        if len(request.distance) != 1:
            raise ValueError(f'distance has {len(request.distance)} numbers, expected one: that of the target')
        target_m, region = request.distance[0], _region(request.region)
    for metres in request.distance if points or target_m else ():
        if not 0 < metres < math.inf:
            raise ValueError(f'distance is {metres:g} m, expected a positive number')
    stands = request.method in (POINTS, TARGET)
    return Order(request.method, request.camera, points, target_m, region, request.height, _mount(request.camera_in_base),
                 request.travel or TRAVEL_M, request.duration or (STANDING_S if stands else DRIVING_S), request.more,
                 request.dry_run, request.apply)


def answer_into(response: Any, answer: Calibrated) -> Any:
    """Fill a Calibrate.Response; return it."""
    found = answer.found
    response.success, response.message, response.file = answer.success, answer.message, answer.file
    response.scale, response.sigma, response.bend = (
        (found.scale, found.sigma, found.bend) if found else (math.nan, math.nan, 0.0))
    response.measurements = answer.measurements
    for residual in found.residuals if found else ():
        response.residual_from.append(residual.from_m)
        response.residual_to.append(residual.to_m)
        response.residual_error.append(residual.error)
    return response


def sentence(found: MeasuredScale, how: str) -> str:
    """Return in one sentence what was found, and why it does not help where it does not."""
    if found.doubt:
        return f'no scale that could be relied on ({how}): {found.doubt}'
    left = f'; scaled, depth is off by {found.left}' if found.residuals else ''
    limit = CameraHeightRule().metric_sigma
    little = (f'; that is too little to call depth metric, which takes {100 * limit:.0f} %: measure more points, far apart'
              if found.sigma > limit else '')
    return f'{how}: the scale is {found.scale:.4g}, known to {100 * found.sigma:.0f} %{left}{little}'


def _expect(value: float, name: str, most: float) -> None:
    if not 0 <= value <= most:
        raise ValueError(f'{name} is {value:g}, expected 0 to {most:g}')


def _region(numbers: Any) -> tuple[float, float, float, float] | None:
    if not len(numbers):
        return None
    if len(numbers) != 4 or not (numbers[0] < numbers[2] and numbers[1] < numbers[3]):
        raise ValueError(f'region is {list(numbers)}, expected left, top, right, bottom')
    return tuple(numbers)


def _mount(numbers: Any) -> np.ndarray | None:
    if not len(numbers):
        return None
    if len(numbers) != 7:
        raise ValueError(f'camera_in_base has {len(numbers)} numbers, expected {SEVEN_NUMBERS}')
    try:
        return pose_of(numbers[:3], numbers[3:])
    except ValueError as error:
        raise ValueError(f'camera_in_base: {error}') from None

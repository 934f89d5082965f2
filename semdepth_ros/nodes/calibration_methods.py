"""The ways to find a scale on a live camera: while it stands, by the road below it, or by odometry over a drive."""
from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np

from semdepth_ros.adaptation.driven_points import DrivenPoints
from semdepth_ros.bridge.calibrate import HEIGHT, POINTS, Order
from semdepth_ros.classes import SemanticClass
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Perception
from semdepth_ros.nodes.odometry_listener import OdometryListener
from semdepth_ros.scale import Mount
from semdepth_ros.scale.calibration import HeightCalibration
from semdepth_ros.scale.measured import MeasuredScale, measured_scale
from semdepth_ros.scale.standing import FlatTarget, MeasuredPoints, known_camera

ENOUGH_VIEWS = 24       # of the road that agree, twice what it takes, after which a drive is long enough
_HELD = 8               # frames that wait for odometry


class Method(Protocol):
    """Takes frames, and says what they say."""

    @property
    def done(self) -> bool:
        """Whether more frames would add nothing."""

    def take(self, frame: Frame, perception: Perception) -> None:
        """Look at one frame; a ValueError says in one line why nothing can be seen in it."""

    def look(self) -> None:
        """Go on with frames that had to wait; called between frames."""

    def answer(self) -> tuple[MeasuredScale, int, str]:
        """Return the scale, how many measurements it rests on, and what it was found by.

        :raises ValueError: nothing could be measured, in one line
        """


class Standing:
    """Points measured by tape, or a flat target.

    :param earlier: perceived and true distances [m] that count too; what is measured is added to it
    """

    def __init__(self, order: Order, earlier: tuple[list[float], list[float]]):
        self._points = order.method == POINTS
        self._seen = MeasuredPoints(order.points) if self._points else FlatTarget(order.target_m, order.region)
        self._earlier = earlier

    @property
    def done(self) -> bool:
        """Whether enough frames have been seen."""
        return self._seen.done

    def take(self, frame: Frame, perception: Perception) -> None:
        """Look at one frame."""
        self._seen.take(frame, perception)

    def look(self) -> None:
        """Nothing waits."""

    def answer(self) -> tuple[MeasuredScale, int, str]:
        """Return what all points say."""
        for known, new in zip(self._earlier, self._seen.distances()):
            known.extend(new)
        perceived, true = self._earlier
        what = 'measured point' if self._points else 'distance of a target'
        return measured_scale(perceived, true), len(true), f'{len(true)} {what}{"s" if len(true) != 1 else ""}'


class Road:
    """The height of the lens above the road.

    :param mount: returns where the camera of an optical frame is, None while that is not known
    """

    def __init__(self, mount: Callable[[str], Mount | None], classes: tuple[SemanticClass, ...]):
        self._mount, self._classes = mount, classes
        self._calibration: HeightCalibration | None = None

    @property
    def done(self) -> bool:
        """Whether more views than enough agree."""
        found = None if self._calibration is None else self._calibration.found
        return found is not None and not found.doubt and found.agreeing >= ENOUGH_VIEWS

    def take(self, frame: Frame, perception: Perception) -> None:
        """Look at one frame."""
        known_camera(frame)
        mount = self._mount(frame.frame_id)
        if mount is None:
            raise ValueError('the height of the camera is not known: neither the call, nor camera_height_m, nor TF says it')
        if self._calibration is None:
            self._calibration = HeightCalibration(mount, self._classes)
        self._calibration.move(mount)
        self._calibration.take(perception)

    def look(self) -> None:
        """Nothing waits."""

    def answer(self) -> tuple[MeasuredScale, int, str]:
        """Return what the views say."""
        if self._calibration is None:
            raise ValueError('no image has come')
        found = self._calibration.found
        if not found.agreeing:
            raise ValueError(found.doubt or 'no view of the road agrees with another')
        scale = MeasuredScale(found.scale, found.sigma, found.spread, 0.0, self._calibration.residuals, found.doubt)
        return scale, found.agreeing, f'camera height, {found.agreeing} of {found.views} views of the road agree'


class Driven:
    """Odometry over a drive.

    :param mount: returns the pose of an optical frame in another one, float64 [4, 4]; None while that is not known
    """

    def __init__(self, order: Order, odometry: OdometryListener, mount: Callable[[str, str], np.ndarray | None],
                 classes: tuple[SemanticClass, ...]):
        self._order, self._odometry, self._mount = order, odometry, mount
        self._points = DrivenPoints(classes)
        self._held: deque[tuple[Frame, Perception]] = deque(maxlen=_HELD)
        self._frames, self._lever_missing = 0, ''

    @property
    def done(self) -> bool:
        """Whether it has gone far enough."""
        return self._points.travelled_m >= self._order.travel_m

    def take(self, frame: Frame, perception: Perception) -> None:
        """Let one frame wait for odometry up to its stamp."""
        known_camera(frame)
        self._frames += 1
        self._held.append((frame, perception))
        self.look()

    def look(self) -> None:
        """Look at the frames up to whose stamps odometry has come."""
        newest = self._odometry.newest_ns
        while newest is not None and self._held and self._held[0][0].stamp_ns <= newest:
            frame, perception = self._held.popleft()
            base, pose = self._odometry.base_frame, self._odometry.at(frame.stamp_ns)
            lever = self._order.camera_in_base if self._order.camera_in_base is not None else self._mount(base, frame.frame_id)
            if lever is None:
                self._lever_missing = (f'no transform from {base!r} to {frame.frame_id!r} says where the camera is: send it, '
                                       'or say camera_in_base')
            elif pose is not None:
                self._lever_missing = ''
                self._points.take(frame, perception, pose @ lever)

    def answer(self) -> tuple[MeasuredScale, int, str]:
        """Return what the points of the drive say."""
        if not self._frames:
            raise ValueError('no image has come')
        if self._odometry.newest_ns is None:
            raise ValueError(f'no odometry has come on {self._odometry.topic}')
        if self._lever_missing:
            raise ValueError(self._lever_missing)
        points = self._points.points
        found = measured_scale(points.perceived, points.true, points.frame)
        return found, len(points.true), f'odometry over {self._points.travelled_m:.1f} m, {len(points.true)} points'


def method_of(order: Order, earlier: tuple[list[float], list[float]], mount: Callable[[str], Mount | None],
              odometry: OdometryListener, lever: Callable[[str, str], np.ndarray | None],
              classes: tuple[SemanticClass, ...]) -> Method:
    """Return a fresh collection of what an order asks."""
    if order.stands:
        return Standing(order, earlier)
    return Road(mount, classes) if order.method == HEIGHT else Driven(order, odometry, lever, classes)

"""The metric scale of a camera from a drive: its known height against the road that the network perceives."""
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from semdepth_ros.classes import CITYSCAPES, SemanticClass
from semdepth_ros.data.sample import Sequence
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Perception
from semdepth_ros.scale.agreement import AgreementRule
from semdepth_ros.scale.camera_height import CameraHeight, CameraHeightRule
from semdepth_ros.scale.log_filter import LogFilterRule
from semdepth_ros.scale.measured import Residual, residuals_by_distance
from semdepth_ros.scale.road import RoadRule, road_sight
from semdepth_ros.scale.tilt import Mount, TiltRule
from semdepth_ros.scale.trial import ScaleTrial

_ROAD_POINTS = 200      # of a frame, for what is left by distance
# All views count alike, and no frame is held against the scale, which is known only at the end.
_ALL_ALIKE = CameraHeightRule(
    contradiction=math.inf, tilt=TiltRule(memory=1_000_000), agreement=AgreementRule(memory=1_000_000),
    filter=LogFilterRule(drift=0.0, view_drift=0.0))


@dataclass(frozen=True)
class Calibration:
    """What a drive says of its camera.

    :param scale: known height over perceived height, of all views alike
    :param sigma: relative standard deviation of scale
    :param spread: relative standard deviation of a view's scale
    :param pitch_deg: by how much the camera looks down on the road, told or learned; None where that cannot be told
    :param frames: frames looked at
    :param views: views that show the road near and far
    :param agreeing: of them, views that agree
    :param doubt: why the scale cannot be relied on, in words; empty where it can
    :param residuals: what is left of the road's distance after scaling, by distance
    """

    scale: float
    sigma: float
    spread: float
    pitch_deg: float | None
    frames: int
    views: int
    agreeing: int
    doubt: str
    residuals: tuple[Residual, ...] = ()


class HeightCalibration:
    """Takes the frames of a drive and says what they say of the camera, all alike.

    :param mount: where the camera is; without a tilt, that is learned from the road
    :raises ValueError: the height is not positive
    """

    def __init__(self, mount: Mount, classes: tuple[SemanticClass, ...] = CITYSCAPES):
        self._source, self._ground = CameraHeight(mount, classes, _ALL_ALIKE), np.zeros(256, dtype=bool)
        self._ground[[c.train_id for c in classes if c.ground]] = True
        self._frames, self._points = 0, []

    def move(self, mount: Mount) -> None:
        """Say where the camera is, as for CameraHeight."""
        self._source.move(mount)

    def take(self, perception: Perception) -> None:
        """Look at one frame with a camera."""
        self._frames += 1
        self._source.observe(perception)
        sight = road_sight(perception, self._ground)
        if sight is not None:
            some = slice(None, None, max(1, len(sight.points.depth) // _ROAD_POINTS))
            self._points.append((sight.points.rays[some], sight.points.depth[some]))

    @property
    def residuals(self) -> tuple[Residual, ...]:
        """What is left of the road's distance after scaling, by distance; nothing before the tilt is known."""
        tilt = self._source.tilt
        if tilt is None or not self._points:
            return ()
        rays, depth = (np.concatenate(part) for part in zip(*self._points))
        slope = rays @ tilt.down
        seen = slope > 1 / RoadRule().reach
        return residuals_by_distance(depth[seen] * self._source.scale.value, self._source.mount.height_m / slope[seen])

    @property
    def found(self) -> Calibration:
        """What the frames say so far."""
        scale, views, tilt = self._source.scale, self._source.agreement.views, self._source.tilt
        return Calibration(scale.value, scale.sigma / scale.value, self._source.agreement.scatter,
                           None if tilt is None else float(np.degrees(tilt.pitch)), self._frames, len(views),
                           sum(view.agrees for view in views), self._source.doubt, self.residuals)


def calibrate(perceive: Callable[[Frame], Perception], sequence: Sequence, mount: Mount,
              classes: tuple[SemanticClass, ...] = CITYSCAPES, most: int = 200, trial: ScaleTrial | None = None,
              progress: Callable[[int, int], None] = lambda done, total: None) -> Calibration:
    """Measure the scale on at most so many frames, spread evenly over a sequence.

    :param perceive: with the scale 1
    :param mount: where the camera is; without a tilt, that is learned from the road
    :param trial: is shown every frame too
    :raises ValueError: the height is not positive, or the camera is not known
    """
    calibration = HeightCalibration(mount, classes)
    chosen = np.unique(np.linspace(0, len(sequence) - 1, min(most, len(sequence))).round().astype(int))
    for done, index in enumerate(chosen, start=1):
        sample = sequence[int(index)]
        if sample.camera is None:
            raise ValueError(f'{sequence.name}: the camera is not known, expected its calibration')
        perception = perceive(Frame(sample.image, 'rgb', sample.camera, sample.stamp_ns))
        calibration.take(perception)
        if trial is not None:
            trial.take(perception, sample)
        progress(done, len(chosen))
    return calibration.found

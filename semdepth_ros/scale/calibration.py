"""The metric scale of a camera from a recorded drive: its known height against the road that the network perceives."""
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
from semdepth_ros.scale.tilt import Mount, TiltRule
from semdepth_ros.scale.trial import ScaleTrial

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
    """

    scale: float
    sigma: float
    spread: float
    pitch_deg: float | None
    frames: int
    views: int
    agreeing: int
    doubt: str


def calibrate(perceive: Callable[[Frame], Perception], sequence: Sequence, mount: Mount,
              classes: tuple[SemanticClass, ...] = CITYSCAPES, most: int = 200, trial: ScaleTrial | None = None,
              progress: Callable[[int, int], None] = lambda done, total: None) -> Calibration:
    """Measure the scale on at most so many frames, spread evenly over a sequence.

    :param perceive: with the scale 1
    :param mount: where the camera is; without a tilt, that is learned from the road
    :param trial: is shown every frame too
    :raises ValueError: the height is not positive, or the camera is not known
    """
    source = CameraHeight(mount, classes, _ALL_ALIKE)
    chosen = np.unique(np.linspace(0, len(sequence) - 1, min(most, len(sequence))).round().astype(int))
    for done, index in enumerate(chosen, start=1):
        sample = sequence[int(index)]
        if sample.camera is None:
            raise ValueError(f'{sequence.name}: the camera is not known, expected its calibration')
        perception = perceive(Frame(sample.image, 'rgb', sample.camera, sample.stamp_ns))
        source.observe(perception)
        if trial is not None:
            trial.take(perception, sample)
        progress(done, len(chosen))
    scale, views, tilt = source.scale, source.agreement.views, source.tilt
    return Calibration(scale.value, scale.sigma / scale.value, source.agreement.scatter,
                       None if tilt is None else float(np.degrees(tilt.pitch)), len(chosen), len(views),
                       sum(view.agrees for view in views), source.doubt)

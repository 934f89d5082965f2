"""The metric scale of a camera from a recorded drive: its known height against the road that the network perceives."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from semdepth_ros.data.sample import Sequence
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Scale
from semdepth_ros.perception.perceptor import Perceptor
from semdepth_ros.perception.scale import CameraHeight

LEAST_PLANES = 5


@dataclass(frozen=True)
class Calibration:
    """What a drive says of its camera.

    :param scale: median over frames of known height over perceived height
    :param spread: robust standard deviation of a frame's scale, relative
    :param pitch_deg: by how much the camera looks down on the road, median
    :param roll_deg: by how much it is turned about its axis, median
    :param frames: frames looked at
    :param planes: frames in which the road could be trusted
    """

    scale: float
    spread: float
    pitch_deg: float
    roll_deg: float
    frames: int
    planes: int


def calibrate(perceptor: Perceptor, sequence: Sequence, height_m: float, most: int = 200,
              progress: Callable[[int, int], None] = lambda done, total: None) -> Calibration:
    """Measure the scale on at most so many frames, spread evenly over a sequence.

    :param height_m: of the lens above the road [m]
    :raises ValueError: the height is not positive, the camera is not known, or the road is seen in too few frames
    """
    source, planes = CameraHeight(height_m, perceptor.card.classes), []
    chosen = np.unique(np.linspace(0, len(sequence) - 1, min(most, len(sequence))).round().astype(int))
    for done, index in enumerate(chosen, start=1):
        sample = sequence[int(index)]
        if sample.camera is None:
            raise ValueError(f'{sequence.name}: the camera is not known, expected its calibration')
        source.observe(perceptor.perceive(Frame(sample.image, 'rgb', sample.camera, sample.stamp_ns), Scale()))
        if source.plane:
            planes.append(source.plane)
        progress(done, len(chosen))
    if len(planes) < LEAST_PLANES:
        raise ValueError(f'{sequence.name}: the road could be trusted in {len(planes)} of {len(chosen)} frames, '
                         f'expected at least {LEAST_PLANES}')
    logs = np.log([height_m / plane.height_m for plane in planes])
    median = float(np.median(logs))
    return Calibration(float(np.exp(median)), float(1.4826 * np.median(np.abs(logs - median))),
                       float(np.degrees(np.median([p.pitch for p in planes]))),
                       float(np.degrees(np.median([p.roll for p in planes]))), len(chosen), len(planes))

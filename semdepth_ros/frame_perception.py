"""What one frame is perceived as: the only thing handed upwards."""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from semdepth_ros.geometry.camera import Camera


@dataclass(frozen=True)
class Scale:
    """The factor applied to the network's depth, its standard deviation, and whether the result is in metres."""

    value: float = 1.0
    sigma: float = 0.0
    metric: bool = False

    def on(self, camera: Camera | None) -> Scale:
        """Return the scale of depth in images of a camera: not metric where its focal length had to be assumed."""
        return self if camera is not None else replace(self, metric=False)


@dataclass(frozen=True)
class Perception:
    """Depth, classes and how sure they are, for every pixel of one output image.

    :param depth: float32 [H, W] m along Z; NaN invalid, +inf sky and beyond the maximum range (REP 117, REP 118)
    :param sigma: standard deviation of depth, that of the scale within it, float32 [H, W] m; NaN where depth is not
        finite
    :param labels: uint8 [H, W] train ids, 255 unlabelled
    :param confidence: uint8 [H, W], 255 x the probability of the label
    :param scale: the scale that depth has been multiplied by; never metric without a camera
    :param model_version: version of the weights this frame was run with
    :param camera: intrinsics of the output image, rectified; None where the input had none
    :param stamp_ns, frame_id: copied from the input
    :param input_size: width and height at which the network saw the image [px], padding included; (0, 0) where nobody
        says it
    """

    depth: np.ndarray
    sigma: np.ndarray
    labels: np.ndarray
    confidence: np.ndarray
    scale: Scale
    model_version: int
    camera: Camera | None
    stamp_ns: int
    frame_id: str
    input_size: tuple[int, int] = (0, 0)

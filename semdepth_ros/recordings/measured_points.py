"""Points of recorded images whose distance somebody has measured."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np

from semdepth_ros.data.sample import Sequence
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Perception

PATCH_PX = 2    # what is perceived at a point is the median this far around it


def measured_points(texts: list[str], sequence: Sequence, perceive: Callable[[Frame], Perception]
                    ) -> tuple[list[float], list[float]]:
    """Return perceived and true depth [m], along the optical axis, of points FRAME:X:Y:METRES.

    :param texts: frame (from 0), pixel, and the distance from the lens, as a tape measure has it
    :param perceive: with the scale 1, outputs as large as the images
    :raises ValueError: a text of another form, a frame or pixel that is not there, no camera, or no depth at a point
    """
    points = [_point(text, sequence) for text in texts]
    perceived, true = [], []
    for index in sorted({frame for frame, *_ in points}):
        sample = sequence[index]
        if sample.camera is None:
            raise ValueError(f'{sequence.name}: the camera is not known, expected its calibration')
        depth = perceive(Frame(sample.image, 'rgb', sample.camera, sample.stamp_ns)).depth
        for frame, x, y, metres in points:
            if frame != index:
                continue
            if not (0 <= x < depth.shape[1] and 0 <= y < depth.shape[0]):
                raise ValueError(f'point {x:g}, {y:g} of frame {frame} is outside the image of '
                                 f'{depth.shape[1]}x{depth.shape[0]}')
            column, row = round(x), round(y)
            patch = depth[max(row - PATCH_PX, 0):row + PATCH_PX + 1, max(column - PATCH_PX, 0):column + PATCH_PX + 1]
            patch = patch[np.isfinite(patch)]
            if not len(patch):
                raise ValueError(f'point {x:g}, {y:g} of frame {frame} has no depth: it is seen as sky, or too far')
            ray = np.append(sample.camera.undistort([[x, y]])[0], 1.0)
            perceived.append(float(np.median(patch)))
            true.append(metres / float(np.linalg.norm(ray)))
    return perceived, true


def _point(text: str, sequence: Sequence) -> tuple[int, float, float, float]:
    try:
        frame, x, y, metres = text.split(':')
        point = int(frame), float(x), float(y), float(metres)
    except ValueError:
        raise ValueError(f'--point {text!r}: expected FRAME:X:Y:METRES, such as 0:640:400:5.2') from None
    if not 0 <= point[0] < len(sequence):
        raise ValueError(f'--point {text!r}: frame {point[0]} is not in {sequence.name}, which has {len(sequence)}')
    if not 0 < point[3] < float('inf'):
        raise ValueError(f'--point {text!r}: distance is {point[3]:g} m, expected a positive number')
    return point

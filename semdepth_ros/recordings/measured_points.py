"""Points of recorded images whose distance somebody has measured."""
from __future__ import annotations

from collections.abc import Callable

from semdepth_ros.data.sample import Sequence
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Perception
from semdepth_ros.scale.standing import MeasuredPoints


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
        frame = Frame(sample.image, 'rgb', sample.camera, sample.stamp_ns)
        seen = MeasuredPoints([point[1:] for point in points if point[0] == index])
        try:
            seen.take(frame, perceive(frame))
        except ValueError as error:
            raise ValueError(f'frame {index}: {error}') from None
        found = seen.distances()
        perceived += found[0]
        true += found[1]
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

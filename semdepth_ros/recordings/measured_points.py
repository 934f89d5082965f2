"""Points of recorded images whose distance somebody has measured."""
from __future__ import annotations

from collections.abc import Callable

from semdepth_ros.data.sample import Sequence
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Perception
from semdepth_ros.scale.standing import FlatTarget, MeasuredPoints


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
        seen = MeasuredPoints([point[1:] for point in points if point[0] == index])
        found = _distances(seen, sequence, index, perceive)
        perceived += found[0]
        true += found[1]
    return perceived, true


def flat_targets(texts: list[str], sequence: Sequence, perceive: Callable[[Frame], Perception]
                 ) -> tuple[list[float], list[float]]:
    """Return perceived and true depth [m], along the optical axis, of flat targets FRAME:LEFT:TOP:RIGHT:BOTTOM:METRES.

    :param texts: frame (from 0), the part of its image that shows the target [px], and the distance along the optical axis
    :param perceive: with the scale 1, outputs as large as the images
    :raises ValueError: a text of another form, a frame that is not there, no camera, or a target that is not in the image,
        has no depth or is not flat
    """
    perceived, true = [], []
    for text in texts:
        index, *region, metres = _target(text, sequence)
        found = _distances(FlatTarget(metres, tuple(region)), sequence, index, perceive)
        perceived += found[0]
        true += found[1]
    return perceived, true


def _distances(measured: MeasuredPoints | FlatTarget, sequence: Sequence, index: int,
               perceive: Callable[[Frame], Perception]) -> tuple[list[float], list[float]]:
    sample = sequence[index]
    if sample.camera is None:
        raise ValueError(f'{sequence.name}: the camera is not known, expected its calibration')
    frame = Frame(sample.image, 'rgb', sample.camera, sample.stamp_ns)
    try:
        measured.take(frame, perceive(frame))
    except ValueError as error:
        raise ValueError(f'frame {index}: {error}') from None
    return measured.distances()


def _target(text: str, sequence: Sequence) -> tuple[int, float, float, float, float, float]:
    try:
        frame, left, top, right, bottom, metres = text.split(':')
        target = int(frame), float(left), float(top), float(right), float(bottom), float(metres)
    except ValueError:
        raise ValueError(f'--target {text!r}: expected FRAME:LEFT:TOP:RIGHT:BOTTOM:METRES, such as 0:600:300:700:380:5.2') \
            from None
    if not 0 <= target[0] < len(sequence):
        raise ValueError(f'--target {text!r}: frame {target[0]} is not in {sequence.name}, which has {len(sequence)}')
    if not (target[1] < target[3] and target[2] < target[4]):
        raise ValueError(f'--target {text!r}: left {target[1]:g} to right {target[3]:g}, top {target[2]:g} to bottom '
                         f'{target[4]:g}, expected rising numbers')
    if not 0 < target[5] < float('inf'):
        raise ValueError(f'--target {text!r}: distance is {target[5]:g} m, expected a positive number')
    return target


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

"""A recording of a drive held against a recording of what was made of it."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from semdepth_ros.bit_depth import AUTOMATIC
from semdepth_ros.data import Sample, rectified
from semdepth_ros.data.bag import BagSequence
from semdepth_ros.evaluation.protocol import PROTOCOL, SequenceEvaluation
from semdepth_ros.frame_perception import Perception
from semdepth_ros.recordings.perceived_frames import perceived_frames

LATENCY = 'From before an image is published to the arrival of both depth and classes in the process that published it.'
See = Callable[[int, int, Sample, Perception], None]


def evaluate_bags(drive: str | Path, perceived: str | Path, model: str, image_topic: str | None = None,
                  latencies_ms: Mapping[int, float] | None = None, see: See | None = None,
                  image_bits: int = AUTOMATIC) -> dict:
    """Return the evaluation contract of one drive, and frames_in, frames_perceived, frames_dropped.

    Frames and truth belong together by exactly their stamps; a distorted drive is compared rectified, as perceived.

    :param drive: a bag with camera images and whatever truth there is
    :param perceived: a bag with what the node published or a replay wrote
    :param latencies_ms: time from image to outputs, by stamp [ns]
    :param image_bits: as for BagSequence
    :param see: called with index, number of frames, sample and perception of every frame perceived
    """
    recording = BagSequence(drive, image_topic, image_bits=image_bits)
    sequence, evaluation = rectified(recording), SequenceEvaluation(recording.name)
    index_of = {stamp_ns: index for index, stamp_ns in enumerate(recording.stamps_ns)}
    seen = 0
    for perception in perceived_frames(perceived):
        index = index_of.get(perception.stamp_ns)
        if index is None:
            continue
        seen += 1
        try:
            sample = sequence[index]
        except ValueError as error:
            evaluation.leave_out(error)
            continue
        evaluation.add(sample, perception, (latencies_ms or {}).get(perception.stamp_ns))
        if see:
            see(index, len(sequence), sample, perception)
    protocol = {**PROTOCOL, 'latency': LATENCY} if latencies_ms else PROTOCOL
    return {'model': model, 'protocol': protocol, 'sequences': [evaluation.result()], 'frames_in': len(sequence),
            'frames_perceived': seen, 'frames_dropped': len(sequence) - seen}

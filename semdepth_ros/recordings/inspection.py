"""What a bag holds, and whether a camera in it can be perceived: by the very reading that replay does."""
from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from semdepth_ros.bags.bag_reader import BagReader, Topic
from semdepth_ros.bags.bag_topics import CAMERA_INFO, COMPRESSED, IMAGE, BagTopics, is_rectified
from semdepth_ros.bags.cdr import begins_with_header, stamp_of
from semdepth_ros.bags.recorded_camera import bit_depth, camera_infos, chosen_topics
from semdepth_ros.bags.recorded_frames import has_times
from semdepth_ros.bit_depth import AUTOMATIC
from semdepth_ros.image_messages import view_message
from semdepth_ros.recordings.truth_check import evaluable

_UNCALIBRATED = 'no cloud, no metric geometry'
GAP = 1.5  # intervals longer than so many of the usual ones are gaps


@dataclass
class _Seen:
    """What was met of one topic."""

    topic: Topic
    headed: bool
    recorded: list[int] = field(default_factory=list)
    stamps: list[int] = field(default_factory=list)
    bytes: int = 0
    forms: Counter = field(default_factory=Counter)


class _CameraCheck:
    """Reads every image of the camera as replay does, and counts what keeps it from being perceived, by the reason."""

    def __init__(self, reader: BagReader, topics: BagTopics, image_bits: int):
        self._depth = bit_depth(reader, reader.topics[topics.image], image_bits)
        self._infos = camera_infos(reader, topics, is_rectified(topics.image))
        self.read, self.damaged, self.uncalibrated = 0, Counter(), Counter()

    def see(self, message: Any, time_ns: int) -> None:
        """Read one image and look for its camera."""
        try:
            height, width = view_message(message, self._depth)[0].shape[:2]
        except ValueError as error:
            self.damaged[str(error)] += 1
            return
        self.read += 1
        try:
            self._infos.camera(width, height, time_ns)
        except ValueError as error:
            self.uncalibrated[str(error)] += 1


def inspect_bag(path: str | Path, image_topic: str | None = None, image_bits: int = AUTOMATIC) -> dict[str, Any]:
    """Return what a bag holds, ready for JSON.

    Times are header stamps where messages have them, else the time of recording. `problems` says in words what keeps
    the bag from being perceived (`usable` is then False), `warnings` what only makes it worse; `evaluation` is what
    evaluable() says.

    :param image_topic, image_bits: as for BagSequence
    :raises BagError: no bag, or a damaged one
    """
    with BagReader(path) as reader:
        chosen, check, problems = None, None, []
        try:
            chosen = chosen_topics(reader, image_topic)
            check = _CameraCheck(reader, chosen, image_bits)
        except ValueError as error:
            problems.append(str(error))
        seen = _read_topics(reader, chosen.image if chosen else None, check)
        stamps = {name: topic.stamps for name, topic in seen.items() if topic.stamps}
        evaluation = (evaluable(reader, chosen, stamps) if chosen else
                      {'usable': False, 'truth': {}, 'missing': ['no camera image']})
    recorded = [time_ns for topic in seen.values() for time_ns in topic.recorded]
    report = {'path': str(path), 'size_bytes': _size(Path(path)), 'messages': len(recorded),
              'start_s': min(recorded) / 1e9 if recorded else None,
              'duration_s': (max(recorded) - min(recorded)) / 1e9 if recorded else 0.0,
              'topics': [_summary(topic) for _, topic in sorted(seen.items())], 'evaluation': evaluation}
    if check is None:
        return {**report, 'usable': False, 'image': None, 'chosen_before': [], 'camera_info': None,
                'problems': problems, 'warnings': []}
    problems = [] if check.read else [f'no image of {chosen.image} can be read: {next(iter(check.damaged))}']
    return {**report, 'usable': not problems, 'image': chosen.image, 'chosen_before': list(chosen.among),
            'camera_info': chosen.camera_info, 'problems': problems,
            'warnings': _oddities(seen[chosen.image], check) + _mismatch(chosen, check)}


def _read_topics(reader: BagReader, image: str | None, check: _CameraCheck | None) -> dict[str, _Seen]:
    seen = {name: _Seen(t, begins_with_header(reader.store, t.type)) for name, t in reader.topics.items()}
    for topic, recorded_ns, data in reader.messages():
        entry = seen[topic.name]
        entry.recorded.append(recorded_ns)
        entry.stamps.append(stamp_of(data) if entry.headed else recorded_ns)
        entry.bytes += len(data)
        if topic.type in (IMAGE, COMPRESSED, CAMERA_INFO):
            message = reader.deserialize(data, topic.type)
            entry.forms[_form(message, topic.type)] += 1
            if topic.name == image:
                check.see(message, entry.stamps[-1] or recorded_ns)
    return seen


def _form(message: Any, type_name: str) -> str:
    if type_name == IMAGE:
        return f'{message.encoding or "no encoding"} {message.width}x{message.height}'
    if type_name == CAMERA_INFO:
        return f'{message.distortion_model or "no distortion"} {message.width}x{message.height}'
    try:
        height, width = view_message(message)[0].shape[:2]
    except ValueError:
        return f'{message.format or "no format"}, damaged or no camera image'
    return f'{message.format or "no format"} {width}x{height}'


def _summary(seen: _Seen) -> dict[str, Any]:
    stamps = np.array(seen.stamps, dtype=np.int64)
    steps = np.diff(stamps)
    usual = float(np.median(steps)) if len(steps) else 0.0
    gaps = steps[steps > GAP * usual] if usual > 0 else steps[:0]
    return {'name': seen.topic.name, 'type': seen.topic.type, 'count': len(stamps), 'bytes': seen.bytes,
            'reliability': seen.topic.qos.reliability, 'durability': seen.topic.qos.durability,
            'rate_hz': 1e9 / usual if usual > 0 else None,
            'first_s': stamps[0].item() / 1e9 if len(stamps) else None,
            'last_s': stamps[-1].item() / 1e9 if len(stamps) else None,
            'gaps': len(gaps), 'longest_gap_s': float(gaps.max()) / 1e9 if len(gaps) else 0.0,
            'steps_back': int((steps < 0).sum()), 'repeated_stamps': int((steps == 0).sum()),
            'forms': dict(seen.forms)}


def _oddities(image: _Seen, check: _CameraCheck) -> list[str]:
    """Return what makes a recording worse, in its images and their times."""
    name, summary, found = image.topic.name, _summary(image), []
    if check.damaged and check.read:
        reason, _ = check.damaged.most_common(1)[0]
        found.append(f'{check.damaged.total()} images of {name} cannot be read: {reason}')
    if len(image.forms) > 1:
        found.append(f'{name} changes its size or encoding: {", ".join(image.forms)}')
    if summary['steps_back']:
        found.append(f'stamps of {name} go backwards {summary["steps_back"]} times')
    if not has_times(image.stamps):
        found.append(f'{len(image.stamps)} images of {name} carry only {len(set(image.stamps))} stamps: their time is '
                     'taken from the recording, and the demonstration refuses them')
    elif summary['repeated_stamps']:
        found.append(f'{summary["repeated_stamps"]} images of {name} repeat the stamp before them')
    if summary['gaps']:
        found.append(f'{name} has {summary["gaps"]} gaps, the longest {summary["longest_gap_s"]:.2f} s')
    return found


def _mismatch(chosen: BagTopics, check: _CameraCheck) -> list[str]:
    """Return what keeps the calibration from fitting the images."""
    if chosen.camera_info is None:
        return [f'no camera_info beside {chosen.image}: {_UNCALIBRATED}']
    return [f'{chosen.camera_info}: {reason}: {_UNCALIBRATED}' + (f' for {count} images' if count < check.read else '')
            for reason, count in check.uncalibrated.items()]


def _size(path: Path) -> int:
    return sum(f.stat().st_size for f in path.iterdir() if f.is_file()) if path.is_dir() else path.stat().st_size

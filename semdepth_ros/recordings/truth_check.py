"""Whether a recording can be evaluated: which truth goes with its images, and what is missing."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from semdepth_ros.bags.bag_reader import BagReader
from semdepth_ros.bags.bag_topics import TRUTH, BagTopics
from semdepth_ros.bags.recorded_transforms import static_transforms
from semdepth_ros.bridge.evaluation_parameters import EVALUATION
from semdepth_ros.bridge.lidar import CLOUD
from semdepth_ros.recordings.excerpt import OUTPUTS

SLOP_NS = round(next(p.default for p in EVALUATION if p.name == 'lidar_slop_s') * 1e9)
WORDS = {'depth': 'true depth', 'labels': 'true classes', 'lidar': 'scans'}


def evaluable(reader: BagReader, chosen: BagTopics, stamps: Mapping[str, list[int]]) -> dict[str, Any]:
    """Return what of a camera's images can be compared with: `usable`, `truth` by kind, and `missing` in words.

    `truth` has a topic and how many images it goes with: `depth` and `labels` of exactly their stamps, `lidar` within
    the evaluation node's slop.

    :param stamps: header stamps [ns] of the messages of every topic that has any
    """
    images = sorted(set(stamps.get(chosen.image, ())))
    truth, missing = {}, []
    for part in ('depth', 'labels'):
        topic = chosen.truth.get(part)
        if topic is None:
            missing.append(f'no {WORDS[part]} (.../{TRUTH[part]})')
            continue
        _note(truth, missing, part, topic, len(set(images) & set(stamps.get(topic, ()))), len(images))
    scans = _scans(reader, stamps)
    if scans is not None:
        _note(truth, missing, 'lidar', scans, _near(images, sorted(stamps[scans])), len(images))
        missing += _unplaced(reader, chosen, scans, stamps)
    elif 'depth' not in truth:
        missing.append('no scans either (sensor_msgs/PointCloud2)')
    if 'lidar' in truth and chosen.camera_info is None:
        missing.append('no camera_info, so scans cannot be projected')
    return {'usable': bool(truth), 'truth': truth, 'missing': missing}


def _note(truth: dict, missing: list[str], part: str, topic: str, count: int, images: int) -> None:
    if count:
        truth[part] = {'topic': topic, 'images': count}
    if count < images:
        missing.append(f'{WORDS[part]} for {images - count} of {images} images: {topic} has nothing '
                       + ('near their stamps' if part == 'lidar' else 'of their stamps'))


def _scans(reader: BagReader, stamps: Mapping[str, list[int]]) -> str | None:
    """Return the topic of clouds that are not perceived ones; of several the one that speaks of a scanner."""
    clouds = [t.name for t in reader.topics.values()
              if t.type == CLOUD and stamps.get(t.name) and t.name.removeprefix('/') not in OUTPUTS]
    return min(clouds, key=lambda name: (not any(word in name for word in ('lidar', 'velodyne', 'scan')), name),
               default=None)


def _near(images: list[int], scans: list[int]) -> int:
    """Return how many of the rising stamps have one of the others less than SLOP_NS away."""
    count, at = 0, 0
    for stamp in images:
        while at + 1 < len(scans) and abs(scans[at + 1] - stamp) <= abs(scans[at] - stamp):
            at += 1
        count += abs(scans[at] - stamp) < SLOP_NS
    return count


def _unplaced(reader: BagReader, chosen: BagTopics, scans: str, stamps: Mapping[str, list[int]]) -> list[str]:
    frames = []
    for topic in (chosen.image, scans):
        found, _, data = next(reader.messages([topic]))
        frames.append(reader.deserialize(data, found.type).header.frame_id)
    try:
        placed = static_transforms(reader).lookup(*frames) is not None
    except ValueError as error:
        return [str(error)]
    return [] if placed else [f'no static transform from {frames[0]!r} to {frames[1]!r}: give lidar_transform']

"""What a node or a replay has made of a drive, read back from a bag frame by frame."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from semdepth_ros.bags.bag_reader import BagReader
from semdepth_ros.bags.cdr import stamp_of
from semdepth_ros.frame_perception import Perception, Scale
from semdepth_ros.geometry.camera_info import camera_from_info
from semdepth_ros.image_messages import bytes_of, depth_of

PARTS = {'/depth/image': 'depth', '/depth/sigma': 'sigma', '/semantic/image': 'labels',
         '/semantic/confidence': 'confidence', '/depth/camera_info': 'info'}
NEEDED = {'depth', 'labels'}


def perceived_frames(path: str | Path) -> Iterator[Perception]:
    """Yield the perceptions of a bag in the order of their stamps, of those frames that have both depth and labels.

    Sigma, confidence and camera are put in where the bag has them under the same stamp.

    :raises BagError: no bag, or a damaged one
    """
    with BagReader(path) as reader:
        waiting: dict[int, dict[str, Any]] = {}
        expected = {PARTS[t.name] for t in reader.topics.values() if t.name in PARTS and t.count}
        for topic, _, data in reader.messages([t for t in reader.topics if t in PARTS]):
            stamp_ns = stamp_of(data)
            parts = waiting.setdefault(stamp_ns, {})
            parts[PARTS[topic.name]] = reader.deserialize(data, topic.type)
            if expected <= parts.keys():
                yield from _whole(waiting, stamp_ns)
        yield from _whole(waiting, max(waiting, default=0))


def _whole(waiting: dict[int, dict[str, Any]], until_ns: int) -> Iterator[Perception]:
    """Take the frames up to this stamp out of those that wait, and yield those that can be used."""
    for stamp_ns in sorted(s for s in waiting if s <= until_ns):
        parts = waiting.pop(stamp_ns)
        if NEEDED <= parts.keys():
            yield _perception(stamp_ns, parts)


def _perception(stamp_ns: int, parts: dict[str, Any]) -> Perception:
    depth = depth_of(parts['depth'])
    labels = bytes_of(parts['labels'])
    height, width = depth.shape
    sigma = depth_of(parts['sigma']) if 'sigma' in parts else np.full(depth.shape, np.nan, np.float32)
    confidence = bytes_of(parts['confidence']) if 'confidence' in parts else np.full(labels.shape, 255, np.uint8)
    camera = camera_from_info(parts['info'], width, height, rectified=True) if 'info' in parts else None
    return Perception(depth, sigma, labels, confidence, Scale(), 0, camera, stamp_ns, parts['depth'].header.frame_id)

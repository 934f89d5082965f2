"""What a node or a replay has made of a drive, read back from a bag frame by frame."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from semdepth_ros.bags.bag_reader import BagReader
from semdepth_ros.bags.cdr import stamp_of
from semdepth_ros.bridge.perceived import TOPICS, perception_of
from semdepth_ros.frame_perception import Perception

PARTS = {f'/{topic}': part for part, topic in TOPICS.items()}
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
            yield perception_of(parts)

"""The frames of a recording: which truth belongs to which image, and when each was taken."""
from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
import logging
from typing import NamedTuple

from semdepth_ros.bags.bag_reader import BagReader
from semdepth_ros.bags.cdr import stamp_of
from semdepth_ros.bags.recording_order import drives

LOGGER = logging.getLogger(__name__)


class Place(NamedTuple):
    """Where a message lies among those of its topic: when it was recorded [ns], and which of that time it is."""

    recorded_ns: int
    number: int


@dataclass(frozen=True)
class RecordedFrame:
    """One image of a recording.

    :param time_ns: when it was taken
    :param drive: which drive of the recording it belongs to
    :param places: of the image and of what belongs to it, by topic
    """

    time_ns: int
    drive: int
    places: dict[str, Place] = field(hash=False)


def recorded_frames(reader: BagReader, image: str, truth: Collection[str] = ()) -> list[RecordedFrame]:
    """Return the images of a recording in the order of time, each with the truth that carries its stamp.

    Images and truth of equal stamps are paired one to one, in the order of their recording. Where most images of a
    drive share a stamp or have none, their time is that of recording. Where the clock was set back, the drives follow
    each other as recorded.

    :raises ValueError: a message is too short for a stamp, or a topic of truth has not one message for an image
    """
    found = _stamped_places(reader, [image, *truth])
    images = found[image]
    paired = {topic: _paired(images, found[topic]) for topic in truth}
    for topic, partners in paired.items():
        if not partners:
            raise ValueError(f'{reader.path}: no message of {topic} has the stamp of an image of {image}')
    frames, order = [], drives([stamp_ns for stamp_ns, _ in images])
    for number, drive in enumerate(order):
        times = _times([images[i] for i in drive], f'{reader.path}: {image}')
        for i, time_ns in sorted(zip(drive, times), key=lambda pair: pair[1]):
            others = {topic: partners[i] for topic, partners in paired.items() if i in partners}
            frames.append(RecordedFrame(time_ns, number, {image: images[i][1], **others}))
    if len(order) > 1:
        LOGGER.warning('%s: the stamps of %s are set back %d times; its drives follow each other as recorded',
                       reader.path, image, len(order) - 1)
    return frames


def has_times(stamps_ns: Collection[int]) -> bool:
    """Return whether stamps tell when images were taken: not zero, and not one for more than two images on average."""
    return len(stamps_ns) < 2 or 2 * len(set(stamps_ns) - {0}) >= len(stamps_ns)


def messages_of(reader: BagReader, frame: RecordedFrame) -> Iterator[tuple[str, bytes]]:
    """Yield topic and bytes of a frame's image and of what belongs to it."""
    times = [place.recorded_ns for place in frame.places.values()]
    met: Counter = Counter()
    for topic, recorded_ns, data in reader.messages(frame.places, min(times), max(times) + 1):
        place = Place(recorded_ns, met[topic.name, recorded_ns])
        met[topic.name, recorded_ns] += 1
        if place == frame.places[topic.name]:
            yield topic.name, data


def _stamped_places(reader: BagReader, topics: Collection[str]) -> dict[str, list[tuple[int, Place]]]:
    found, met = {topic: [] for topic in topics}, Counter()
    for topic, recorded_ns, data in reader.messages(topics):
        try:
            stamp_ns = stamp_of(data)
        except ValueError as error:
            raise ValueError(f'{reader.path}: a message of {topic.name} is damaged: {error}') from None
        found[topic.name].append((stamp_ns, Place(recorded_ns, met[topic.name, recorded_ns])))
        met[topic.name, recorded_ns] += 1
    return found


def _paired(images: list[tuple[int, Place]], others: list[tuple[int, Place]]) -> dict[int, Place]:
    """Return the place of what belongs to an image, by the image's number: one to one, both of the same stamp."""
    numbers, places = defaultdict(list), defaultdict(list)
    for number, (stamp_ns, _) in enumerate(images):
        numbers[stamp_ns].append(number)
    for stamp_ns, place in others:
        places[stamp_ns].append(place)
    pairs = {}
    for stamp_ns in numbers.keys() & places.keys():
        mine, theirs = numbers[stamp_ns], places[stamp_ns]
        times = [images[number][1].recorded_ns for number in mine], [place.recorded_ns for place in theirs]
        pairs.update((mine[i], theirs[j]) for i, j in _in_step(*times))
    return pairs


def _in_step(first: list[int], second: list[int]) -> list[tuple[int, int]]:
    """Return pairs of indices into two rising lists: all of the shorter one, each with its nearest, in order."""
    if len(first) > len(second):
        return [(i, j) for j, i in _in_step(second, first)]
    pairs, at = [], 0
    for index, time_ns in enumerate(first):
        last = len(second) - len(first) + index  # leaves one for each of the others
        while at < last and abs(second[at + 1] - time_ns) < abs(second[at] - time_ns):
            at += 1
        pairs.append((index, at))
        at += 1
    return pairs


def _times(images: list[tuple[int, Place]], name: str) -> list[int]:
    stamps = [stamp_ns for stamp_ns, _ in images]
    if not has_times(stamps):
        LOGGER.warning('%s: %d images carry only %d stamps; their time is that of recording', name, len(stamps),
                       len(set(stamps)))
        return [place.recorded_ns for _, place in images]
    if len(set(stamps)) < len(stamps):
        LOGGER.warning('%s: %d images repeat the stamp of another', name, len(stamps) - len(set(stamps)))
    return stamps

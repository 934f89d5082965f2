"""The beginning of a recording, copied message by message into another bag."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import logging
from pathlib import Path
from types import MappingProxyType

from semdepth_ros.bags.bag_reader import BagReader, Topic
from semdepth_ros.bags.bag_topics import COMPRESSED
from semdepth_ros.bags.bag_writer import BagWriter
from semdepth_ros.bags.cdr import stamp_of
from semdepth_ros.bags.recorded_camera import recorded_topics
from semdepth_ros.bags.recorded_frames import has_times
from semdepth_ros.bridge.outputs import ALL_TOPICS

LOGGER = logging.getLogger(__name__)
OUTPUTS = {*ALL_TOPICS, 'semantic/label_info', 'perception/model_info'}


@dataclass(frozen=True)
class Excerpt:
    """What was copied: how many images, and what the camera's topic is called in the copy."""

    images: int
    image_topic: str


def copy_beginning(source: str | Path, target: str | Path, images: int | None = None, image_topic: str | None = None,
                   replace: bool = False, progress: Callable[[int, int], None] | None = None) -> Excerpt:
    """Copy a bag, or its messages up to that many camera images, for a ROS graph to perceive.

    What perception itself publishes is left out, so that a bag of its outputs can be perceived anew; so are images that
    repeat a stamp, since outputs are told apart by it. A camera topic of CompressedImage gets a name that ends in
    /compressed, where it has another, as ROS nodes look for it there.

    :raises BagError: source cannot be read, or target cannot be written
    :raises ValueError: source has no camera images, or they hardly have stamps
    """
    with BagReader(source) as reader, BagWriter(target, replace) as writer:
        camera = recorded_topics(reader, image_topic).image
        names, stamps = _names(reader.topics[camera]), _Stamps(f'{source}: {camera}')
        total = min(reader.topics[camera].count, images or reader.topics[camera].count)
        for topic, recorded_ns, data in reader.messages(announce(reader, writer, names)):
            if topic.name == camera:
                if len(stamps) == total:
                    break
                is_new = stamps.add(stamp_of(data))
                if progress:
                    progress(len(stamps), total)
                if not is_new:
                    continue
            writer.write_bytes(names.get(topic.name, topic.name), data, recorded_ns)
        return Excerpt(stamps.told_apart(), names.get(camera, camera))


def _names(camera: Topic) -> dict[str, str]:
    """Return what a camera's topic is called in a copy, where that is another name."""
    if camera.type != COMPRESSED or camera.name.endswith('/compressed'):
        return {}
    names = {camera.name: f'{camera.name}/compressed'}
    LOGGER.warning('%s holds compressed images and is renamed %s', camera.name, names[camera.name])
    return names


class _Stamps:
    """The stamps of images on their way to a ROS graph, where nothing else tells what was perceived of which."""

    def __init__(self, name: str):
        self._name = name
        self._all: list[int] = []
        self._distinct: set[int] = set()

    def __len__(self) -> int:
        return len(self._all)

    def add(self, stamp_ns: int) -> bool:
        """Take in a stamp; return whether it is the first of its kind."""
        is_new = stamp_ns not in self._distinct
        self._all.append(stamp_ns)
        self._distinct.add(stamp_ns)
        return is_new

    def told_apart(self) -> int:
        """Return how many images can be told apart, and say how many cannot.

        :raises ValueError: hardly any
        """
        if not has_times(self._all):
            raise ValueError(f'{self._name}: {len(self._all)} images carry only {len(self._distinct)} stamps, and on a '
                             'ROS graph nothing else tells what was perceived of which: `semdepth replay` perceives '
                             'them')
        if len(self._distinct) < len(self._all):
            LOGGER.warning('%s: %d of %d images repeat a stamp and are left out', self._name,
                           len(self._all) - len(self._distinct), len(self._all))
        return len(self._distinct)


def announce(reader: BagReader, writer: BagWriter, names: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """Announce a recording's topics in another bag; return them.

    Left out, with a warning that names them: topics that perception publishes itself, and those whose type nobody
    defines.

    :param names: what to call topics that get another name there
    """
    taken = [name for name in reader.topics if name.removeprefix('/') in OUTPUTS or name in names.values()]
    if taken:
        LOGGER.warning('left out of the copy, since topics of these names are written anew: %s', ', '.join(taken))
    kept = []
    for topic in reader.topics.values():
        if topic.name in taken:
            continue
        definition, digest = reader.definition(topic)
        try:
            writer.add_topic(Topic(names.get(topic.name, topic.name), topic.type, topic.qos, definition=definition,
                                   digest=digest))
        except ValueError as error:
            LOGGER.warning('%s is left out: %s', topic.name, error)
            continue
        kept.append(topic.name)
    return kept

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
from semdepth_ros.bridge.outputs import TOPICS

LOGGER = logging.getLogger(__name__)
OUTPUTS = {*TOPICS, 'semantic/label_info', 'perception/model_info'}


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
        camera, names = recorded_topics(reader, image_topic).image, {}
        if reader.topics[camera].type == COMPRESSED and not camera.endswith('/compressed'):
            names[camera] = f'{camera}/compressed'
            LOGGER.warning('%s holds compressed images and is renamed %s', camera, names[camera])
        total, stamps = min(reader.topics[camera].count, images or reader.topics[camera].count), []
        known: set[int] = set()
        for topic, recorded_ns, data in reader.messages(announce(reader, writer, names)):
            if topic.name == camera:
                if len(stamps) == total:
                    break
                stamps.append(stamp_of(data))
                if progress:
                    progress(len(stamps), total)
                if stamps[-1] in known:
                    continue
                known.add(stamps[-1])
            writer.write_bytes(names.get(topic.name, topic.name), data, recorded_ns)
        if not has_times(stamps):
            raise ValueError(f'{source}: {len(stamps)} images of {camera} carry only {len(known)} stamps, and on a ROS '
                             'graph nothing else tells what was perceived of which: `semdepth replay` perceives them')
        if len(known) < len(stamps):
            LOGGER.warning('%s: %d of %d images of %s repeat a stamp and are left out', source,
                           len(stamps) - len(known), len(stamps), camera)
    return Excerpt(len(known), names.get(camera, camera))


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

"""The beginning of a recording, copied message by message into another bag."""
from __future__ import annotations

from collections.abc import Callable, Mapping
import logging
from pathlib import Path
from types import MappingProxyType

from semdepth_ros.bridge.bag_file import BagReader, BagWriter, Topic
from semdepth_ros.bridge.outputs import TOPICS
from semdepth_ros.data.bag_topics import COMPRESSED, choose_topics

LOGGER = logging.getLogger(__name__)
OUTPUTS = {*TOPICS, 'semantic/label_info', 'perception/model_info'}


def copy_beginning(source: str | Path, target: str | Path, images: int | None = None, image_topic: str | None = None,
                   replace: bool = False, progress: Callable[[int, int], None] | None = None) -> int:
    """Copy a bag, or its messages up to that many camera images; return how many images were copied.

    What perception itself publishes is left out, so that a bag of its outputs can be perceived anew. A camera topic of
    CompressedImage gets a name that ends in /compressed, where it has another, as ROS nodes look for it there.

    :raises BagError: source cannot be read, or target cannot be written
    :raises ValueError: source has no camera images
    """
    with BagReader(source) as reader, BagWriter(target, replace) as writer:
        camera = choose_topics({t.name: t.type for t in reader.topics.values() if t.count}, image_topic).image
        names = {}
        if reader.topics[camera].type == COMPRESSED and not camera.endswith('/compressed'):
            names[camera] = f'{camera}/compressed'
            LOGGER.warning('%s holds compressed images and is renamed %s', camera, names[camera])
        total = min(reader.topics[camera].count, images or reader.topics[camera].count)
        copied = 0
        for topic, recorded_ns, data in reader.messages(announce(reader, writer, names)):
            if topic.name == camera:
                if copied == total:
                    break
                copied += 1
                if progress:
                    progress(copied, total)
            writer.write_bytes(names.get(topic.name, topic.name), data, recorded_ns)
    return copied


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

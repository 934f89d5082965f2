"""The beginning of a recording, copied message by message into another bag."""
from __future__ import annotations

from collections.abc import Callable
import logging
from pathlib import Path

from semdepth_ros.bridge.bag_file import BagReader, BagWriter, Topic
from semdepth_ros.bridge.outputs import TOPICS
from semdepth_ros.data.bag_topics import choose_topics

LOGGER = logging.getLogger(__name__)


def copy_beginning(source: str | Path, target: str | Path, images: int | None = None, image_topic: str | None = None,
                   replace: bool = False, progress: Callable[[int, int], None] | None = None) -> int:
    """Copy a bag, or its messages up to that many camera images; return how many images were copied.

    What perception itself publishes is left out, so that a bag of its outputs can be perceived anew.

    :raises BagError: source cannot be read, or target cannot be written
    :raises ValueError: source has no camera images
    """
    with BagReader(source) as reader, BagWriter(target, replace) as writer:
        camera = choose_topics({t.name: t.type for t in reader.topics.values() if t.count}, image_topic).image
        total = min(reader.topics[camera].count, images or reader.topics[camera].count)
        copied = 0
        for topic, recorded_ns, data in reader.messages(announce(reader, writer)):
            if topic.name == camera:
                if copied == total:
                    break
                copied += 1
                if progress:
                    progress(copied, total)
            writer.write_bytes(topic.name, data, recorded_ns)
    return copied


def announce(reader: BagReader, writer: BagWriter) -> list[str]:
    """Announce a recording's topics in another bag; return them.

    Left out, with a warning that names them: topics whose type nobody defines.
    """
    kept = []
    for topic in reader.topics.values():
        if topic.name.removeprefix('/') in TOPICS:
            continue
        definition, digest = reader.definition(topic)
        try:
            writer.add_topic(Topic(topic.name, topic.type, topic.qos, definition=definition, digest=digest))
        except ValueError as error:
            LOGGER.warning('%s is left out: %s', topic.name, error)
            continue
        kept.append(topic.name)
    return kept

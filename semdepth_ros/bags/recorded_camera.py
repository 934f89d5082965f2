"""The camera of a recording: its topics, chosen by what their images are, and its images."""
from __future__ import annotations

from contextlib import suppress
from itertools import islice
import logging
from typing import Any

from semdepth_ros.bags.bag_reader import BagReader, Topic
from semdepth_ros.bags.bag_topics import BagTopics, choose_topics, image_candidates
from semdepth_ros.bags.cdr import stamp_of
from semdepth_ros.bit_depth import AUTOMATIC, FIRST_IMAGES, BitDepth, LargestValue
from semdepth_ros.compressed_format import CompressedFormat
from semdepth_ros.geometry.camera_infos import CameraInfos
from semdepth_ros.image_messages import view_message

LOGGER = logging.getLogger(__name__)
_LAYOUTS = {'rgb': 'rgb8', 'bgr': 'bgr8', 'rgba': 'rgba8', 'bgra': 'bgra8'}  # what is found inside a JPEG or PNG


def recorded_topics(reader: BagReader, image: str | None = None, **names: str | None) -> BagTopics:
    """Return what chosen_topics does, and say which camera was chosen where there are others.

    :raises ValueError: as chosen_topics
    """
    topics = chosen_topics(reader, image, **names)
    if image is None and topics.among:
        LOGGER.warning('%s: the camera is %s, chosen before %s; naming an image topic decides otherwise', reader.path,
                       topics.image, ', '.join(topics.among))
    return topics


def chosen_topics(reader: BagReader, image: str | None = None, **names: str | None) -> BagTopics:
    """Return the topics of a recording, as choose_topics does, told by its first images.

    :raises ValueError: as choose_topics, naming the bag
    """
    types = {t.name: t.type for t in reader.topics.values() if t.count}
    encodings = {t: first_encoding(reader, reader.topics[t]) for t in image_candidates(types)} if image is None else {}
    try:
        return choose_topics(types, image, encodings=encodings, **names)
    except ValueError as error:
        raise ValueError(f'{reader.path}: {error}') from None


def first_encoding(reader: BagReader, topic: Topic) -> str:
    """Return the encoding of a topic's first image that says one, empty where none of the first few does."""
    for _, _, data in islice(reader.messages([topic.name]), FIRST_IMAGES):
        try:
            encoding = _encoding(reader.deserialize(data, topic.type))
        except ValueError:
            continue
        if encoding:
            return encoding
    return ''


def bit_depth(reader: BagReader, topic: Topic, bits: int = AUTOMATIC) -> BitDepth:
    """Return the bit depth of a recorded camera, told by its first images.

    :raises ValueError: bits cannot be
    """
    depth = BitDepth(bits, f'{reader.path}: {topic.name}')
    if depth.given:
        return depth
    seen = LargestValue()
    for _, _, data in islice(reader.messages([topic.name]), FIRST_IMAGES):
        with suppress(ValueError):
            view_message(reader.deserialize(data, topic.type), seen)
    depth.widen(seen.largest)
    return depth


def camera_infos(reader: BagReader, topics: BagTopics, rectified: bool) -> CameraInfos:
    """Return the camera_infos of a recording; one without a stamp counts from when it was recorded."""
    infos = CameraInfos(rectified)
    for topic, recorded_ns, data in reader.messages([topics.camera_info]) if topics.camera_info else ():
        infos.add(stamp_of(data) or recorded_ns, reader.deserialize(data, topic.type))
    return infos


def _encoding(message: Any) -> str:
    """Return what a message says of its pixels.

    :raises ValueError: it says nothing and holds no image
    """
    if not hasattr(message, 'format'):
        return message.encoding if message.width and message.height else ''
    told = CompressedFormat(message.format).encoding
    if told.lower() in ('', 'jpeg', 'jpg', 'png', 'webp'):
        layout = view_message(message)[1]
        return _LAYOUTS.get(layout, layout)
    return told

"""Perceive a recording offline: every frame, in order, with the conversions that the node uses, without ROS."""
from __future__ import annotations

import logging
from collections.abc import Callable, Collection
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semdepth_ros.bags.bag_path import BagError
from semdepth_ros.bags.bag_reader import BagReader, Topic
from semdepth_ros.bags.bag_topics import BagTopics, is_rectified
from semdepth_ros.bags.bag_writer import BagWriter
from semdepth_ros.bags.recorded_camera import bit_depth, camera_infos, recorded_topics
from semdepth_ros.bit_depth import AUTOMATIC
from semdepth_ros.bridge.images import frame_from_message
from semdepth_ros.bridge.label_info import make_label_info
from semdepth_ros.bridge.messages import MessageTypes, make_header
from semdepth_ros.bridge.model_info import Served, make_model_info, sha256_of
from semdepth_ros.bridge.outputs import TOPICS, OutputMaker, OutputSettings
from semdepth_ros.classes import SemanticClass
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Perception
from semdepth_ros.model_file import find_model
from semdepth_ros.recordings.excerpt import announce

if TYPE_CHECKING:
    from semdepth_ros.perception import Perceptor

LOGGER = logging.getLogger(__name__)
Latched = Callable[[MessageTypes, Any, Perception], list[tuple[str, Any]]]


@dataclass(frozen=True)
class ReplayOptions:
    """What to perceive of a recording, and what to write of it.

    :param wanted, settings: as the node's topics and parameters
    :param image_topic: which camera; by default the one that BagSequence takes
    :param image_bits: as the node's parameter
    :param with_input: copy the recording's own messages too
    :param replace: whether the target may be replaced
    """

    wanted: Collection[str] = tuple(TOPICS)
    settings: OutputSettings = OutputSettings()
    image_topic: str | None = None
    image_bits: int = AUTOMATIC
    with_input: bool = False
    replace: bool = False


@dataclass(frozen=True)
class ReplayedModel:
    """What perceives the frames.

    :param classes: of its labels
    :param latched: returns topic and message of what the node sends once, given message types, header and the first Perception
    """

    perceive: Callable[[Frame], Perception]
    classes: Collection[SemanticClass]
    latched: Latched | None = None


@dataclass(frozen=True)
class Replayed:
    """What came of a replay: images in the recording, images perceived, and a reason for each that was not, counted."""

    images: int
    perceived: int
    reasons: dict[str, int]


def replay(source: str | Path, target: str | Path, model: ReplayedModel, options: ReplayOptions = ReplayOptions(),
           progress: Callable[[int, int], None] | None = None) -> Replayed:
    """Perceive every image of a bag and write the outputs as a bag; the same input gives the same bytes.

    :param source, target: .mcap, .db3 or a folder; a target without suffix is a folder
    :raises BagError: source cannot be read, target cannot be written
    :raises ValueError: source has no such camera, or an output is wanted that there is not
    """
    unknown = sorted(set(options.wanted) - set(TOPICS))
    if unknown:
        raise ValueError(f'output {unknown[0]!r} is unknown, expected one of {", ".join(TOPICS)}')
    if Path(target).resolve() == Path(source).resolve():
        raise BagError(f'{target} is the recording itself, expected another name')
    with BagReader(source) as reader, BagWriter(target, options.replace) as writer:
        topics = recorded_topics(reader, options.image_topic)
        run = _Run(reader, writer, topics, model, options)
        total = reader.topics[topics.image].count
        copied = announce(reader, writer) if options.with_input else [topics.image]
        for topic, recorded_ns, data in reader.messages(copied):
            if options.with_input:
                writer.write_bytes(topic.name, data, recorded_ns)
            if topic.name == topics.image:
                run.take(topic, recorded_ns, data)
                if progress:
                    progress(run.images, total)
    return Replayed(run.images, run.perceived, run.reasons)


class _Run:
    """One replay on its way."""

    def __init__(self, reader: BagReader, writer: BagWriter, topics: BagTopics, model: ReplayedModel,
                 options: ReplayOptions):
        self._reader, self._writer, self._model, self._options = reader, writer, model, options
        self._maker = OutputMaker(writer.types, model.classes)
        self._infos = camera_infos(reader, topics, is_rectified(topics.image))
        self._depth = bit_depth(reader, reader.topics[topics.image], options.image_bits)
        self.images = self.perceived = 0
        self.reasons: dict[str, int] = {}

    def take(self, topic: Topic, recorded_ns: int, data: bytes) -> None:
        """Perceive one image message and write what comes of it."""
        self.images += 1
        try:
            header, frame = self._frame(topic, recorded_ns, data)
        except ValueError as error:
            self._note(f'left out: {error}')
            return
        perception = self._model.perceive(frame)
        if self._model.latched and not self.perceived:
            for name, message in self._model.latched(self._writer.types, header, perception):
                self._writer.write(name, message, recorded_ns, latched=True)
        self.perceived += 1
        for name, message in self._maker.make(self._options.wanted, header, frame, perception, self._options.settings):
            self._writer.write(f'/{name}', message, recorded_ns)

    def _frame(self, topic: Topic, recorded_ns: int, data: bytes) -> tuple[Any, Frame]:
        message = self._reader.deserialize(data, topic.type)
        frame = frame_from_message(message, depth=self._depth)
        try:
            camera = self._infos.camera(frame.width, frame.height, frame.stamp_ns or recorded_ns)
            frame = dataclasses.replace(frame, camera=camera)
        except ValueError as error:
            self._note(f'without its camera: {error}')
        return message.header, frame

    def _note(self, reason: str) -> None:
        if reason not in self.reasons:
            LOGGER.warning('%s', reason)
        self.reasons[reason] = self.reasons.get(reason, 0) + 1


def replayed_model(perceptor: Perceptor, file: str | Path, settings: OutputSettings) -> ReplayedModel:
    """Return a Perceptor as a replay takes it; what it sends once is model_info, as of the first image, and label_info.

    :param file: the Perceptor's model file
    """
    path = find_model(file)

    def latched(types: MessageTypes, header: Any, perception: Perception) -> list[tuple[str, Any]]:
        served = Served(perceptor.card, path.name, sha256_of(path), perceptor.device, perceptor.precision)
        info = make_model_info(types, header, served, perception.scale, 'fixed' if perceptor.scale.metric else 'none',
                               perception.input_size)
        labels = make_label_info(types, make_header(types, 0, ''), perceptor.card.classes, settings.min_confidence)
        return [('/perception/model_info', info), ('/semantic/label_info', labels)]

    return ReplayedModel(perceptor.perceive, perceptor.card.classes, latched)

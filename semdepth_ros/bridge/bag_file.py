"""Bags on disk: MCAP and SQLite, one file or rosbag2's folder, without a ROS installation."""
from __future__ import annotations

import os
import shutil
import struct
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.interfaces import MessageDefinitionFormat, QosDurability, QosHistory, QosLiveliness, QosReliability
from rosbags.interfaces import Qos as RosbagsQos
from rosbags.interfaces import QosTime
from rosbags.rosbag2 import CompressionFormat, CompressionMode, ReaderError, StoragePlugin, Writer
from rosbags.serde import SerdeError
from rosbags.typesys.store import Typestore

from semdepth_ros import __version__
from semdepth_ros.bridge.qos import LATCHED, OUTPUT, Qos
from semdepth_ros.bridge.rosbags_types import rosbags_types

STORAGE = {'.mcap': StoragePlugin.MCAP, '.db3': StoragePlugin.SQLITE3, '': StoragePlugin.MCAP}
BROKEN = (ReaderError, AnyReaderError, SerdeError, struct.error, AssertionError, TypeError, KeyError, EOFError,
          apsw.Error)


class BagError(ValueError):
    """A bag that cannot be read or written; the message is one line."""


@dataclass(frozen=True)
class Topic:
    """One topic of a bag: its name, type, offered quality of service and number of messages.

    :param definition: the type's full text, or '' where the bag does not say
    :param digest: the type's RIHS01 hash, or '' where the bag does not say
    """

    name: str
    type: str
    qos: Qos = OUTPUT
    count: int = 0
    definition: str = ''
    digest: str = ''


class BagWriter:
    """Writes a bag that is there completely or not at all; a context manager.

    X.mcap and X.db3 become that single file, a name without suffix rosbag2's folder with an MCAP file inside. All three
    open in `ros2 bag play` and Foxglove: the definitions of the messages travel inside.

    :param replace: whether a bag of this name may be replaced
    :param compress: zstd over MCAP's chunks
    :raises BagError: unknown suffix, the name is taken
    """

    def __init__(self, path: str | Path, replace: bool = False, compress: bool = False):
        self.path = Path(path)
        if self.path.suffix not in STORAGE:
            raise BagError(f'bag {str(path)!r} has suffix {self.path.suffix!r}, expected .mcap, .db3 or none (folder)')
        if self.path.exists() and not (replace and is_bag(self.path)):
            raise BagError(f'{path} exists already' + (' and is not a bag' if replace else ', and may not be replaced'))
        self.types = rosbags_types()
        self._plain, self._compress = self.path.suffix != '', compress
        self._connections, self._writer, self._folder = {}, None, None

    def __enter__(self) -> BagWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix=f'.{self.path.name}.', suffix='.part', dir=self.path.parent))
        # Version 8 keeps quality of service in numbers, which every rosbag2 since Humble reads.
        self._writer = Writer(self._folder / self.path.stem, version=8, storage_plugin=STORAGE[self.path.suffix])
        if self._compress and self.path.suffix != '.db3':
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self._writer.set_custom_data('written_by', f'semdepth_ros {__version__}')
        self._writer.open()
        return self

    def __exit__(self, kind, error, trace) -> None:
        try:
            if kind is None:
                self._writer.close()
                self._put_in_place()
            else:
                self._writer.abort()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def add_topic(self, topic: Topic) -> None:
        """Announce a topic; needed where its messages come as bytes or are latched.

        :raises ValueError: its type is unknown and topic brings no definition
        """
        definition, digest = topic.definition, topic.digest
        if not (definition and digest):
            definition, digest = self.types.definition(topic.type)
        self._connections[topic.name] = self._writer.add_connection(
            topic.name, topic.type, msgdef=definition, rihs01=digest, offered_qos_profiles=[_rosbags_qos(topic.qos)])

    def write(self, topic: str, message: Any, stamp_ns: int, latched: bool = False) -> None:
        """Write a message of rosbags' classes."""
        if topic not in self._connections:
            self.add_topic(Topic(topic, message.__msgtype__, LATCHED if latched else OUTPUT))
        self.write_bytes(topic, self.types.serialize(message), stamp_ns)

    def write_bytes(self, topic: str, data: bytes | memoryview, stamp_ns: int) -> None:
        """Write a serialised message (CDR) of an announced topic."""
        self._writer.write(self._connections[topic], stamp_ns, data)

    def _put_in_place(self) -> None:
        folder = self._writer.path
        source = folder / f'{folder.name}{self.path.suffix}' if self._plain else folder
        if self.path.is_dir():
            shutil.rmtree(self.path)
        os.replace(source, self.path)


class BagReader:
    """Reads any rosbag2 recording: .mcap, .db3 or a folder; a context manager.

    :raises BagError: no bag, or one that is damaged; also while reading
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not self.path.exists():
            raise BagError(f'bag {path} does not exist')
        if not is_bag(self.path):
            raise BagError(f'{path} is not a bag: expected a .mcap or .db3 file or a folder with metadata.yaml')
        self._reader = None

    def __enter__(self) -> BagReader:
        try:
            self._reader = AnyReader([self.path], default_typestore=rosbags_types().store)
            self._reader.open()
        except (*BROKEN, OSError) as error:
            raise self._broken(error) from None
        return self

    def __exit__(self, kind, error, trace) -> None:
        self._reader.close()

    @property
    def topics(self) -> dict[str, Topic]:
        """The topics by name."""
        found = {}
        for c in self._reader.connections:
            text = c.msgdef.data if c.msgdef.format != MessageDefinitionFormat.NONE else ''
            count = c.msgcount + (found[c.topic].count if c.topic in found else 0)
            found[c.topic] = Topic(c.topic, c.msgtype, _qos(c.ext.offered_qos_profiles), count, text, c.digest)
        return found

    @property
    def store(self) -> Typestore:
        """The types of the messages, by the bag's own definitions where it has any."""
        return self._reader.typestore

    def messages(self, topics: Collection[str] | None = None) -> Iterator[tuple[Topic, int, bytes]]:
        """Yield topic, time [ns] and CDR bytes in the order of time; of all topics where topics is None."""
        known = self.topics
        chosen = [c for c in self._reader.connections if topics is None or c.topic in topics]
        if not chosen:
            return
        try:
            for connection, stamp_ns, data in self._reader.messages(chosen):
                yield known[connection.topic], stamp_ns, data
        except BROKEN as error:
            raise self._broken(error) from None

    def deserialize(self, data: bytes, type_name: str) -> Any:
        """Return the message that CDR bytes hold, by the bag's own definition of its type."""
        try:
            return self._reader.deserialize(data, type_name)
        except BROKEN as error:
            raise BagError(f'{self.path}: a {type_name} cannot be read: {_line(error)}') from None

    def definition(self, topic: Topic) -> tuple[str, str]:
        """Return the text and the hash of a topic's type, '' where the bag does not say."""
        if topic.definition and not topic.digest:
            return topic.definition, self._reader.typestore.hash_rihs01(topic.type)
        return topic.definition, topic.digest

    def _broken(self, error: Exception) -> BagError:
        return BagError(f'bag {self.path} cannot be read: {_line(error)}')


def is_bag(path: str | Path) -> bool:
    """Return whether this is a bag by its name: a .mcap or .db3 file, or a folder with metadata.yaml."""
    path = Path(path)
    return (path.is_file() and path.suffix in ('.mcap', '.db3')) or (path / 'metadata.yaml').is_file()


def _line(error: Exception) -> str:
    return ' '.join(str(error).split()) or type(error).__name__


def _rosbags_qos(qos: Qos) -> RosbagsQos:
    endless = QosTime(9223372036, 854775807)
    return RosbagsQos(QosHistory.KEEP_LAST, qos.depth, QosReliability[qos.reliability.upper()],
                      QosDurability[qos.durability.upper()], endless, endless, QosLiveliness.AUTOMATIC, endless, False)


def _qos(profiles: list[RosbagsQos]) -> Qos:
    """Return what any subscriber of the recorded publishers can take; reliable where the bag does not say."""
    if not profiles:
        return OUTPUT
    best_effort = any(p.reliability == QosReliability.BEST_EFFORT for p in profiles)
    latched = all(p.durability == QosDurability.TRANSIENT_LOCAL for p in profiles)
    return Qos('best_effort' if best_effort else 'reliable', 'transient_local' if latched else 'volatile',
               max(1, *(p.depth for p in profiles)))

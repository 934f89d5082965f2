"""The one reader of bags: MCAP and SQLite, one file or rosbag2's folder, without a ROS installation."""
from __future__ import annotations

import logging
import os
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import apsw
from rosbags.interfaces import Connection, MessageDefinitionFormat, QosDurability, QosReliability
from rosbags.interfaces import Qos as RosbagsQos
from rosbags.rosbag2 import Reader, ReaderError
from rosbags.rosbag2.reader import DirectoryReader
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, TypesysError, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from semdepth_ros.bags.bag_path import BagError, is_bag, saving, unfinished
from semdepth_ros.bags.mcap_file import McapFile, readable_messages
from semdepth_ros.bags.qos import OUTPUT, Qos
from semdepth_ros.bags.rosbags_types import rosbags_types

BROKEN = (ReaderError, SerdeError, TypesysError, struct.error, AssertionError, TypeError, ValueError, KeyError,
          EOFError, apsw.Error, OSError)
LOGGER = logging.getLogger(__name__)
_IDL_PART = '=' * 80 + '\n'  # stands between the files of an IDL definition


class _Folder(DirectoryReader):
    STORAGE_PLUGINS = {**DirectoryReader.STORAGE_PLUGINS, 'mcap': McapFile}


class _Bag(Reader):
    STORAGE_PLUGINS = {**Reader.STORAGE_PLUGINS, 'dir': _Folder, '.mcap': McapFile}


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


class BagReader:
    """Reads any rosbag2 recording: .mcap, .db3 or a folder; a context manager, or opened and closed.

    What is no ROS 2 message (JSON, Protobuf, ROS 1), and types whose definition cannot be understood, are left out with
    one warning that names their topics.

    :raises BagError: no bag, or one that is damaged; also while reading
    """

    def __init__(self, path: str | Path):
        self.path = Path(path).expanduser()
        if not self.path.exists():
            raise BagError(f'bag {path} does not exist')
        if not is_bag(self.path):
            raise BagError(unfinished(self.path) or f'{path} is not a bag: expected a .mcap or .db3 file or a folder '
                           'with metadata.yaml')
        self._bag: _Bag | None = None
        self._connections: list[Connection] = []

    def __enter__(self) -> BagReader:
        return self.open()

    def __exit__(self, kind, error, trace) -> None:
        self.close()

    def open(self) -> BagReader:
        """Read what the bag holds, and return this.

        :raises BagError: it is damaged
        """
        try:
            bag = _Bag(Path(os.path.abspath(self.path)))  # a name with a colon looks like an address
            bag.open()
        except BROKEN as error:
            raise self._broken(error) from None
        self._bag = bag
        self.store, strange = _store(bag.connections)
        self._connections = [c for c in bag.connections if c.msgtype not in strange]
        self._say_left_out(strange)
        return self

    def close(self) -> None:
        """Give the files back."""
        if self._bag is not None:
            self._bag.close()
        self._bag = None

    @property
    def topics(self) -> dict[str, Topic]:
        """The topics by name."""
        found = {}
        for c in self._connections:
            text = c.msgdef.data if c.msgdef.format != MessageDefinitionFormat.NONE else ''
            count = c.msgcount + (found[c.topic].count if c.topic in found else 0)
            found[c.topic] = Topic(c.topic, c.msgtype, _qos(c.ext.offered_qos_profiles), count, text, c.digest)
        return found

    def messages(self, topics: Collection[str] | None = None, start: int | None = None, stop: int | None = None
                 ) -> Iterator[tuple[Topic, int, bytes]]:
        """Yield topic, time [ns] and CDR bytes in the order of time; of all topics where topics is None.

        :param start, stop: only messages with start <= time < stop [ns]
        """
        known = self.topics
        chosen = [c for c in self._connections if topics is None or c.topic in topics]
        if not chosen:
            return
        try:
            for connection, stamp_ns, data in self._bag.messages(chosen, start, stop):
                yield known[connection.topic], stamp_ns, data
        except BROKEN as error:
            raise self._broken(error) from None

    def deserialize(self, data: bytes, type_name: str) -> Any:
        """Return the message that CDR bytes hold, by the bag's own definition of its type.

        :raises BagError: they do not hold one
        """
        try:
            return self.store.deserialize_cdr(data, type_name)
        except BROKEN as error:
            raise BagError(f'{self.path}: a {type_name} is damaged: {_line(error)}') from None

    def definition(self, topic: Topic) -> tuple[str, str]:
        """Return the text and the hash of a topic's type, '' where the bag does not say."""
        if topic.definition and not topic.digest:
            return topic.definition, self.store.hash_rihs01(topic.type)
        return topic.definition, topic.digest

    def _broken(self, error: Exception) -> BagError:
        told = f'bag {self.path} cannot be read: {_line(error)}'
        counts = readable_messages(self.path) if self.path.suffix == '.mcap' and self.path.is_file() else {}
        whole = ', '.join(f'{count} of {topic}' for topic, count in sorted(counts.items()))
        return BagError(told + (f'; messages whole: {whole}' if whole else '') + f'; {saving(self.path)}')

    def _say_left_out(self, strange: dict[str, str]) -> None:
        files = getattr(self._bag.storage, 'storages', [self._bag.storage])
        topics = {topic: form for file in files for topic, form in getattr(file, 'left_out', {}).items()}
        topics |= {c.topic: strange[c.msgtype] for c in self._bag.connections if c.msgtype in strange}
        if topics:
            _warn_once(f'{self.path}: left out, since they hold no ROS 2 messages that can be read: '
                       + ', '.join(f'{topic} ({form})' for topic, form in sorted(topics.items())))


@cache
def _warn_once(line: str) -> None:
    """Warn, but once for a bag that is opened again for every part of the work."""
    LOGGER.warning(line)


def _store(connections: list[Connection]) -> tuple[Typestore, dict[str, str]]:
    """Return the types of the messages, by the bag's own definitions first, and why some types cannot be read."""
    store, known, strange = get_typestore(Stores.EMPTY), rosbags_types().store, {}
    for connection in {c.msgtype: c for c in connections if c.msgdef.format != MessageDefinitionFormat.NONE}.values():
        try:
            store.register(_defined(connection))
            if connection.digest and store.hash_rihs01(connection.msgtype) != connection.digest:
                strange[connection.msgtype] = f'{connection.msgtype}, whose definition has another hash'
        except BROKEN as error:
            strange[connection.msgtype] = f'{connection.msgtype}: {_line(error)}'
    if any(c.msgdef.format == MessageDefinitionFormat.NONE for c in connections):
        store.register({name: fields for name, fields in known.fielddefs.items() if name not in store.fielddefs})
    return store, strange


def _defined(connection: Connection) -> dict:
    text = connection.msgdef.data
    if connection.msgdef.format == MessageDefinitionFormat.MSG:
        return get_types_from_msg(text, connection.msgtype)
    parts = [part.split('\n', 1)[1] for part in text.split(_IDL_PART)[1:]] if text.startswith(_IDL_PART) else [text]
    found = {}
    for part in parts:
        found.update(get_types_from_idl(part))
    return found


def _line(error: Exception) -> str:
    return ' '.join(str(error).split()) or type(error).__name__


def _qos(profiles: list[RosbagsQos]) -> Qos:
    """Return what any subscriber of the recorded publishers can take; reliable where the bag does not say."""
    if not profiles:
        return OUTPUT
    best_effort = any(p.reliability == QosReliability.BEST_EFFORT for p in profiles)
    latched = all(p.durability == QosDurability.TRANSIENT_LOCAL for p in profiles)
    return Qos('best_effort' if best_effort else 'reliable', 'transient_local' if latched else 'volatile',
               max(1, *(p.depth for p in profiles)))

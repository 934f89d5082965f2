"""Writing bags: MCAP and SQLite, one file or rosbag2's folder, without a ROS installation."""
from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path
from typing import Any

from rosbags.interfaces import Connection
from rosbags.interfaces import Qos as RosbagsQos
from rosbags.interfaces import QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from semdepth_ros import __version__
from semdepth_ros.bags.bag_path import BagError, is_bag
from semdepth_ros.bags.bag_reader import Topic
from semdepth_ros.bags.qos import LATCHED, OUTPUT, Qos
from semdepth_ros.bags.rosbags_types import rosbags_types

STORAGE = {'.mcap': StoragePlugin.MCAP, '.db3': StoragePlugin.SQLITE3, '': StoragePlugin.MCAP}


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
        self._connections: dict[str, Connection] = {}
        self._writer: Writer | None = None  # while entered
        self._folder: Path | None = None

    def __enter__(self) -> BagWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._folder = self.path.with_name(f'.{self.path.name}.{uuid.uuid4().hex[:8]}.part')
        try:
            self._open()
        except BaseException:   # a signal too: __exit__ is for what has been entered
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        return self

    def _open(self) -> None:
        self._folder.mkdir(mode=0o700)
        # Version 8 keeps quality of service in numbers, which every rosbag2 since Humble reads.
        self._writer = Writer(self._folder / self.path.stem, version=8, storage_plugin=STORAGE[self.path.suffix])
        if self._compress and self.path.suffix != '.db3':
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self._writer.set_custom_data('written_by', f'semdepth_ros {__version__}')
        self._writer.open()

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


def _rosbags_qos(qos: Qos) -> RosbagsQos:
    endless = QosTime(9223372036, 854775807)
    return RosbagsQos(QosHistory.KEEP_LAST, qos.depth, QosReliability[qos.reliability.upper()],
                      QosDurability[qos.durability.upper()], endless, endless, QosLiveliness.AUTOMATIC, endless, False)

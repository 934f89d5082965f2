"""MCAP files as the rosbags library reads bags: whatever wrote them, as far as their messages are those of ROS 2."""
from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
import struct
from typing import Any, BinaryIO
import zlib

from mcap.exceptions import McapError
from mcap.reader import NonSeekingReader, SeekingReader
from mcap.records import Channel, Message, Schema
from mcap.stream_reader import StreamReader
from rosbags.interfaces import Connection, ConnectionExtRosbag2, MessageDefinition, MessageDefinitionFormat
from rosbags.rosbag2 import ReaderError
from rosbags.rosbag2.metadata import ReaderMetadata, parse_qos
import zstandard

CDR = 'cdr'
# how MCAP's registry calls the forms of a ROS 2 definition; '' is a channel without one
DEFINITIONS = {'ros2msg': MessageDefinitionFormat.MSG, 'ros2idl': MessageDefinitionFormat.IDL,
               'omgidl': MessageDefinitionFormat.IDL, '': MessageDefinitionFormat.NONE}
FAULTS = (McapError, struct.error, UnicodeDecodeError, ValueError, KeyError, EOFError, OSError, RuntimeError,
          zlib.error, zstandard.ZstdError)


class McapFile:
    """One MCAP file behind the interface that the rosbags library asks of a storage.

    Channels of other encodings, as JSON, Protobuf or ROS 1, are no connections; `left_out` names them with what they
    are. The header's profile decides nothing: files without one hold the same messages.
    """

    def __init__(self, path: Any):
        self.path = path
        self.connections: list[Connection] = []
        self.left_out: dict[str, str] = {}
        self.metadata = ReaderMetadata(0, 2 ** 63 - 1, 0, 0, None, None, None, None)
        self._stream: BinaryIO | None = None
        self._seeking: SeekingReader | None = None
        self._indexed = self._in_order = True

    def open(self) -> None:
        """Read what the file holds.

        :raises ReaderError: it is no MCAP file, cut off or damaged
        """
        try:
            self._stream = self.path.open('rb')
            self._read_channels()
        except FAULTS as error:
            self.close()
            raise ReaderError(_said(error)) from None

    def close(self) -> None:
        """Give the file back."""
        if self._stream is not None:
            self._stream.close()
        self._stream = self._seeking = None
        self.connections = []

    def messages(self, connections: Collection[Connection], start: int | None = None, stop: int | None = None
                 ) -> Iterator[tuple[Connection, int, bytes]]:
        """Yield connection, time [ns] and bytes of messages with start <= time < stop, in the order of time.

        :raises ReaderError: the file is damaged
        """
        by_id = {c.id: c for c in connections}
        topics, reader = {c.topic for c in connections}, self._reader()
        try:
            for _, channel, message in reader.iter_messages(topics, log_time_order=self._indexed or not self._in_order,
                                                            starting_at=start, ending_before=stop):
                if channel.id in by_id:
                    yield by_id[channel.id], message.log_time, message.data
        except FAULTS as error:
            raise ReaderError(_said(error)) from None

    def _reader(self) -> SeekingReader | NonSeekingReader:
        if self._indexed:
            return self._seeking  # which has read the index
        self._stream.seek(0)
        return NonSeekingReader(self._stream, validate_crcs=True)

    def _read_channels(self) -> None:
        self._seeking = SeekingReader(self._stream, validate_crcs=True)
        summary = self._seeking.get_summary()
        self._indexed = bool(summary and summary.chunk_indexes and summary.channels and summary.statistics)
        if self._indexed:
            counts, statistics = summary.statistics.channel_message_counts, summary.statistics
            first, last = statistics.message_start_time, statistics.message_end_time
            channels, schemas = summary.channels, summary.schemas
        else:
            channels, schemas, counts, first, last = self._scan()
        self._describe(channels, schemas, counts)
        total = sum(c.msgcount for c in self.connections)
        self.metadata = self.metadata._replace(
            message_count=total, duration=last - first + 1 if total else 0,
            start_time=first if total else 2 ** 63 - 1, end_time=last + 1 if total else 0)

    def _scan(self) -> tuple[dict[int, Channel], dict[int, Schema], Counter, int, int]:
        """Read the whole file for what an index would have said."""
        channels, schemas, counts, times = {}, {}, Counter(), []
        self._stream.seek(0)
        for record in StreamReader(self._stream, validate_crcs=True).records:
            if isinstance(record, Channel):
                channels[record.id] = record
            elif isinstance(record, Schema):
                schemas[record.id] = record
            elif isinstance(record, Message):
                counts[record.channel_id] += 1
                times.append(record.log_time)
        self._in_order = times == sorted(times)
        return channels, schemas, counts, min(times, default=0), max(times, default=0)

    def _describe(self, channels: dict[int, Channel], schemas: dict[int, Schema], counts: dict[int, int]) -> None:
        for channel in channels.values():
            schema = schemas.get(channel.schema_id)
            form = schema.encoding if schema else ''
            if channel.message_encoding != CDR or form not in DEFINITIONS:
                self.left_out[channel.topic] = ' '.join(filter(None, (channel.message_encoding, form)))
                continue
            definition = MessageDefinition(DEFINITIONS[form], schema.data.decode() if schema and form else '')
            qos = parse_qos(channel.metadata.get('offered_qos_profiles', ''))
            self.connections.append(Connection(
                channel.id, channel.topic, schema.name if schema else '', definition, '', counts.get(channel.id, 0),
                ConnectionExtRosbag2(CDR, qos), self))


def readable_messages(path: Any) -> Counter:
    """Return how many messages of each topic can be read of a damaged MCAP file, from its beginning."""
    topics, counts = {}, Counter()
    try:
        with path.open('rb') as stream:
            for record in StreamReader(stream, validate_crcs=True).records:
                if isinstance(record, Channel):
                    topics[record.id] = record.topic
                elif isinstance(record, Message) and record.channel_id in topics:
                    counts[topics[record.channel_id]] += 1
    except FAULTS:
        pass
    return counts


def _said(error: Exception) -> str:
    return ' '.join(str(error).split()) or type(error).__name__

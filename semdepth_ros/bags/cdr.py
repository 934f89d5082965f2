"""The few bytes of a serialised message that are read or changed without unpacking the rest."""
from __future__ import annotations

import struct

from rosbags.interfaces import Nodetype
from rosbags.typesys.store import Typestore

HEADER = 'std_msgs/msg/Header'


def begins_with_header(store: Typestore, type_name: str) -> bool:
    """Return whether messages of this type begin with a std_msgs/Header; False for unknown types."""
    fields = store.fielddefs.get(type_name, (None, []))[1]
    return bool(fields) and fields[0][1] == (Nodetype.NAME, HEADER)


def stamp_of(data: bytes) -> int:
    """Return the stamp [ns] of a serialised message that begins with a header; nothing else is unpacked.

    :raises ValueError: it is too short for one
    """
    try:
        seconds, nanoseconds = struct.unpack_from('<iI' if data[1] else '>iI', data, 4)
    except (struct.error, IndexError):
        raise ValueError(f'it has {len(data)} bytes, too few for a header') from None
    return seconds * 1_000_000_000 + nanoseconds


def with_stamp(data: bytes | memoryview, stamp_ns: int) -> bytes:
    """Return a serialised message that begins with a header (or is a Clock), stamped anew [ns]."""
    stamp = struct.pack('<iI' if data[1] else '>iI', *divmod(stamp_ns, 1_000_000_000))
    return b''.join((data[:4], stamp, data[12:]))

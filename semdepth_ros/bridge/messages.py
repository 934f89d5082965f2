"""What the bridge asks of a set of message classes, and the parts that every message shares."""
from __future__ import annotations

from typing import Any, Protocol


class MessageTypes(Protocol):
    """Message classes by name, and how to fill them: rclpy's, or those of the rosbags library."""

    def has(self, name: str) -> bool:
        """Return whether the message 'package/msg/Name' is known here."""

    def make(self, name: str, /, **fields: Any) -> Any:
        """Return a new message 'package/msg/Name' with all of these fields set.

        :param fields: every field of the message; arrays of numbers as numpy arrays of the field's own type, which are
            copied once; text and single numbers as Python's own; other messages as made by this method
        """


def make_header(types: MessageTypes, stamp_ns: int, frame_id: str) -> Any:
    """Return a std_msgs/Header of this time [ns] and frame."""
    stamp = types.make('builtin_interfaces/msg/Time', sec=stamp_ns // 1_000_000_000, nanosec=stamp_ns % 1_000_000_000)
    return types.make('std_msgs/msg/Header', stamp=stamp, frame_id=frame_id)


def stamp_ns(header: Any) -> int:
    """Return a header's time [ns]."""
    return header.stamp.sec * 1_000_000_000 + header.stamp.nanosec

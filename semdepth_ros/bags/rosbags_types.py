"""Messages without a ROS installation: made, filled and serialised by the rosbags library."""
from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, TypesysError, get_types_from_msg, get_typestore

from semdepth_ros.share import share_folders

# What rosbags' stores lack, as text (fields of ros-perception/vision_msgs).
EXTRA = {
    'vision_msgs/msg/VisionClass': 'uint16 class_id\nstring class_name\n',
    'vision_msgs/msg/LabelInfo': 'std_msgs/Header header\nvision_msgs/VisionClass[] class_map\nfloat32 threshold\n',
}
# Fields whose default in the .msg file is not zero.
DEFAULTS = {('geometry_msgs/msg/Quaternion', 'w'): 1.0}
DTYPES = {'bool': '?', 'byte': 'u1', 'char': 'u1', 'octet': 'u1', 'float32': 'f4', 'float64': 'f8',
          **{f'{sign}int{8 * size}': f'{sign or "i"}{size}' for sign in ('', 'u') for size in (1, 2, 4, 8)}}


class RosbagsTypes:
    """Every message type of ROS 2, this package's own and vision_msgs/LabelInfo; a MessageTypes."""

    def __init__(self):
        self.store = get_typestore(Stores.ROS2_KILTED)
        own = {f'semdepth_ros/msg/{file.stem}': file.read_text(encoding='utf-8') for file in own_message_files()}
        for name, text in {**EXTRA, **own}.items():
            self.store.register(get_types_from_msg(text, name))

    def has(self, name: str) -> bool:
        """Return whether the message 'package/msg/Name' is known here."""
        return name in self.store.fielddefs

    def make(self, name: str, /, **fields: Any) -> Any:
        """Return a new message 'package/msg/Name' with these fields set, the others at the defaults of their .msg file.

        Arrays are handed on as they are: serialising copies them.

        :raises ValueError: unknown message or field
        """
        if not self.has(name):
            raise ValueError(f'message type {name!r} is unknown, expected one like sensor_msgs/msg/Image')
        known = self.store.fielddefs[name][1]
        unknown = fields.keys() - {field for field, _ in known}
        if unknown:
            raise ValueError(f'{name} has no field {sorted(unknown)[0]!r}, expected {", ".join(f for f, _ in known)}')
        return self.store.types[name](*(fields[field] if field in fields else self._default(name, field, kind)
                                        for field, kind in known))

    def serialize(self, message) -> memoryview:
        """Return the message in CDR, as it travels and as bags keep it."""
        return self.store.serialize_cdr(message, message.__msgtype__)

    def deserialize(self, data: bytes | memoryview, type_name: str):
        """Return the message that CDR bytes hold."""
        return self.store.deserialize_cdr(data, type_name)

    def definition(self, type_name: str) -> tuple[str, str]:
        """Return the full text of a type's definition, nested types included, and its RIHS01 hash.

        :raises ValueError: unknown type
        """
        try:
            return self.store.generate_msgdef(type_name, ros_version=2)[0], self.store.hash_rihs01(type_name)
        except (TypesysError, KeyError):
            raise ValueError(f'message type {type_name!r} is unknown: its definition cannot be put in a bag') from None

    def _default(self, type_name: str, field: str, kind: tuple):
        node, detail = kind
        if node == Nodetype.NAME:
            return self.make(detail)
        if node == Nodetype.BASE:
            zero = {'string': '', 'wstring': '', 'bool': False, 'float32': 0.0, 'float64': 0.0}.get(detail[0], 0)
            return DEFAULTS.get((type_name, field), zero)
        (inner, name), length = detail
        if inner == Nodetype.BASE and name[0] in DTYPES:
            return np.zeros(length if node == Nodetype.ARRAY else 0, DTYPES[name[0]])
        return [self._default(type_name, field, (inner, name)) for _ in range(length if node == Nodetype.ARRAY else 0)]


@cache
def rosbags_types() -> RosbagsTypes:
    """Return the one RosbagsTypes of this process; building it takes a moment."""
    return RosbagsTypes()


def own_message_files() -> list[Path]:
    """Return this package's .msg files, from the source tree or the installed share/; empty where neither is."""
    return next((sorted(folder.glob('*.msg')) for folder in share_folders('msg')), [])

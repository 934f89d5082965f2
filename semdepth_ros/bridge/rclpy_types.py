"""The message classes of a ROS 2 installation, filled by one memory copy an array."""
from __future__ import annotations

import importlib
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from semdepth_ros.bags.qos import BEST_EFFORT, RELIABLE, TRANSIENT_LOCAL, VOLATILE, Qos


class RclpyTypes:
    """Message classes as rclpy publishes them."""

    def __init__(self):
        self._classes = {}

    def message_class(self, name: str) -> type:
        """Return the class of 'package/msg/Name'.

        :raises ImportError: the package, or the message in it, is not installed
        """
        if name not in self._classes:
            package, folder, message = name.split('/')
            module = importlib.import_module(f'{package}.{folder}')
            if not hasattr(module, message):
                raise ImportError(f'{package} has no message {message}')
            self._classes[name] = getattr(module, message)
        return self._classes[name]

    def has(self, name: str) -> bool:
        """Return whether the message 'package/msg/Name' is installed."""
        try:
            self.message_class(name)
        except ImportError:
            return False
        return True

    def make(self, name: str, /, **fields: Any) -> Any:
        """Return a fresh message with these fields set.

        A fresh message's own array is extended in place: of all ways to fill it the one without a second copy, and the
        only one that costs the same whether or not generated code checks its fields.
        """
        message = self.message_class(name)()
        for field, value in fields.items():
            present = getattr(message, field)
            if isinstance(value, np.ndarray) and isinstance(present, array):
                present.frombytes(np.ascontiguousarray(value).reshape(-1).view(np.uint8))
            else:
                setattr(message, field, value)
        return message


def qos_profile(qos: Qos) -> QoSProfile:
    """Return rclpy's form of a quality of service."""
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=qos.depth,
                      reliability=ReliabilityPolicy[qos.reliability.upper()],
                      durability=DurabilityPolicy[qos.durability.upper()])


def qos_of(profile: QoSProfile) -> Qos:
    """Return our form of what a publisher offers; a policy that the middleware does not tell counts as the weaker."""
    reliable = profile.reliability == ReliabilityPolicy.RELIABLE
    latched = profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    return Qos(RELIABLE if reliable else BEST_EFFORT, TRANSIENT_LOCAL if latched else VOLATILE, profile.depth)


def cv_bridge_view() -> Callable[[Any], tuple[np.ndarray, str]] | None:
    """Return a function from an image message to (rgb array, layout) that goes through cv_bridge, None without it.

    cv_bridge built for another NumPy raises AttributeError, some while it is imported and some for big-endian words.
    One that lacks a part of its own (cv_bridge.boost) is found out with the first image: the function raises ImportError
    then, and from then on without trying again.
    """
    try:
        from cv_bridge import CvBridge, CvBridgeError
    except (ImportError, AttributeError):
        return None
    bridge, missing = CvBridge(), []

    def convert(message: Any) -> tuple[np.ndarray, str]:
        if missing:
            raise ImportError(missing[0])
        try:
            return bridge.imgmsg_to_cv2(message, 'rgb8'), 'rgb'
        except ImportError as error:
            missing.append(str(error))
            raise
        except (CvBridgeError, AttributeError, TypeError, KeyError, ValueError) as error:
            raise ValueError(f'image encoding is {message.encoding!r}: cv_bridge says {error}') from error

    return convert

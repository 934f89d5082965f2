"""Says what is wrong with the middleware's shared memory, where the middleware is Fast DDS."""
from __future__ import annotations

from collections.abc import Mapping
import os
from typing import Any

from rclpy.utilities import get_rmw_implementation_identifier

from semdepth_ros.bridge import shared_memory


def check_room(logger: Any) -> None:
    """Log an error if /dev/shm has too little room for this process; call it before the first node is made."""
    room, segment = shared_memory.room(), shared_memory.segment_in_use(os.environ)
    if uses_fast_dds() and room:
        size, free = room
        complaint = shared_memory.complaint(free, segment, 0, size=size)
        if complaint:
            logger.error(complaint)


def check_segment(logger: Any, outputs: Mapping[str, int]) -> None:
    """Log a warning if this process's segment is too small for the images, or for all that is sent for one frame.

    :param outputs: bytes by topic
    """
    segment, largest = shared_memory.segment_in_use(os.environ), shared_memory.largest_message(os.environ)
    image_bytes = max((size for topic, size in outputs.items() if topic != 'points'), default=0)
    complaint = (shared_memory.complaint(1 << 62, segment, image_bytes)
                 or shared_memory.lateness(outputs, segment, largest))
    if uses_fast_dds() and complaint:
        logger.warning(complaint)


def uses_fast_dds() -> bool:
    """Return whether rclpy runs on Fast DDS."""
    return get_rmw_implementation_identifier().startswith('rmw_fastrtps')

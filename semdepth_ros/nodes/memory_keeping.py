"""Memory of one frame serves the next one."""
from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h
_LARGEST_BLOCK = 1 << 30


def keep_freed_memory() -> bool:
    """Ask the C library to keep large blocks that are freed, and one heap for all threads; return whether it does.

    A thread's heap gives large blocks back to the kernel as they are freed. A frame of 1280x720 with its outputs then
    takes five thousand page faults, 2 to 10 ms, to get them again. Where there is no glibc nothing is changed.
    """
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is None:
        return False
    settings = ((_M_ARENA_MAX, 1), (_M_MMAP_THRESHOLD, _LARGEST_BLOCK), (_M_TRIM_THRESHOLD, _LARGEST_BLOCK))
    return all([mallopt(name, value) == 1 for name, value in settings])

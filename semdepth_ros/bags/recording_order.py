"""The order of frames in a recording: that of their stamps, but for a clock that was set back."""
from __future__ import annotations

import numpy as np

# messages may be recorded this many frames late; a stamp farther back than that is a clock that was set back
LATEST_FRAMES = 3


def drives(stamps_ns: list[int]) -> list[list[int]]:
    """Return the indices of stamps that were recorded in this order, one list for every drive.

    A new drive begins where a stamp lies more than LATEST_FRAMES usual steps behind the newest: a simulator started
    again, a bag played twice. Within a drive stamps that came late are put in order.
    """
    if not stamps_ns:
        return []
    steps = np.abs(np.diff(np.array(stamps_ns, dtype=np.int64)))
    latest = LATEST_FRAMES * float(np.median(steps)) if len(steps) else 0.0
    found, newest = [[0]], stamps_ns[0]
    for index, stamp_ns in enumerate(stamps_ns[1:], start=1):
        if stamp_ns < newest - latest:
            found.append([])
            newest = stamp_ns
        newest = max(newest, stamp_ns)
        found[-1].append(index)
    return [sorted(drive, key=stamps_ns.__getitem__) for drive in found]

"""A video's frames by their number: decoded forwards from the nearest place from which that is exact."""
from __future__ import annotations

import bisect
import os
from pathlib import Path

import cv2
import numpy as np

SEEK_AFTER = 64  # frames: nearer ones are reached by decoding on
MARGINS = (64, 256, 1024)  # frames before the one wanted to which a seek goes, the next one where it came out too late
# A seek has to end so many frames early: pictures that follow a key frame in the file but not in time (an open group of
# pictures) come out broken, and no codec reorders by more than sixteen.
LEAD = 16
_SAME_MS = 0.01


class VideoDecoder:
    """Decodes one video file.

    :param times_ms: the presentation time of every frame, rising; None where frames have none and are counted
    :raises ValueError: it cannot be opened
    """

    def __init__(self, path: str | Path, times_ms: list[float] | None):
        self._path, self._times = path, times_ms
        self._open()

    def read(self, index: int) -> np.ndarray | None:
        """Return a frame as bgr uint8 [H, W, 3], None where it cannot be decoded."""
        if self._at is None or not self._at <= index <= self._at + SEEK_AFTER:
            self._go_before(index)
        while self._at is not None and self._at < index:
            self._grab()
        if self._at != index:
            return None
        done, image = self._capture.retrieve()
        return image if done else None

    def _go_before(self, index: int) -> None:
        for margin in MARGINS if self._times is not None else ():
            if index > margin:
                self._capture.set(cv2.CAP_PROP_POS_MSEC, self._times[index - margin])
                self._grab()
                if self._at is not None and self._at <= index - LEAD:
                    return
        self._open()
        self._grab()

    def _open(self) -> None:
        self._capture, self._at = opened(self._path), None

    def _grab(self) -> None:
        """Decode the next frame and note which it is."""
        if not self._capture.grab():
            self._at = None
        elif self._times is None:
            self._at = 0 if self._at is None else self._at + 1
        else:
            self._at = self._number(self._capture.get(cv2.CAP_PROP_POS_MSEC))

    def _number(self, time_ms: float) -> int:
        """Return the number of the frame of this time; of a time that no frame has, that of the next one."""
        return bisect.bisect_left(self._times, time_ms - _SAME_MS)


def presentation_times(path: str | Path) -> list[float]:
    """Return when each frame that can be decoded is to be shown [ms].

    The container says it without decoding. It is believed where its first frames and its last come out at their times;
    else every frame is decoded once.

    :raises ValueError: no video, or not one frame
    """
    times = sorted(_packet_times(path))
    if rises(times) and _decodes_at(path, times):
        return times
    return _decoded_times(path)


def rises(times: list[float]) -> bool:
    """Return whether every time is later than the one before."""
    return bool(times) and all(later > earlier for earlier, later in zip(times, times[1:]))


def opened(path: str | Path) -> cv2.VideoCapture:
    """Open a video for decoding.

    :raises ValueError: that is not possible
    """
    capture = cv2.VideoCapture(os.path.abspath(path))  # a name with a colon looks like an address
    if not capture.isOpened():
        raise ValueError(f'{path} cannot be opened as a video')
    return capture


def _packet_times(path: str | Path) -> list[float]:
    """Return the times that the container has; OpenCV before 4.9 says zero for all."""
    capture = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])
    times = []
    while capture.isOpened() and capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC))
    return times


def _decodes_at(path: str | Path, times: list[float]) -> bool:
    probed = _decoded_times(path, most=LEAD)
    close = [abs(found - said) < _SAME_MS for found, said in zip(probed, times)]
    begins_so = len(close) == min(LEAD, len(times)) and all(close)
    return begins_so and VideoDecoder(path, times).read(len(times) - 1) is not None


def _decoded_times(path: str | Path, most: int | None = None) -> list[float]:
    capture, times = opened(path), []
    while len(times) != most and capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC))
    if not times:
        raise ValueError(f'{path} has no frame that can be decoded')
    return times

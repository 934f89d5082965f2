"""The one protocol that every source of driving data speaks."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from semdepth_ros.geometry.camera import Camera


@dataclass(frozen=True)
class Sample:
    """One image of a sequence with whatever truth its source has; parts that are not known are None.

    :param name: name of the image within its sequence
    :param image: uint8 [H, W, 3], rgb
    :param camera: intrinsics of exactly this image
    :param stamp_ns: time of exposure [ns]
    :param depth: true depth along Z, float32 [H, W] m; NaN no truth, +inf sky
    :param labels: true classes, uint8 [H, W] train ids, 255 unlabelled
    :param noisy_labels, noisy_confidence: classes by some network, uint8 [H, W], and its confidence 0-255
    :param pose: camera-to-world, float64 [4, 4] m
    """

    name: str
    image: np.ndarray
    camera: Camera | None = None
    stamp_ns: int = 0
    depth: np.ndarray | None = None
    labels: np.ndarray | None = None
    noisy_labels: np.ndarray | None = None
    noisy_confidence: np.ndarray | None = None
    pose: np.ndarray | None = None


class Sequence(Protocol):
    """Consecutive frames of one camera, in the order of time.

    :param stamps_ns: time of each frame [ns], known without reading it
    :param poses: camera-to-world [4, 4] m of each frame, likewise; None, or None for a frame, where it is not known
    """

    name: str
    camera: Camera | None
    stamps_ns: list[int] | np.ndarray
    poses: list[np.ndarray | None] | np.ndarray | None

    def __len__(self) -> int:
        """Return the number of frames."""

    def __getitem__(self, index: int) -> Sample:
        """Read one frame; raise IndexError beyond the end."""

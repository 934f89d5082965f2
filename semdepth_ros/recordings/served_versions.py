"""Which weights answered which frame of a recording: by what was said, and by what the outputs themselves show."""
from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Perception, Scale
from semdepth_ros.perception import Perceptor


@dataclass(frozen=True)
class Told:
    """One ModelInfo: from the image of this stamp [ns] on this version answers; its file's name and SHA-256 (hex)."""

    stamp_ns: int
    version: int
    file: str = ''
    sha256: str = ''


def answered_by(stamps_ns: Collection[int], told: Sequence[Told], before: int = 0) -> dict[int, int]:
    """Return the version that answered each frame of one way through a drive.

    :param stamps_ns: of the frames that were answered
    :param told: in the order in which it came
    :param before: the version that was served when the drive began
    :raises ValueError: something was said that no frame bears out: of another file of the same version, or of a first
        image that was never answered
    """
    files: dict[int, str] = {}
    for one in told:
        if files.setdefault(one.version, one.sha256) != one.sha256:
            raise ValueError(f'version {one.version} is said to be {one.sha256[:12]} and {files[one.version][:12]}')
        if one.stamp_ns and one.stamp_ns not in stamps_ns:
            raise ValueError(f'version {one.version} is said to begin with the image at {one.stamp_ns} ns, which was '
                             'not answered')
    versions, waiting = {}, list(told)
    for stamp_ns in sorted(stamps_ns):
        while waiting and waiting[0].stamp_ns <= stamp_ns:
            before = waiting.pop(0).version
        versions[stamp_ns] = before
    return versions


def beside_changes(versions: Mapping[int, int]) -> list[int]:
    """Return the stamps of the last frame before and of the first frame after every change of the version."""
    stamps, found = sorted(versions), []
    for one, two in zip(stamps, stamps[1:]):
        if versions[one] != versions[two]:
            found += [one, two]
    return sorted(set(found))


def nearest_version(frame: Frame, perception: Perception, perceptors: Mapping[int, Perceptor]) -> tuple[int, float]:
    """Return the version whose own depth of a frame is nearest to what was published, and how far that is.

    Compared is depth without a scale; far is the mean of |ln depth - ln depth| over pixels that are finite in both.

    :param perceptors: by version, at least one
    """
    far = {}
    for version, perceptor in perceptors.items():
        own = perceptor.perceive(frame, Scale(), np.inf).depth
        both = np.isfinite(own) & np.isfinite(perception.depth)
        far[version] = float(np.abs(np.log(own[both] / perception.depth[both])).mean()) if both.any() else np.inf
    nearest = min(far, key=far.get)
    return nearest, far[nearest]

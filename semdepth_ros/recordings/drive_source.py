"""Where a demonstration's drive comes from: the world, or a recording, folder or video of the user's own."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import logging
from pathlib import Path

from semdepth_ros.bags.bag_path import is_bag
from semdepth_ros.data import Sample, Sequence, open_data, read_camera
from semdepth_ros.data.video import VIDEO_SUFFIXES
from semdepth_ros.recordings.excerpt import copy_beginning
from semdepth_ros.recordings.sequence_bag import write_drive_bag, write_sequence_bag

LOGGER = logging.getLogger(__name__)
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class WorldDrive:
    """What to render: a preset and seed of the world, so many frames of this size [px]."""

    preset: str = 'day'
    seed: int = 7
    frames: int = 100
    size: tuple[int, int] = (640, 192)
    rate_hz: float = 10.0


def render_drive(target: str | Path, drive: WorldDrive, device: str = 'cpu', progress: Progress | None = None) -> None:
    """Render a drive through a test town as a bag."""
    from semdepth_ros.world import Drive, default_camera
    camera = default_camera(drive.preset, drive.size)
    write_drive_bag(target, Drive(drive.preset, drive.seed, drive.frames, camera, drive.rate_hz, device=device),
                    progress=progress)


def bring_drive(target: str | Path, source: str | Path, camera: str | Path | None = None, frames: int | None = None,
                progress: Progress | None = None, image_topic: str | None = None) -> str | None:
    """Write a recording, folder sequence or video as a bag; return the camera's topic in it where source is a bag.

    A video's calibration is camera, else a file camera.json or camera.yaml beside it that has its size.

    :param frames: take only so many from the beginning
    :param image_topic: which camera of a bag
    :raises ValueError: source cannot be read, holds several sequences, or camera or topic does not fit it
    """
    if is_bag(source):
        if camera:
            raise ValueError(f'{source} is a bag, which brings its own camera_info: no calibration is expected')
        return copy_beginning(source, target, frames, image_topic, replace=True, progress=progress).image_topic
    if image_topic:
        raise ValueError(f'{source} is no bag: no image topic is expected')
    sequences = open_data(source, camera=camera or _calibration_beside(Path(source)))
    if len(sequences) != 1:
        raise ValueError(f'{source} holds {len(sequences)} sequences, expected one')
    write_sequence_bag(target, _Beginning(sequences[0], frames), replace=True, progress=progress)
    return None


class _Beginning:
    """The first frames of a sequence."""

    def __init__(self, sequence: Sequence, frames: int | None):
        self._sequence, self.name, self.camera = sequence, sequence.name, sequence.camera
        self._count = min(len(sequence), frames or len(sequence))

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Sample:
        return self._sequence[index]


def _calibration_beside(video: Path) -> Path | None:
    if video.suffix.lower() not in VIDEO_SUFFIXES:
        return None
    for path in (video.with_name('camera.json'), video.with_name('camera.yaml')):
        if path.is_file():
            try:
                open_data(video, camera=read_camera(path))
                return path
            except ValueError as error:
                LOGGER.warning('%s is not used: %s', path, error)
    return None

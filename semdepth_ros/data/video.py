"""Videos as sequences, with the calibration that no video file has."""
from __future__ import annotations

import logging
import os
from pathlib import Path

import cv2
import numpy as np

from semdepth_ros.data.camera_file import read_camera
from semdepth_ros.data.pictures import as_rgb
from semdepth_ros.data.sample import Sample
from semdepth_ros.data.video_decoder import VideoDecoder, opened, presentation_times, rises
from semdepth_ros.geometry.camera import Camera

VIDEO_SUFFIXES = ('.mp4', '.avi', '.mov', '.mkv', '.webm')
DEFAULT_RATE_HZ = 25.0
LOGGER = logging.getLogger(__name__)


class VideoSequence:
    """A video file, decoded as its frames are asked for; quickest in order.

    Frames have the times at which the recording says they are shown: a camera that paused or slowed down did so.

    :param camera: the calibration, or a file with it (see read_camera); None leaves the camera unknown
    :param first_stamp_ns: time of the beginning
    :raises ValueError: no video, or a calibration of another size
    """

    poses = None

    def __init__(self, path: str | Path, camera: Camera | str | Path | None = None, first_stamp_ns: int = 0):
        self.path, self.first_stamp_ns = Path(path), first_stamp_ns
        self.name = self.path.stem
        self.camera = read_camera(camera) if isinstance(camera, (str, Path)) else camera
        times_ms = presentation_times(self.path)
        self._times_ms = times_ms if rises(times_ms) else None
        if self._times_ms is None:
            times_ms = self._counted(len(times_ms))
        self.stamps_ns = [first_stamp_ns + round(time * 1e6) for time in times_ms]
        steps = np.diff(times_ms)
        self.rate_hz = float(1e3 / np.median(steps)) if len(steps) else None
        self._decoder, self._owner = None, None
        self._expect_size()

    def __len__(self) -> int:
        """Return the number of frames that can be decoded."""
        return len(self.stamps_ns)

    def __getitem__(self, index: int) -> Sample:
        """Decode one frame.

        :raises IndexError: beyond the end
        :raises ValueError: the frame is damaged
        """
        if not 0 <= index < len(self):
            raise IndexError(f'frame {index} of {self.path}, which has {len(self)}')
        image = self._decoded(index)
        if image is None:
            raise ValueError(f'{self.path}: frame {index} cannot be decoded')
        return Sample(f'{index:06d}', as_rgb(image, 'bgr'), self.camera, self.stamps_ns[index])

    def __getstate__(self) -> dict:
        """Leave the decoder behind: it belongs to one process."""
        return {**self.__dict__, '_decoder': None, '_owner': None}

    def _counted(self, frames: int) -> list[float]:
        """Return the times [ms] of frames that have none, as in AVI: by the container's rate.

        OpenCV before 4.7 does not know those of frames that are stored in another order than they are shown.
        """
        rate_hz = opened(self.path).get(cv2.CAP_PROP_FPS)
        rate_hz = rate_hz if 0 < rate_hz < 1000 else DEFAULT_RATE_HZ
        LOGGER.warning('%s: no rising times of its frames are to be had from OpenCV %s, so they are taken to be %.4g a '
                       'second', self.path, cv2.__version__, rate_hz)
        return [1e3 * index / rate_hz for index in range(frames)]

    def _decoded(self, index: int) -> np.ndarray | None:
        if self._decoder is None or self._owner != os.getpid():
            self._decoder, self._owner = VideoDecoder(self.path, self._times_ms), os.getpid()
        return self._decoder.read(index)

    def _expect_size(self) -> None:
        image = self._decoded(0)
        height, width = image.shape[:2] if image is not None else (0, 0)
        if self.camera and (self.camera.width, self.camera.height) != (width, height):
            raise ValueError(f'{self.path} is {width}x{height}, but its calibration is for '
                             f'{self.camera.width}x{self.camera.height}')

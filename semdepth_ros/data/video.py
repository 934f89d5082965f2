"""Videos as sequences, with the calibration that no video file has."""
from __future__ import annotations

import os
from pathlib import Path

import cv2

from semdepth_ros.data.camera_file import read_camera
from semdepth_ros.data.pictures import as_rgb
from semdepth_ros.data.sample import Sample
from semdepth_ros.geometry.camera import Camera

VIDEO_SUFFIXES = ('.mp4', '.avi', '.mov', '.mkv', '.webm')


class VideoSequence:
    """A video file, decoded as its frames are asked for; quickest in order.

    :param camera: the calibration, or a file with it (see read_camera); None leaves the camera unknown
    :param first_stamp_ns: time of the first frame; the others follow at the video's rate
    :raises ValueError: no video, or a calibration of another size
    """

    poses = None

    def __init__(self, path: str | Path, camera: Camera | str | Path | None = None, first_stamp_ns: int = 0):
        self.path, self.first_stamp_ns = Path(path), first_stamp_ns
        self.name = self.path.stem
        self.camera = read_camera(camera) if isinstance(camera, (str, Path)) else camera
        self._capture, self._owner, self._next = None, None, 0
        capture = self._opened()
        self.rate_hz = capture.get(cv2.CAP_PROP_FPS)
        if not self.rate_hz > 0:
            raise ValueError(f'{path} says it has {self.rate_hz} frames a second, expected a video')
        self._expect_size(int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
        self._count = self._counted(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def __len__(self) -> int:
        """Return the number of frames that can be decoded."""
        return self._count

    def __getitem__(self, index: int) -> Sample:
        """Decode one frame.

        :raises IndexError: beyond the end
        :raises ValueError: the frame is damaged
        """
        if not 0 <= index < self._count:
            raise IndexError(f'frame {index} of {self.path}, which has {self._count}')
        image = self._decoded(index)
        if image is None:
            raise ValueError(f'{self.path}: frame {index} cannot be decoded')
        return Sample(f'{index:06d}', as_rgb(image, 'bgr'), self.camera, self._stamp(index))

    @property
    def stamps_ns(self) -> list[int]:
        """The stamps of the frames [ns]."""
        return [self._stamp(index) for index in range(len(self))]

    def __getstate__(self) -> dict:
        """Leave the decoder behind: it belongs to one process."""
        return {**self.__dict__, '_capture': None, '_owner': None}

    def _stamp(self, index: int) -> int:
        return self.first_stamp_ns + round(index * 1e9 / self.rate_hz)

    def _opened(self) -> cv2.VideoCapture:
        if self._capture is None or self._owner != os.getpid():
            self._capture, self._owner, self._next = cv2.VideoCapture(str(self.path)), os.getpid(), 0
            if not self._capture.isOpened():
                raise ValueError(f'{self.path} cannot be opened as a video')
        return self._capture

    def _decoded(self, index: int):
        capture = self._opened()
        if index != self._next:
            capture.set(cv2.CAP_PROP_POS_FRAMES, index)
        done, image = capture.read()
        self._next = index + 1
        return image if done else None

    def _counted(self, claimed: int) -> int:
        """Containers may claim frames that are not there, so the last is tried and, failing that, all are counted."""
        if claimed > 0 and self._decoded(claimed - 1) is not None:
            return claimed
        self._capture, count = None, 0
        while self._opened().grab():
            count += 1
        self._capture = None
        if not count:
            raise ValueError(f'{self.path} has no frame that can be decoded')
        return count

    def _expect_size(self, width: int, height: int) -> None:
        if self.camera and (self.camera.width, self.camera.height) != (width, height):
            raise ValueError(f'{self.path} is {width}x{height}, but its calibration is for '
                             f'{self.camera.width}x{self.camera.height}')

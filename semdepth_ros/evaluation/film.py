"""What was perceived, frame by frame, as a film and as one picture."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from semdepth_ros.data import Sample
from semdepth_ros.data.pictures import write_picture
from semdepth_ros.evaluation.depth_evaluation import resized_nearest
from semdepth_ros.evaluation.pictures import cloud_picture, contact_sheet, depth_picture, fitting_range, overlay_picture
from semdepth_ros.frame_perception import Perception

WIDTH = 640
# fourcc: browsers and players take VP9 in MP4, players MPEG-4; OpenCV's wheels have no encoder for H.264
CODECS = ('vp09', 'mp4v')


class Film:
    """Writes an MP4 file of image, classes, depth and cloud; a context manager.

    The file is there when the context is left without an error.

    :param rate_hz: frames a second
    """

    def __init__(self, path: str | Path, rate_hz: float):
        self.path, self.rate_hz = Path(path), rate_hz
        self._partial = self.path.with_name(f'.{self.path.stem}.partial{self.path.suffix}')
        self._writer, self._size, self._range = None, None, None

    def __enter__(self) -> Film:
        return self

    def __exit__(self, kind, error, trace) -> None:
        if self._writer:
            self._writer.release()
            if kind is None:
                self._partial.replace(self.path)
        self._partial.unlink(missing_ok=True)

    def add(self, sample: Sample, perception: Perception) -> np.ndarray:
        """Add one frame; return its picture, rgb uint8.

        :raises OSError: OpenCV has none of the encoders
        """
        self._range = self._range or fitting_range(perception.depth)
        picture = self._draw(sample, perception)
        if self._writer is None:
            self._size = (picture.shape[1] // 2 * 2, picture.shape[0] // 2 * 2)
            self._writer = _opened(self._partial, self.rate_hz, self._size)
        width, height = self._size
        self._writer.write(np.ascontiguousarray(picture[:height, :width, ::-1]))
        return picture

    def _draw(self, sample: Sample, perception: Perception) -> np.ndarray:
        height, width = (round(n * min(1.0, WIDTH / sample.image.shape[1])) for n in sample.image.shape[:2])
        image = cv2.resize(sample.image, (width, height), interpolation=cv2.INTER_AREA)
        labels, depth = (resized_nearest(a, (height, width)) for a in (perception.labels, perception.depth))
        classes = overlay_picture(image, labels)
        tiles = [('image', image), ('classes', classes), ('depth', depth_picture(depth, self._range))]
        if perception.camera:
            camera = perception.camera.scaled(width, height)
            size = (WIDTH, round(WIDTH * tiles[-1][1].shape[0] / tiles[-1][1].shape[1]))
            tiles.append(('cloud', cloud_picture(depth, camera, classes, size)))
        return contact_sheet(tiles, columns=2, width=WIDTH)


def write_preview(path: str | Path, pictures: list[np.ndarray]) -> None:
    """Write film frames of equal width below each other as one PNG."""
    write_picture(Path(path), np.vstack(pictures))


def _opened(path: Path, rate_hz: float, size: tuple[int, int]) -> cv2.VideoWriter:
    for codec in CODECS:
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate_hz, size)
        if writer.isOpened():
            return writer
    raise OSError(f'{path} cannot be written: OpenCV has no encoder for {" or ".join(CODECS)}')

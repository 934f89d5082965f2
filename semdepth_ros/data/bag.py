"""Bags as sequences: MCAP and SQLite, without ROS."""
from __future__ import annotations

from collections.abc import Iterable
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

from semdepth_ros.bags.bag_reader import BagReader
from semdepth_ros.bags.bag_topics import BagTopics, is_rectified
from semdepth_ros.bags.recorded_camera import bit_depth, camera_infos, recorded_topics
from semdepth_ros.bags.recorded_frames import RecordedFrame, messages_of, recorded_frames
from semdepth_ros.bags.recorded_transforms import static_transforms
from semdepth_ros.bit_depth import AUTOMATIC
from semdepth_ros.classes import expect_train_ids
from semdepth_ros.data.bag_motion import CameraTrack
from semdepth_ros.data.folder import PARTS
from semdepth_ros.data.pictures import as_rgb
from semdepth_ros.data.sample import Sample
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.camera_infos import camera_of
from semdepth_ros.image_messages import bytes_of, depth_of, view_message

_LOG = logging.getLogger(__name__)


class BagSequence:
    """The images of one camera in a rosbag2 recording, with the truth that carries exactly their stamps.

    The bag is read through once when opened, for the stamps of its messages, and then frame by frame. Every image has
    the camera of its own camera_info, as CameraInfos finds it; `camera` is that of the first image that has one. Poses
    come from odometry (interpolated) and the static transforms between vehicle and camera. `size` is width and height
    [px] of the first image that can be read. `camera_in_base` is the camera's pose in the frame that odometry moves, float64
    [4, 4] m, None where there is no odometry or no static transform between them.

    :param path: a .mcap or .db3 file, or rosbag2's folder
    :param image_topic: which camera; by default the one that choose_topics finds
    :param parts: which of PARTS to read; the others stay None
    :param image_bits: how many of 16 bits the images use; 0 tells it by the first images
    :param topics: names for camera_info, odometry, depth, labels, noisy_labels, noisy_confidence where they differ from
        semdepth's own bags
    :raises ValueError: no bag, a damaged one, or topics that are not there or contradict each other
    """

    def __init__(self, path: str | Path, image_topic: str | None = None, parts: Iterable[str] = PARTS,
                 image_bits: int = AUTOMATIC, **topics: str | None):
        self.path = Path(path)
        self.name = self.path.stem
        self._reader: BagReader | None = None
        self._owner: int | None = None  # process whose open file the reader is
        self._told: set[str] = set()
        reader = self._opened()
        self.topics: BagTopics = recorded_topics(reader, image_topic, **topics)
        self._types = {t.name: t.type for t in reader.topics.values()}
        self._truth = {part: topic for part, topic in self.topics.truth.items() if part in tuple(parts)}
        self._frames = recorded_frames(reader, self.topics.image, list(self._truth.values()))
        self.rate_hz = _rate(self.stamps_ns)
        self._depth = bit_depth(reader, reader.topics[self.topics.image], image_bits).fixed()
        self._infos = camera_infos(reader, self.topics, is_rectified(self.topics.image))
        self._read_first_image()
        self.camera_in_base: np.ndarray | None = None
        self._track = self._read_motion()
        self._close()

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._frames)

    @property
    def stamps_ns(self) -> list[int]:
        """The times of the images [ns]: in order, unless the clock was set back between two drives."""
        return [frame.time_ns for frame in self._frames]

    def __getitem__(self, index: int) -> Sample:
        """Read one image and its parts.

        :raises IndexError: beyond the end
        :raises ValueError: a message is damaged, or a part's size contradicts the image
        """
        frame = self._frames[index]
        found = self._messages_of(frame)
        image = self._image(found[self.topics.image])
        truth = {part: self._part(part, found[topic], image.shape[:2])
                 for part, topic in self._truth.items() if topic in found}
        return Sample(f'{index:06d}', image, self._camera(*image.shape[1::-1], frame.time_ns), frame.time_ns,
                      pose=self._pose(frame), **truth)

    @property
    def poses(self) -> list[np.ndarray | None]:
        """The camera's poses [4, 4] m at the images, in the odometry's frame; None where it says nothing."""
        return [self._pose(frame) for frame in self._frames]

    @property
    def is_distorted(self) -> bool:
        """Whether any of its cameras is."""
        return any(camera.is_distorted for camera in self._cameras())

    @property
    def frames_with_truth(self) -> list[int]:
        """The frames that have true depth or true labels."""
        topics = {self._truth[part] for part in ('depth', 'labels') if part in self._truth}
        return [i for i, frame in enumerate(self._frames) if topics & frame.places.keys()]

    def __getstate__(self) -> dict:
        """Leave the open file behind: it belongs to one process."""
        return {**self.__dict__, '_reader': None, '_owner': None}

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader = None

    def _opened(self) -> BagReader:
        if self._reader is None or self._owner != os.getpid():
            self._reader, self._owner = BagReader(self.path).open(), os.getpid()
        return self._reader

    def _messages_of(self, frame: RecordedFrame) -> dict[str, Any]:
        reader = self._opened()
        return {topic: reader.deserialize(data, self._types[topic]) for topic, data in messages_of(reader, frame)}

    def _pose(self, frame: RecordedFrame) -> np.ndarray | None:
        return self._track.at(frame.drive, frame.time_ns) if self._track else None

    def _camera(self, width: int, height: int, time_ns: int) -> Camera | None:
        """Return the camera of an image, None where there is none that fits, which is said once."""
        try:
            return self._infos.camera(width, height, time_ns)
        except ValueError as error:
            if str(error) not in self._told:
                self._told.add(str(error))
                _LOG.warning('%s: %s: %s; images go on, without metric geometry', self.path, self.topics.camera_info,
                             error)
            return None

    def _cameras(self) -> list[Camera]:
        found = []
        for calibration in self._infos.calibrations:
            try:
                found.append(camera_of(calibration, *self.size, is_rectified(self.topics.image)))
            except ValueError:
                continue
        return found

    def _read_first_image(self) -> None:
        """Note size and camera of the first image that can be read, and of the bag."""
        first_error = None
        for frame in self._frames:
            try:
                height, width = self._image(self._messages_of(frame)[self.topics.image]).shape[:2]
            except ValueError as error:
                first_error = first_error or error
                continue
            self.size = width, height
            self.camera: Camera | None = self._camera(width, height, frame.time_ns) or next(iter(self._cameras()), None)
            return
        raise first_error

    def _read_motion(self) -> CameraTrack | None:
        if self.topics.odometry is None:
            return None
        reader = self._opened()
        frame_id = self._messages_of(self._frames[0])[self.topics.image].header.frame_id
        odometry = [(time_ns, reader.deserialize(data, topic.type))
                    for topic, time_ns, data in reader.messages([self.topics.odometry])]
        base = odometry[0][1].child_frame_id
        mount = static_transforms(reader).lookup(base, frame_id)
        if mount is None:
            _LOG.warning('%s: no static transform leads from %r to %r, so its odometry gives no camera poses',
                         self.path, base, frame_id)
            return None
        self.camera_in_base = mount
        return self._track_of(odometry, mount)

    def _track_of(self, odometry: list[tuple[int, Any]], mount: np.ndarray) -> CameraTrack:
        recorded = [[] for _ in range(self._frames[-1].drive + 1)]
        for frame in self._frames:
            recorded[frame.drive].append(frame.places[self.topics.image].recorded_ns)
        track = CameraTrack(odometry, mount, recorded)
        if track.damaged:
            _LOG.warning('%s: %d of %d messages of %s hold no pose and are left out', self.path, track.damaged,
                         len(odometry), self.topics.odometry)
        times = self.stamps_ns
        if track.span_ns and not any(track.at(frame.drive, frame.time_ns) is not None for frame in self._frames):
            (first, last), begin, end = track.span_ns, min(times), max(times)
            _LOG.warning('%s: %s is stamped %.3f to %.3f s, but the images %.3f to %.3f s: on another clock it gives '
                         'no camera poses', self.path, self.topics.odometry, first * 1e-9, last * 1e-9, begin * 1e-9,
                         end * 1e-9)
        return track

    def _image(self, message: Any) -> np.ndarray:
        try:
            return as_rgb(*view_message(message, self._depth))
        except ValueError as error:
            raise ValueError(f'{self.path}: {self.topics.image}: {error}') from None

    def _part(self, part: str, message: Any, size: tuple[int, int]) -> np.ndarray:
        topic = self._truth[part]
        try:
            array = depth_of(message) if part == 'depth' else bytes_of(message)
            if part in ('labels', 'noisy_labels'):
                expect_train_ids(array)
        except ValueError as error:
            raise ValueError(f'{self.path}: {topic}: {error}') from None
        if array.shape != size:
            raise ValueError(f'{self.path}: {topic} is {array.shape[1]}x{array.shape[0]}, but its image is '
                             f'{size[1]}x{size[0]}')
        return array


def _rate(stamps_ns: list[int]) -> float | None:
    steps = np.diff(stamps_ns)
    median_ns = float(np.median(steps)) if len(steps) else 0.0
    return 1e9 / median_ns if median_ns > 0 else None

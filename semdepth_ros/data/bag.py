"""Bags as sequences: MCAP and SQLite, read with the rosbags library, without ROS."""
from __future__ import annotations

import logging
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import apsw
import numpy as np
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.rosbag2 import ReaderError
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_typestore

from semdepth_ros import image_encodings
from semdepth_ros.classes import expect_train_ids
from semdepth_ros.data.bag_motion import CameraMount, CameraTrack
from semdepth_ros.data.bag_topics import COMPRESSED, BagTopics, choose_topics, is_rectified
from semdepth_ros.data.folder import PARTS
from semdepth_ros.data.pictures import as_rgb
from semdepth_ros.data.recording_order import drives
from semdepth_ros.data.sample import Sample
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.camera_info import camera_from_info

_BROKEN = (ReaderError, AnyReaderError, SerdeError, struct.error, AssertionError, TypeError, KeyError, EOFError,
           apsw.Error)
_LOG = logging.getLogger(__name__)


class BagSequence:
    """The images of one camera in a rosbag2 recording, with the truth that carries exactly their stamps.

    The bag is read through once when opened, for the stamps of its messages, and then frame by frame. Poses come from
    odometry (interpolated) and the static transforms between vehicle and camera; the camera from the first camera_info.
    `size` is width and height [px] of the first image that can be read.

    :param path: a .mcap or .db3 file, or rosbag2's folder
    :param image_topic: which camera; by default the first that has a camera_info beside it
    :param parts: which of PARTS to read; the others stay None
    :param topics: names for camera_info, odometry, depth, labels, noisy_labels, noisy_confidence where they differ from
        semdepth's own bags
    :raises ValueError: no bag, a damaged one, or topics that are not there or contradict each other
    """

    def __init__(self, path: str | Path, image_topic: str | None = None, parts: Iterable[str] = PARTS,
                 **topics: str | None):
        self.path = Path(path)
        self.name = self.path.stem
        self.rate_hz = None
        self._reader, self._owner = None, None
        self._types = {c.topic: c.msgtype for c in self._opened().connections if c.msgcount}
        try:
            self.topics: BagTopics = choose_topics(self._types, image_topic, **topics)
        except ValueError as error:
            raise ValueError(f'{path}: {error}') from None
        self._truth = {part: topic for part, topic in self.topics.truth.items() if part in tuple(parts)}
        self._read_stamps()
        self.size = self._read_size()
        self._read_camera()
        self._track = self._read_motion()
        self._close()

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._frames)

    @property
    def stamps_ns(self) -> list[int]:
        """The stamps of the images [ns]: in order, unless the clock was set back between two drives."""
        return list(self._frames)

    def __getitem__(self, index: int) -> Sample:
        """Read one image and its parts.

        :raises IndexError: beyond the end
        :raises ValueError: a message is damaged, or its size contradicts the camera or the image
        """
        stamp_ns = self._frames[index]
        found = self._messages_of(stamp_ns)
        image = self._image(found[self.topics.image])
        if self.camera and image.shape[:2] != (self.camera.height, self.camera.width):
            raise ValueError(f'{self.path}: an image is {image.shape[1]}x{image.shape[0]}, but the camera_info is for '
                             f'{self.camera.width}x{self.camera.height}')
        truth = {part: self._part(part, found[topic], image.shape[:2])
                 for part, topic in self._truth.items() if topic in found}
        pose = self._track.at(stamp_ns) if self._track else None
        return Sample(f'{index:06d}', image, self.camera, stamp_ns, pose=pose, **truth)

    @property
    def poses(self) -> list[np.ndarray | None]:
        """The camera's poses [4, 4] m at the images, in the odometry's frame; None where it says nothing."""
        return [self._track.at(stamp_ns) if self._track else None for stamp_ns in self._frames]

    @property
    def frames_with_truth(self) -> list[int]:
        """The frames that have true depth or true labels."""
        topics = {self._truth[part] for part in ('depth', 'labels') if part in self._truth}
        return [i for i, stamp_ns in enumerate(self._frames) if topics & self._recorded[stamp_ns].keys()]

    def __getstate__(self) -> dict:
        """Leave the open file behind: it belongs to one process."""
        return {**self.__dict__, '_reader': None, '_owner': None}

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader = None

    def _opened(self) -> AnyReader:
        if self._reader is None or self._owner != os.getpid():
            try:
                self._reader = AnyReader([self.path], default_typestore=get_typestore(Stores.ROS2_KILTED))
                self._reader.open()
            except (*_BROKEN, OSError) as error:
                raise self._broken(error) from None
            self._owner = os.getpid()
        return self._reader

    def _messages(self, topics: Iterable[str], start: int | None = None, stop: int | None = None
                  ) -> Iterator[tuple[str, int, bytes]]:
        """Yield topic, time of recording and bytes, start <= time < stop."""
        wanted = set(topics)
        reader = self._opened()
        connections = [c for c in reader.connections if c.topic in wanted]
        try:
            for connection, time_ns, data in reader.messages(connections, start, stop) if connections else ():
                yield connection.topic, time_ns, data
        except _BROKEN as error:
            raise self._broken(error) from None

    def _deserialized(self, topic: str, data: bytes) -> Any:
        try:
            return self._opened().deserialize(data, self._types[topic])
        except _BROKEN as error:
            raise ValueError(f'{self.path}: a message of {topic} is damaged: {_line(error)}') from None

    def _stamp(self, topic: str, data: bytes) -> int:
        try:
            return stamp_of(data)
        except (struct.error, IndexError):
            raise ValueError(f'{self.path}: a message of {topic} is damaged: it has {len(data)} bytes, too few for a '
                             f'header') from None

    def _read_stamps(self) -> None:
        """Note when every image and every truth of its stamp was recorded."""
        image, recorded, stamps, images = self.topics.image, {}, {}, 0
        for topic, time_ns, data in self._messages([image, *self._truth.values()]):
            stamp_ns = self._stamp(topic, data)
            recorded.setdefault(stamp_ns, {}).setdefault(topic, time_ns)
            if topic == image:
                stamps[stamp_ns], images = None, images + 1
        self._recorded = {stamp: times for stamp, times in recorded.items() if image in times}
        stamps = list(stamps)
        self._drives = [[stamps[i] for i in drive] for drive in drives(stamps)]
        self._frames = [stamp_ns for drive in self._drives for stamp_ns in drive]
        if len(self._drives) > 1:
            _LOG.warning('%s: the stamps of %s are set back %d times; its drives follow each other as recorded',
                         self.path, image, len(self._drives) - 1)
        if len(self._frames) < images:
            _LOG.warning('%s: %d images of %s carry only %d stamps; the first image of each is used', self.path, images,
                         image, len(self._frames))
        for part, topic in self._truth.items():
            if not any(topic in times for times in self._recorded.values()):
                raise ValueError(f'{self.path}: no message of {topic} has the stamp of an image of {image}')
        if len(self._frames) > 1:
            median_ns = float(np.median(np.diff(self._frames)))
            self.rate_hz = 1e9 / median_ns if median_ns > 0 else None

    def _read_size(self) -> tuple[int, int]:
        """Return width and height [px] of the first image that can be read."""
        first_error = None
        for stamp_ns in self._frames:
            try:
                height, width = self._image(self._messages_of(stamp_ns)[self.topics.image]).shape[:2]
                return width, height
            except ValueError as error:
                first_error = first_error or error
        raise first_error

    def _read_camera(self) -> None:
        self.camera: Camera | None = None
        if self.topics.camera_info is None:
            return
        _, _, data = next(self._messages([self.topics.camera_info]))
        try:
            self.camera = camera_from_info(self._deserialized(self.topics.camera_info, data), *self.size,
                                           is_rectified(self.topics.image))
        except ValueError as error:
            raise ValueError(f'{self.path}: {error}') from None

    def _read_motion(self) -> CameraTrack | None:
        if self.topics.odometry is None:
            return None
        frame_id = self._deserialized(self.topics.image, self._messages_of(self._frames[0])[self.topics.image]
                                      ).header.frame_id
        transforms = [t for topic, _, data in self._messages(['/tf_static', 'tf_static'])
                      for t in self._deserialized(topic, data).transforms]
        odometry = [(time_ns, self._deserialized(topic, data))
                    for topic, time_ns, data in self._messages([self.topics.odometry])]
        base = odometry[0][1].child_frame_id
        try:
            mount = CameraMount(transforms).camera_in(base, frame_id)
        except ValueError as error:
            raise ValueError(f'{self.path}: a static transform is none: {error}') from None
        if mount is None:
            _LOG.warning('%s: no static transform leads from %r to %r, so its odometry gives no camera poses',
                         self.path, base, frame_id)
            return None
        images = [{stamp: self._recorded[stamp][self.topics.image] for stamp in drive} for drive in self._drives]
        track = CameraTrack(odometry, mount, images)
        if track.damaged:
            _LOG.warning('%s: %d of %d messages of %s hold no pose and are left out', self.path, track.damaged,
                         len(odometry), self.topics.odometry)
        return track

    def _messages_of(self, stamp_ns: int) -> dict[str, bytes]:
        times = self._recorded[stamp_ns]
        return {topic: data for topic, time_ns, data in
                self._messages(times, min(times.values()), max(times.values()) + 1)
                if times[topic] == time_ns and self._stamp(topic, data) == stamp_ns}

    def _image(self, data: bytes) -> np.ndarray:
        topic = self.topics.image
        message = self._deserialized(topic, data)
        try:
            if self._types[topic] == COMPRESSED:
                return as_rgb(*image_encodings.decompress(message.data))
            image, layout = _viewed(message)
            if layout == 'float32':
                raise ValueError(f'image encoding is {message.encoding!r}, expected a camera image such as rgb8')
            return as_rgb(image, layout)
        except ValueError as error:
            raise ValueError(f'{self.path}: {topic}: {error}') from None

    def _part(self, part: str, data: bytes, size: tuple[int, int]) -> np.ndarray:
        topic = self._truth[part]
        message = self._deserialized(topic, data)
        try:
            array = _depth(message) if part == 'depth' else _bytes(message)
            if part in ('labels', 'noisy_labels'):
                expect_train_ids(array)
        except ValueError as error:
            raise ValueError(f'{self.path}: {topic}: {error}') from None
        if array.shape != size:
            raise ValueError(f'{self.path}: {topic} is {array.shape[1]}x{array.shape[0]}, but its image is '
                             f'{size[1]}x{size[0]}')
        return array

    def _broken(self, error: Exception) -> ValueError:
        return ValueError(f'bag {self.path} cannot be read: {_line(error)}')


def stamp_of(data: bytes) -> int:
    """Return the stamp [ns] of a serialised message that begins with a header; nothing else is unpacked."""
    seconds, nanoseconds = struct.unpack_from('<iI' if data[1] else '>iI', data, 4)
    return seconds * 1_000_000_000 + nanoseconds


def _viewed(message: Any) -> tuple[np.ndarray, str]:
    return image_encodings.view(message.data, message.height, message.width, message.step, message.encoding,
                                bool(message.is_bigendian))


def _depth(message: Any) -> np.ndarray:
    return image_encodings.depth_view(message.data, message.height, message.width, message.step, message.encoding,
                                      bool(message.is_bigendian))


def _bytes(message: Any) -> np.ndarray:
    array, layout = _viewed(message)
    if layout != 'mono8':
        raise ValueError(f'image encoding is {message.encoding!r}, expected mono8')
    return array


def _line(error: Exception) -> str:
    return ' '.join(str(error).split()) or type(error).__name__

"""Drives and sequences as bags: what a robot with this camera would have recorded, and the truth beside it."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from semdepth_ros.bags.bag_writer import BagWriter
from semdepth_ros.bridge.camera_info import make_camera_info
from semdepth_ros.bridge.images import make_depth_image, make_image
from semdepth_ros.bridge.messages import make_header
from semdepth_ros.bridge.transforms import BODY_FROM_OPTICAL, make_odometry, make_transforms
from semdepth_ros.data.sample import Sample, Sequence
from semdepth_ros.geometry.camera import Camera

IMAGE, CAMERA_INFO, ODOMETRY, CLOCK = '/image', '/camera_info', '/odometry', '/clock'
TRUE_DEPTH, TRUE_LABELS = '/truth/depth/image', '/truth/semantic/image'
NOISY_LABELS, NOISY_CONFIDENCE = '/noisy/semantic/image', '/noisy/semantic/confidence'
ODOM, BASE, OPTICAL = 'odom', 'base_link', 'camera_optical'
JPEG_QUALITY = 95
FIRST_STAMP_NS = 1_000_000_000  # a clock at zero means "no time yet" in ROS, so nothing is stamped before this
Progress = Callable[[int, int], None]


def write_drive_bag(path: str | Path, drive: Any, compressed: bool = False, replace: bool = True,
                    progress: Progress | None = None, batch: int = 8) -> None:
    """Write a semdepth_ros.world.Drive as a bag: image, camera_info, true depth and labels, odometry, tf, clock.

    :param path: X.mcap, X.db3, or a name without suffix for a rosbag2 folder
    :param compressed: JPEG on /image/compressed instead of rgb8 on /image
    :param replace: whether a bag of this name may be replaced
    :param progress: called with (frames done, frames in all)
    :param batch: frames rendered at once
    """
    with BagWriter(path, replace) as bag:
        for start in range(0, len(drive), batch):
            indices = range(start, min(start + batch, len(drive)))
            for i, frame in zip(indices, drive.render(indices)):
                stamp_ns = frame.stamp_ns + FIRST_STAMP_NS
                _write_clock(bag, stamp_ns)
                _write_poses(bag, stamp_ns, frame.odometry_pose, *frame.odometry_twist,
                             frame.camera_in_base if i == 0 else None)
                _write_image(bag, stamp_ns, frame.image, drive.camera, compressed)
                _write_truth(bag, stamp_ns, frame.depth, frame.labels)
                if progress:
                    progress(i + 1, len(drive))


def write_sequence_bag(path: str | Path, sequence: Sequence, rate_hz: float | None = None, compressed: bool = False,
                       replace: bool = False, progress: Progress | None = None) -> None:
    """Write any sequence as a bag, with the truth and the poses that it knows.

    Poses are the camera's alone, so base_link is put at the camera, in body axes, and odom where it was at the start.
    Time starts at one second where the sequence counts from zero.

    :param rate_hz: frames a second instead of the sequence's own times
    :raises ValueError: rate_hz is not positive, or a camera's size is not its image's
    """
    if rate_hz is not None and not rate_hz > 0:
        raise ValueError(f'rate is {rate_hz} Hz, expected a positive number')
    with BagWriter(path, replace) as bag:
        offset, before = 0, None
        for i, sample in enumerate(sequence[i] for i in range(len(sequence))):
            stamp_ns = sample.stamp_ns if rate_hz is None else round(i * 1e9 / rate_hz)
            offset = max(0, FIRST_STAMP_NS - stamp_ns) if i == 0 else offset
            stamp_ns += offset
            _expect_size(sample)
            _write_clock(bag, stamp_ns)
            if sample.pose is not None:
                before = _write_camera_pose(bag, stamp_ns, sample.pose, before)
            _write_image(bag, stamp_ns, sample.image, sample.camera, compressed)
            _write_truth(bag, stamp_ns, sample.depth, sample.labels)
            for topic, array in ((NOISY_LABELS, sample.noisy_labels), (NOISY_CONFIDENCE, sample.noisy_confidence)):
                if array is not None:
                    _write_array(bag, topic, stamp_ns, array, 'mono8')
            if progress:
                progress(i + 1, len(sequence))


def _write_clock(bag: BagWriter, stamp_ns: int) -> None:
    stamp = make_header(bag.types, stamp_ns, '').stamp
    bag.write(CLOCK, bag.types.make('rosgraph_msgs/msg/Clock', clock=stamp), stamp_ns)


def _write_image(bag: BagWriter, stamp_ns: int, image: np.ndarray, camera: Camera | None, compressed: bool) -> None:
    header = make_header(bag.types, stamp_ns, OPTICAL)
    if camera:
        bag.write(CAMERA_INFO, make_camera_info(bag.types, header, camera), stamp_ns)
    if not compressed:
        bag.write(IMAGE, make_image(bag.types, header, image, 'rgb8'), stamp_ns)
        return
    data = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    # The format's words are those of compressed_image_transport.
    message = bag.types.make('sensor_msgs/msg/CompressedImage', header=header, format='rgb8; jpeg compressed bgr8',
                             data=data.reshape(-1))
    bag.write(f'{IMAGE}/compressed', message, stamp_ns)


def _write_truth(bag: BagWriter, stamp_ns: int, depth: np.ndarray | None, labels: np.ndarray | None) -> None:
    if depth is not None:
        header = make_header(bag.types, stamp_ns, OPTICAL)
        bag.write(TRUE_DEPTH, make_depth_image(bag.types, header, depth), stamp_ns)
    if labels is not None:
        _write_array(bag, TRUE_LABELS, stamp_ns, labels, 'mono8')


def _write_array(bag: BagWriter, topic: str, stamp_ns: int, array: np.ndarray, encoding: str) -> None:
    bag.write(topic, make_image(bag.types, make_header(bag.types, stamp_ns, OPTICAL), array, encoding), stamp_ns)


def _write_poses(bag: BagWriter, stamp_ns: int, base: np.ndarray, speed: float, yaw_rate: float,
                 camera_in_base: np.ndarray | None) -> None:
    """Write odometry and transforms; the camera's place on the vehicle only where it is given."""
    if camera_in_base is not None:
        bag.write('/tf_static', make_transforms(bag.types, stamp_ns, (BASE, OPTICAL, camera_in_base)), stamp_ns,
                  latched=True)
    bag.write('/tf', make_transforms(bag.types, stamp_ns, (ODOM, BASE, base)), stamp_ns)
    header = make_header(bag.types, stamp_ns, ODOM)
    bag.write(ODOMETRY, make_odometry(bag.types, header, BASE, base, speed, yaw_rate), stamp_ns)


def _write_camera_pose(bag: BagWriter, stamp_ns: int, pose: np.ndarray, before: tuple | None) -> tuple:
    """Write a camera-to-world pose as that of a vehicle whose base is the camera; return what the next frame needs."""
    start = pose if before is None else before[2]
    base = BODY_FROM_OPTICAL @ np.linalg.inv(start) @ pose @ BODY_FROM_OPTICAL.T
    speed = yaw_rate = 0.0
    if before is not None and stamp_ns > before[0]:
        seconds, motion = (stamp_ns - before[0]) * 1e-9, np.linalg.inv(before[1]) @ base
        speed, yaw_rate = motion[0, 3] / seconds, np.arctan2(motion[1, 0], motion[0, 0]) / seconds
    _write_poses(bag, stamp_ns, base, speed, yaw_rate, BODY_FROM_OPTICAL if before is None else None)
    return stamp_ns, base, start


def _expect_size(sample: Sample) -> None:
    (height, width), camera = sample.image.shape[:2], sample.camera
    if camera and (camera.width, camera.height) != (width, height):
        raise ValueError(f'camera is {camera.width}x{camera.height}, but image {sample.name} is {width}x{height}')

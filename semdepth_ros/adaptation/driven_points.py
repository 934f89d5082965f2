"""Points whose distance odometry tells, as a drive goes on: each frame is kept until another is seen from far enough."""
from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from semdepth_ros.adaptation.odometry import turn_deg
from semdepth_ros.adaptation.odometry_calibration import (TURN_DEG, WAY_M, SeenPoints, expect_on_lines, off_line,
                                                           points_of_pair, unsteady_classes)
from semdepth_ros.adaptation.tracks import follow
from semdepth_ros.classes import CITYSCAPES, SemanticClass
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Perception
from semdepth_ros.geometry.camera import Camera

APART_M = 0.25          # between frames that are kept


@dataclass(frozen=True)
class View:
    """A frame at one place.

    :param grey: uint8 [H, W]
    :param depth, labels: perceived, depth with the scale 1, [H, W]
    :param intrinsics: [3, 3] px
    :param pose: of the camera, float64 [4, 4] m
    """

    grey: np.ndarray
    depth: np.ndarray
    labels: np.ndarray
    intrinsics: np.ndarray
    pose: np.ndarray


class PlacePairs:
    """Pairs each frame with the first one that is 1 to 4 m away and looks nearly the same way (form ours).

    Of frames in between, one in APART_M is paired too.
    """

    def __init__(self):
        self._waiting: deque[View] = deque()

    def is_apart(self, pose: np.ndarray) -> bool:
        """Return whether a pose is far enough from the last frame's for another one to be taken."""
        return not self._waiting or np.linalg.norm(pose[:3, 3] - self._waiting[-1].pose[:3, 3]) >= APART_M

    def take(self, view: View) -> list[tuple[View, np.ndarray]]:
        """Take a frame; return those that are paired with it, and the motion to it from each, float64 [4, 4] m."""
        paired, still = [], deque()
        for before in self._waiting:
            motion = np.linalg.inv(view.pose) @ before.pose
            way_m = float(np.linalg.norm(view.pose[:3, 3] - before.pose[:3, 3]))
            if way_m < WAY_M[0]:
                still.append(before)
            elif way_m <= WAY_M[1] and turn_deg(motion) <= TURN_DEG:
                paired.append((before, motion))
        still.append(view)
        self._waiting = still
        return paired

    def clear(self) -> None:
        """Forget all frames, as when time or camera has jumped."""
        self._waiting.clear()


class DrivenPoints:
    """Takes one frame after another with its pose, and keeps the points that two of them see."""

    def __init__(self, classes: tuple[SemanticClass, ...] = CITYSCAPES):
        self._unsteady, self._pairs = unsteady_classes(classes), PlacePairs()
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []
        self._off_lines: list[float] = []
        self._place: np.ndarray | None = None
        self.travelled_m, self.pairs = 0.0, 0

    def take(self, frame: Frame, perception: Perception, pose: np.ndarray) -> None:
        """Look at one frame.

        :param perception: of this frame, with a camera
        :param pose: of the camera then, float64 [4, 4] m
        """
        if self._place is not None:
            self.travelled_m += float(np.linalg.norm(pose[:3, 3] - self._place))
        self._place = pose[:3, 3]
        if self._pairs.is_apart(pose):
            view = View(seen_grey(frame, perception.camera), perception.depth / perception.scale.value, perception.labels,
                        perception.camera.matrix, pose)
            for before, motion in self._pairs.take(view):
                self._pair(before, view, motion)

    @property
    def points(self) -> SeenPoints:
        """The points so far.

        :raises ValueError: there are none, in one line that says why
        """
        if not self.pairs:
            raise ValueError(f'no two frames {WAY_M[0]:g} to {WAY_M[1]:g} m apart that look the same way, in '
                             f'{self.travelled_m:.1f} m: drive on, straight ahead')
        expect_on_lines(self._off_lines)
        if not self._parts:
            raise ValueError(f'none of {self.pairs} pairs of frames has enough points that both see and that stand still')
        return SeenPoints(np.concatenate([p for p, _ in self._parts]), np.concatenate([t for _, t in self._parts]),
                          np.concatenate([np.full(len(t), n) for n, (_, t) in enumerate(self._parts)]))

    def _pair(self, before: View, view: View, motion: np.ndarray) -> None:
        tracks = follow(before.grey, view.grey)
        self.pairs += 1
        self._off_lines.append(off_line(tracks, view.intrinsics, motion))
        found = points_of_pair(tracks, motion, view.intrinsics, before.depth, before.labels, self._unsteady)
        if found is not None:
            self._parts.append(found)


def seen_grey(frame: Frame, camera: Camera) -> np.ndarray:
    """Return a frame in grey as a camera sees it, uint8 [height, width] of that camera.

    :param camera: that of what was perceived: rectified where the frame is not, or smaller
    """
    image, layout = frame.image, frame.layout
    if layout == 'mono16':
        image = (image >> 8).astype(np.uint8)
    elif layout != 'mono8':
        code = {'rgb': cv2.COLOR_RGB2GRAY, 'bgr': cv2.COLOR_BGR2GRAY, 'rgba': cv2.COLOR_RGBA2GRAY,
                'bgra': cv2.COLOR_BGRA2GRAY}[layout]
        image = cv2.cvtColor(np.ascontiguousarray(image), code)
    grey = np.ascontiguousarray(image.reshape(frame.height, frame.width))
    if frame.camera is not None and frame.camera.is_distorted and not camera.is_distorted:
        grey = cv2.remap(grey, *_rectification(frame.camera), cv2.INTER_LINEAR)
    if (camera.width, camera.height) != (frame.width, frame.height):
        grey = cv2.resize(grey, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    return grey


@lru_cache(maxsize=2)
def _rectification(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    return camera.rectification()

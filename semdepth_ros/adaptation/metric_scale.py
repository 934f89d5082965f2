"""The metric scale of the factory weights' depth, by all that a learner sees: road, points along the way, odometry."""
from __future__ import annotations

from collections import deque

import numpy as np

from semdepth_ros.adaptation.driven_points import PlacePairs, View
from semdepth_ros.adaptation.factory import Seen
from semdepth_ros.adaptation.network_frame import NetworkFrame
from semdepth_ros.adaptation.odometry_calibration import points_of_pair, unsteady_classes
from semdepth_ros.adaptation.tracks import follow
from semdepth_ros.classes import CITYSCAPES, SemanticClass
from semdepth_ros.frame_perception import Perception, Scale
from semdepth_ros.scale import CameraHeight, Mount
from semdepth_ros.scale.fusion import FusedScale

TRACKS, ODOMETRY = 'tracks', 'odometry'
EVERY, LOOKS, LEAST_LOOKS = 10, 20, 3       # frames in which weights that were promoted are looked at; so many count; at least


class MetricScale:
    """Hands what frames and odometry say to the fusion: the rules are those of scale/fusion.py.

    `camera_height` is the road's height under the known height of the lens, `tracks` the distance of points that two places
    see, by odometry, `odometry` its way between two frames over that of tracked points.

    :param mount: where the camera is; None where only the camera's own height_m says it, if that
    """

    def __init__(self, classes: tuple[SemanticClass, ...] = CITYSCAPES, mount: Mount | None = None):
        self._classes, self._unsteady, self._mount = classes, unsteady_classes(classes), mount
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.fused, self._pairs, self.way_m = FusedScale(), PlacePairs(), 0.0
        self._place: np.ndarray | None = None
        self._served, self._moved = 0, deque(maxlen=LOOKS)

    def cut(self) -> None:
        """Take it that the next frame does not follow on the last one; what is known of the scale stays."""
        self._pairs.clear()
        self._place = None

    def move(self, mount: Mount | None) -> None:
        """Say where the camera is from the next frame on."""
        self._mount = mount

    @property
    def scale(self) -> Scale:
        """The scale of the weights that are served; see FusedScale.scale for the factory's."""
        scale = self.fused.scale
        if not self._served or not scale.sigma:
            return scale
        value = scale.value * float(np.exp(np.median(self._moved or [0.0])))
        sigma = float(np.hypot(scale.sigma / scale.value, np.std(self._moved) if self._moved else 0.0))
        known = len(self._moved) >= LEAST_LOOKS and sigma <= self.fused.rule.lost_sigma
        return Scale(value, value * sigma, scale.metric and known)

    @property
    def doubt(self) -> str:
        """Why it is not metric, in words; empty where it is."""
        looks = len(self._moved)
        if not self.fused.doubt and self._served and looks < LEAST_LOOKS:
            return f'{looks} of the {LEAST_LOOKS} looks that it takes at version {self._served}'
        return self.fused.doubt or ('' if self.scale.metric else 'the weights served differ too much from the factory\'s')

    def is_due(self, number: int, frame: int) -> bool:
        """Return whether the depth of served weights is to be looked at in this frame, to know how far they have moved.

        :param number: of the served version; 0 are the factory weights
        """
        if number != self._served:
            self._served = number
            self._moved.clear()
        return number > 0 and (len(self._moved) < LEAST_LOOKS or frame % EVERY == 0)

    def look(self, factory: np.ndarray, served: np.ndarray) -> None:
        """Compare the depth of one frame by the factory's and by the served weights, [H, W] each."""
        self._moved.append(float(np.median(np.log(factory) - np.log(served))))

    def frame(self, taken: NetworkFrame, seen: Seen) -> None:
        """Look at the next frame.

        :param seen: by the factory weights
        """
        self._know_height(taken)
        depth = np.where(taken.seen.numpy(), seen.depth, np.nan)
        self.fused.observe(Perception(depth, depth, seen.labels, seen.labels, Scale(), 0, taken.camera, taken.stamp_ns, ''))
        if taken.pose is None:
            self.cut()
            return
        if self._place is not None:
            self.way_m += float(np.linalg.norm(taken.pose[:3, 3] - self._place))
        self._place = taken.pose[:3, 3]
        if not self._pairs.is_apart(taken.pose):
            return
        view = View(taken.grey, depth, seen.labels, taken.intrinsics, taken.pose)
        for before, motion in self._pairs.take(view):
            found = points_of_pair(follow(before.grey, view.grey), motion, view.intrinsics, before.depth, before.labels,
                                   self._unsteady)
            if found is not None:
                perceived, true = found
                self.fused.take(TRACKS, taken.stamp_ns / 1e9, self.way_m, [float(np.median(np.log(true / perceived)))])

    def triplet(self, stamp_ns: int, log_scales: list[float]) -> None:
        """Take what odometry's way says between neighbouring frames, whether the learner believes it or not.

        :param log_scales: ln of odometry's way over that of tracked points
        """
        self.fused.take(ODOMETRY, stamp_ns / 1e9, self.way_m, log_scales)

    def _know_height(self, taken: NetworkFrame) -> None:
        mount = self._mount or (Mount(taken.source.height_m) if taken.source.height_m else None)
        if mount is None:
            self.fused.camera_height = None
        elif self.fused.camera_height is None:
            self.fused.camera_height = CameraHeight(mount, self._classes)
        else:
            self.fused.camera_height.move(mount)

"""What three consecutive frames say, worked out as far as somebody asks."""
from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np
import torch

from semdepth_ros.adaptation.factory import Classes, Seen
from semdepth_ros.adaptation.network_frame import NetworkFrame
from semdepth_ros.adaptation.odometry import camera_motion, travel_m
from semdepth_ros.adaptation.odometry_scale import OdometryScale
from semdepth_ros.adaptation.track_motion import TrackMotion, epipolar_px, track_motion, travel_along
from semdepth_ros.adaptation.tracks import Tracks, follow
from semdepth_ros.adaptation.view import gradient
from semdepth_ros.geometry.warping import warp
from semdepth_ros.losses import photometric_error

# Odometry is preferred to tracked points as long as images contradict it no more than so.
_NEARLY, _SLACK_PX = 1.5, 0.15


class Evidence:
    """A target and its neighbours; pairs are (target, previous) and (target, next), motions lead from the target.

    :param frames: previous, target, next
    :param seen: what the factory weights see of the target
    :param classes: of the model
    :param scale: of odometry to the network's own metres
    :param texture_step: see settings.Gates
    """

    def __init__(self, frames: tuple[NetworkFrame, NetworkFrame, NetworkFrame], seen: Seen, classes: Classes,
                 scale: OdometryScale, texture_step: float = 4.0):
        self.previous, self.target, self.following = frames
        self.frames, self.seen, self.scale = frames, seen, scale
        self._classes, self._texture_step = classes, texture_step

    @property
    def sources(self) -> tuple[NetworkFrame, NetworkFrame]:
        """Previous and next."""
        return self.previous, self.following

    @cached_property
    def still(self) -> np.ndarray:
        """Which pixels of the target stand still in the world, bool [H, W]."""
        return ~np.isin(self.seen.labels, self._classes.weak) & self.target.seen.numpy()

    @cached_property
    def movable(self) -> float:
        """The share of the target that may move."""
        seen = self.target.seen.numpy()
        return float(np.isin(self.seen.labels, self._classes.movable)[seen].mean()) if seen.any() else 0.0

    @cached_property
    def texture(self) -> float:
        """The share of the target's pixels with a gradient."""
        return float((gradient(self.target.grey) > self._texture_step).mean())

    @cached_property
    def sharpness(self) -> float:
        """The variance of the target's Laplacian."""
        return float(cv2.Laplacian(self.target.grey, cv2.CV_32F).var())

    @cached_property
    def tracks(self) -> tuple[Tracks, Tracks]:
        """Points of the target found in the previous and in the next frame."""
        return follow(self.target.grey, self.previous.grey), follow(self.target.grey, self.following.grey)

    @cached_property
    def odometry(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        """The motions by odometry [4, 4] m."""
        return tuple(camera_motion(self.target.pose, source.pose) for source in self.sources)

    @property
    def has_odometry(self) -> bool:
        """Whether both motions are known by odometry."""
        return all(motion is not None for motion in self.odometry)

    @cached_property
    def tracked(self) -> tuple[TrackMotion | None, TrackMotion | None]:
        """The motions by tracked points, in the network's own metres."""
        depth, matrix = self.seen.depth, self.target.intrinsics
        return tuple(track_motion(tracks, depth, matrix, self.still) for tracks in self.tracks)

    @cached_property
    def log_scales(self) -> list[float]:
        """ln of odometry's travel over the tracked points' for the pairs that have both.

        Points travel as odometry says where they bear out its direction, else as they say themselves.
        """
        pairs = [(told, self._travel(tracked, told, tracks)) for told, tracked, tracks in
                 zip(self.odometry, self.tracked, self.tracks) if told is not None and tracked is not None]
        return [float(np.log(travel_m(told) / travel)) for told, travel in pairs if travel_m(told) > 1e-6 and travel > 1e-6]

    def bears_out(self, tracks: Tracks, told: np.ndarray, tracked: TrackMotion) -> bool:
        """Return whether points lie as close to the epipolar lines of what odometry says as to those of their own fit."""
        matrix = self.target.intrinsics
        return epipolar_px(tracks, matrix, told) <= epipolar_px(tracks, matrix, tracked.matrix)

    @cached_property
    def motions(self) -> np.ndarray:
        """The reference motions in the network's own metres, float64 [2, 4, 4]; NaN where there is none.

        Odometry's, unless images contradict it as planar odometry is contradicted by a pitching car: then the tracked
        points' with odometry's length; theirs alone where there is no odometry.
        """
        motions = np.full((2, 4, 4), np.nan)
        for i, (told, tracked, tracks) in enumerate(zip(self.odometry, self.tracked, self.tracks)):
            if told is not None and self.scale.ready:
                own = told.copy()
                own[:3, 3] /= self.scale.value
                motions[i] = own
                if tracked is not None and self._contradicted(tracks, own, tracked.matrix):
                    motions[i] = tracked.matrix
                    motions[i, :3, 3] *= travel_m(own) / max(travel_m(tracked.matrix), 1e-9)
            elif tracked is not None and told is None:
                motions[i] = tracked.matrix
        return motions

    @cached_property
    def distance(self) -> np.ndarray:
        """Travel by odometry in the network's own metres, float64 [2]; NaN unknown."""
        known = self.scale.ready
        return np.array([np.nan if motion is None or not known else travel_m(motion) / self.scale.value
                         for motion in self.odometry])

    @cached_property
    def survivors(self) -> float:
        """The share of still pixels that the motions explain better than standing still does."""
        if not np.isfinite(self.motions).all():
            return 0.0
        target = self.target.image[None].float() / 255
        sources = torch.stack([source.image for source in self.sources]).float() / 255
        matrices = torch.from_numpy(self.target.intrinsics.astype(np.float32)).expand(2, 3, 3)
        depth = torch.from_numpy(self.seen.depth)[None, None].expand(2, -1, -1, -1)
        warped, _ = warp(sources, depth, matrices, matrices, torch.from_numpy(self.motions.astype(np.float32)))
        moved = photometric_error(warped[:, None], target).amin(dim=0)[0]
        stood = photometric_error(sources[:, None], target).amin(dim=0)[0]
        return float((moved < stood).numpy()[self.still].mean()) if self.still.any() else 0.0

    def _travel(self, tracked: TrackMotion, told: np.ndarray, tracks: Tracks) -> float:
        if not self.bears_out(tracks, told, tracked):
            return travel_m(tracked.matrix)
        return travel_along(tracks, self.seen.depth, self.target.intrinsics, self.still, told) or 0.0

    def _contradicted(self, tracks: Tracks, told: np.ndarray, tracked: np.ndarray) -> bool:
        matrix = self.target.intrinsics
        return epipolar_px(tracks, matrix, told) > _NEARLY * epipolar_px(tracks, matrix, tracked) + _SLACK_PX

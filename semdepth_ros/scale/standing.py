"""The scale while a camera stands: points that were measured from the lens, or a flat target ahead."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Perception
from semdepth_ros.geometry.camera import Camera

PATCH_PX = 2            # what is perceived at a point is the median this far around it
FRAMES = 10             # that are enough: what is left is the network's own error, which does not average out
UNEVEN = 0.25           # of its distance, by which a target that is flat and square may differ within itself


class MeasuredPoints:
    """Perceived depth, over some frames, of points at known distances.

    :param points: pixel of the image x, y [px] and the distance from the lens, as a tape measure has it [m]
    """

    def __init__(self, points: Sequence[tuple[float, float, float]]):
        self._points, self._seen = tuple(points), []

    @property
    def done(self) -> bool:
        """Whether enough frames have been seen."""
        return len(self._seen) >= FRAMES

    def take(self, frame: Frame, perception: Perception) -> None:
        """Look at one frame.

        :raises ValueError: the camera is not known, or a point is outside the image or without depth
        """
        camera = known_camera(frame)
        self._seen.append([depth_along(perception, camera, x, y) for x, y, _ in self._points])
        self._true = [metres / length(camera, x, y) for x, y, metres in self._points]

    def distances(self) -> tuple[list[float], list[float]]:
        """Return perceived depth, with the scale 1, and true depth along the optical axis [m] of every point.

        :raises ValueError: no frame has been seen
        """
        if not self._seen:
            raise ValueError('no image has come')
        return np.median(self._seen, axis=0).tolist(), self._true


class FlatTarget:
    """Perceived depth of a flat target, square to the camera, over some frames.

    :param metres: from the lens to it, along the optical axis
    :param region: left, top, right, bottom of its part in the image [px]; None for the middle fifth
    """

    def __init__(self, metres: float, region: tuple[float, float, float, float] | None = None):
        self._metres, self._region, self._seen = metres, region, []

    @property
    def done(self) -> bool:
        """Whether enough frames have been seen."""
        return len(self._seen) >= FRAMES

    def take(self, frame: Frame, perception: Perception) -> None:
        """Look at one frame.

        :raises ValueError: the camera is not known, or the target is outside the image, has no depth, or is not flat
        """
        camera = known_camera(frame)
        left, top, right, bottom = self._region or (0.4 * frame.width, 0.4 * frame.height, 0.6 * frame.width,
                                                    0.6 * frame.height)
        corners = np.array([[left, top], [right - 1, bottom - 1]])
        if not ((corners >= 0) & (corners <= [frame.width - 1, frame.height - 1])).all():
            raise ValueError(f'the target at {left:g}, {top:g} to {right:g}, {bottom:g} is outside the image of '
                             f'{frame.width}x{frame.height}')
        (x0, y0), (x1, y1) = pixel_of(perception, camera, corners).round().astype(int)
        depth = perception.depth[max(y0, 0):y1 + 1, max(x0, 0):x1 + 1] / perception.scale.value
        depth = depth[np.isfinite(depth)]
        if not depth.size:
            raise ValueError('the target has no depth: it is seen as sky, or too far')
        middle, (low, high) = float(np.median(depth)), np.quantile(depth, (0.1, 0.9))
        if high - low > UNEVEN * middle:
            raise ValueError(f'the target does not look flat: its depth differs by {100 * (high - low) / middle:.0f} % '
                             f'within {left:g}, {top:g} to {right:g}, {bottom:g}, expected at most {100 * UNEVEN:.0f} %')
        self._seen.append(middle)

    def distances(self) -> tuple[list[float], list[float]]:
        """Return perceived depth, with the scale 1, and true depth [m], one each.

        :raises ValueError: no frame has been seen
        """
        if not self._seen:
            raise ValueError('no image has come')
        return [float(np.median(self._seen))], [self._metres]


def known_camera(frame: Frame) -> Camera:
    """Return a frame's camera.

    :raises ValueError: it is not known
    """
    if frame.camera is None:
        raise ValueError('the camera is not known: no camera_info fits the images')
    return frame.camera


def depth_along(perception: Perception, camera: Camera, x: float, y: float) -> float:
    """Return perceived depth, with the scale 1, at a pixel of the image as it came: the median of a patch.

    :param camera: of the image, distorted or not; what is perceived may be rectified, or smaller
    :raises ValueError: the pixel is outside the image or has no depth
    """
    if not (0 <= x < camera.width and 0 <= y < camera.height):
        raise ValueError(f'point {x:g}, {y:g} is outside the image of {camera.width}x{camera.height}')
    column, row = pixel_of(perception, camera, np.array([[x, y]]))[0].round().astype(int)
    patch = perception.depth[max(row - PATCH_PX, 0):row + PATCH_PX + 1, max(column - PATCH_PX, 0):column + PATCH_PX + 1]
    patch = patch[np.isfinite(patch)]
    if not len(patch):
        raise ValueError(f'point {x:g}, {y:g} has no depth: it is seen as sky, or too far')
    return float(np.median(patch)) / perception.scale.value


def pixel_of(perception: Perception, camera: Camera, pixels: np.ndarray) -> np.ndarray:
    """Return where pixels [N, 2] of the image as it came lie in what is perceived, [N, 2]."""
    rays = np.concatenate([camera.undistort(pixels), np.ones((len(pixels), 1))], axis=1)
    return perception.camera.project(rays)


def length(camera: Camera, x: float, y: float) -> float:
    """Return how far from the lens a point at this pixel is when its depth is one."""
    return float(np.linalg.norm(np.append(camera.undistort([[x, y]])[0], 1.0)))

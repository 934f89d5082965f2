"""LiDAR returns as the depth of a camera's pixels."""
from __future__ import annotations

import cv2
import numpy as np

from semdepth_ros.geometry.camera import Camera

# A return is hidden where, within this angle of it, something is nearer by this factor. Neighbouring rings of a
# 64-beam scanner lie 0.4 degrees apart; a road seen from a car falls off by less within that angle up to 40 m.
HIDING_DEG, HIDING_FACTOR = 0.6, 1.3


def lidar_depth(points: np.ndarray, camera_from_lidar: np.ndarray, camera: Camera) -> np.ndarray:
    """Return the depth along Z of the nearest return in every pixel, float32 [height, width] m; NaN where there is none.

    :param points: returns [N, 3] m in the scanner's axes; those that are not finite are left out
    :param camera_from_lidar: pose of the scanner in the camera's optical frame [4, 4]
    :param camera: of the image; what its lens does not show is left out
    """
    points = np.asarray(points, dtype=np.float64).reshape(-1, 3)
    seen = points[np.isfinite(points).all(axis=1)] @ camera_from_lidar[:3, :3].T + camera_from_lidar[:3, 3]
    seen = seen[seen[:, 2] > 0]
    seen = seen[camera.sees(seen[:, :2] / seen[:, 2:])]
    column, row = np.rint(camera.project(seen)).astype(np.intp).T
    depth = np.full((camera.height, camera.width), np.inf, dtype=np.float32)
    np.minimum.at(depth, (row, column), seen[:, 2].astype(np.float32))
    return np.where(np.isinf(depth), np.float32(np.nan), depth)


def without_hidden(depth: np.ndarray, camera: Camera) -> np.ndarray:
    """Return a sparse depth [H, W] m without the returns that the camera, standing elsewhere, cannot have seen.

    A scanner above the camera looks over near things; what it sees behind them falls among their returns in the image.
    Left out is what has, within HIDING_DEG, a return nearer by HIDING_FACTOR. Form ours.
    """
    reach_y, reach_x = (max(1, round(np.radians(HIDING_DEG) * focal)) for focal in (camera.fy, camera.fx))
    solid = np.where(np.isnan(depth), np.float32(1e9), depth)
    nearest = cv2.erode(solid, np.ones((2 * reach_y + 1, 2 * reach_x + 1), np.uint8))
    return np.where(depth > HIDING_FACTOR * nearest, np.float32(np.nan), depth)

"""The plane of the road under the camera, from depth and the pixels that show ground."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semdepth_ros.geometry.camera import Camera


@dataclass(frozen=True)
class GroundPoints:
    """Pixels that show ground.

    :param rays: directions whose z is 1, in camera axes, float64 [N, 3]
    :param depth: along Z, float64 [N]
    """

    rays: np.ndarray
    depth: np.ndarray


@dataclass(frozen=True)
class GroundPlane:
    """The plane normal . point = height_m in camera axes.

    :param normal: unit vector from the camera down to the plane, float64 [3]
    :param height_m: distance of the lens from the plane [m, or whatever unit the depth has]
    :param pitch: angle by which the camera looks down towards the plane [rad]
    :param roll: angle by which the image's down direction leans from the plane's, about the optical axis [rad]
    :param inliers: fraction of the points that lie on it
    :param points: how many points were looked at
    """

    normal: np.ndarray
    height_m: float
    pitch: float
    roll: float
    inliers: float
    points: int


@dataclass(frozen=True)
class GroundPlaneRule:
    """What counts as a plane that can be trusted.

    :param points: at most this many ground pixels are looked at
    :param min_area: least fraction of the image that must be ground
    :param tolerance: relative depth error up to which a point lies on the plane
    :param min_inliers: least fraction of points on the plane
    :param max_tilt: largest angle between the image's down direction and the plane's [rad]
    :param min_spread: least ratio of the depths of far (90 %) to near (10 %) points on the plane
    :param hypotheses: planes through three points that are tried
    """

    points: int = 1500
    min_area: float = 0.015
    tolerance: float = 0.08
    min_inliers: float = 0.5
    max_tilt: float = np.radians(25)
    min_spread: float = 1.3
    hypotheses: int = 96


def ground_points(depth: np.ndarray, ground: np.ndarray, camera: Camera,
                  rule: GroundPlaneRule = GroundPlaneRule()) -> GroundPoints | None:
    """Return at most rule.points of the ground pixels, spread over them; None where there are too few.

    :param depth: [H, W] along Z; anything not finite or not positive is left out
    :param ground: bool [H, W], pixels believed to be ground
    :param camera: of exactly this depth image
    """
    pixels = _sample(depth, ground, rule)
    if pixels is None:
        return None
    v, u = np.divmod(pixels, camera.width)
    rays = np.concatenate([camera.undistort(np.stack([u, v], axis=-1)), np.ones((len(u), 1))], axis=1)
    return GroundPoints(rays, depth.reshape(-1)[pixels].astype(np.float64))


def fit_ground_plane(depth: np.ndarray, ground: np.ndarray, camera: Camera,
                     rule: GroundPlaneRule = GroundPlaneRule()) -> GroundPlane | None:
    """Fit the plane of the ground pixels robustly; None where none can be trusted. See ground_points and fit_plane."""
    points = ground_points(depth, ground, camera, rule)
    return None if points is None else fit_plane(points, rule)


def fit_plane(points: GroundPoints, rule: GroundPlaneRule = GroundPlaneRule()) -> GroundPlane | None:
    """Fit the plane of ground points robustly; None where none can be trusted.

    On a plane n . p = h inverse depth is linear in the ray: 1/z = (n/h) . ray. Three-point hypotheses are scored by how
    many points they explain (RANSAC, Fischler and Bolles 1981), the best is refined by least squares on its points,
    weighted so that relative depth errors count alike. Same input, same plane. Form ours.
    """
    rays, disparity = points.rays, 1 / points.depth
    plane = _best_hypothesis(rays, disparity, rule)
    if plane is None:
        return None
    for _ in range(3):
        on_plane = _on_plane(plane, rays, disparity, rule.tolerance)
        if on_plane.sum() < 3:
            return None
        plane, *_ = np.linalg.lstsq(rays[on_plane] / disparity[on_plane, None], np.ones(on_plane.sum()), rcond=None)
    return _checked(plane, on_plane, 1 / disparity, rule)


def _sample(depth: np.ndarray, ground: np.ndarray, rule: GroundPlaneRule) -> np.ndarray | None:
    with np.errstate(invalid='ignore'):
        usable = np.flatnonzero(ground & np.isfinite(depth) & (depth > 0))
    if len(usable) < max(rule.min_area * depth.size, 16):
        return None
    if len(usable) <= rule.points:
        return usable
    # Golden-ratio steps: equal ones would fall on a few columns of the image only.
    picks = (np.arange(rule.points) * 0.6180339887498949 % 1 * len(usable)).astype(np.int64)
    return usable[picks]


def _best_hypothesis(rays: np.ndarray, disparity: np.ndarray, rule: GroundPlaneRule) -> np.ndarray | None:
    triples = np.random.default_rng(0).integers(0, len(rays), (rule.hypotheses, 3))
    corners = rays[triples]  # [K, 3, 3]
    good = np.abs(np.linalg.det(corners)) > 1e-6
    if not good.any():
        return None
    planes = np.linalg.solve(corners[good], disparity[triples[good]][..., None])[..., 0]  # [K, 3]
    planes = planes[_tilt(planes) <= rule.max_tilt]
    if not len(planes):
        return None
    return planes[_on_plane(planes, rays, disparity, rule.tolerance).sum(axis=-1).argmax()]


def _tilt(planes: np.ndarray) -> np.ndarray:
    return np.arccos(np.clip(planes[..., 1] / np.maximum(np.linalg.norm(planes, axis=-1), 1e-12), -1, 1))


def _on_plane(planes: np.ndarray, rays: np.ndarray, disparity: np.ndarray, tolerance: float) -> np.ndarray:
    return np.abs(planes @ rays.T - disparity) <= tolerance * disparity


def _checked(plane: np.ndarray, on_plane: np.ndarray, depth: np.ndarray, rule: GroundPlaneRule) -> GroundPlane | None:
    inverse_height = float(np.linalg.norm(plane))
    near, far = np.quantile(depth[on_plane], [0.1, 0.9])
    if (on_plane.mean() < rule.min_inliers or far < rule.min_spread * near or inverse_height < 1e-6
            or _tilt(plane) > rule.max_tilt):
        return None
    normal = plane / inverse_height
    return GroundPlane(normal, 1 / inverse_height, float(np.arcsin(normal[2])), float(np.arctan2(normal[0], normal[1])),
                       float(on_plane.mean()), len(on_plane))

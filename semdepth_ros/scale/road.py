"""The height of the lens over the road that one frame shows, under a tilt that is known."""
from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from semdepth_ros.classes import SKY, TRAIN_ID
from semdepth_ros.frame_perception import Perception
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.ground_plane import GroundPlaneRule, GroundPoints, ground_points
from semdepth_ros.scale.tilt import Tilt

_PIXELS = 50_000  # at least so many of an image are looked at; the road is smooth
_SKY_STRIDE = 4   # of those, for sky


@dataclass(frozen=True)
class RoadRule:
    """What of the road is looked at, and when it is believed to be the plane under the wheels (form ours).

    Distances are in heights of the lens over the road, so that a rover and a lorry are judged alike.

    :param plane: which pixels are looked at, and how a plane is fitted freely
    :param reach: road farther than this is left out [heights]
    :param min_share: least fraction of the road's pixels within reach
    :param min_span: least ratio of far (90 %) to near (10 %) distances: road is seen near and far
    :param tolerance: largest difference in ln(height) of a pixel that agrees with the frame's
    :param min_inliers: least fraction of such pixels
    :param max_bend: largest difference in ln(height) between the nearer and the farther half of the road
    :param sky_margin: sky lies above the road's horizon, but for hills [rad]
    :param max_sky: largest fraction of the sky below it
    """

    plane: GroundPlaneRule = GroundPlaneRule()
    reach: float = 15.0
    min_share: float = 0.5
    min_span: float = 1.8
    tolerance: float = 0.12
    min_inliers: float = 0.5
    max_bend: float = 0.15
    sky_margin: float = np.radians(5)
    max_sky: float = 0.2


@dataclass(frozen=True)
class RoadSight:
    """What one frame shows of the road.

    :param points: on the road, in the network's own metres: without any scale
    :param sky: rays to the sky, float64 [N, 3]
    :param stamp_s: of the frame [s]
    """

    points: GroundPoints
    sky: np.ndarray = field(repr=False)
    stamp_s: float


@dataclass(frozen=True)
class RoadHeight:
    """What a frame's road says of the lens's height over it, under a tilt.

    :param log_height: ln(height), of the nearer half of the road, where an error of the tilt weighs least
    :param bend: ln(height) of the farther half less that of the nearer half
    :param distance: of the nearer half [heights]
    :param spans: whether it is seen near and far
    :param agrees: whether this is a plane under that tilt
    """

    log_height: float
    bend: float
    distance: float
    spans: bool
    agrees: bool


def road_sight(perception: Perception, ground: np.ndarray, rule: RoadRule = RoadRule()) -> RoadSight | None:
    """Return what a frame with a camera shows of the road, None where that is too little.

    :param ground: which train ids may carry a road where too little of the class road is seen, bool [256]
    """
    stride = max(1, int(np.sqrt(perception.labels.size / _PIXELS)))
    labels, depth = perception.labels[::stride, ::stride], perception.depth[::stride, ::stride]
    camera, road = perception.camera.strided(stride), labels == TRAIN_ID['road']
    if np.count_nonzero(road) < rule.plane.min_area * road.size:
        road = ground[labels]
    points = ground_points(depth, road, camera, rule.plane)
    if points is None:
        return None
    points = GroundPoints(points.rays, points.depth / perception.scale.value)
    return RoadSight(points, _sky_rays(labels, camera), perception.stamp_ns / 1e9)


def road_height(sight: RoadSight, tilt: Tilt, rule: RoadRule = RoadRule()) -> RoadHeight | None:
    """Return the height that a frame's road says under a tilt, None where not enough of it is within reach.

    A point p of the road says ln(height) = ln(down . p); under a true tilt its error is the error of ln(depth) there.
    """
    down = tilt.down
    slope = sight.points.rays @ down
    within = slope > 1 / rule.reach
    if within.mean() < rule.min_share or within.sum() < 16:
        return None
    distance, height = 1 / slope[within], np.log(slope[within] * sight.points.depth[within])
    first, last = np.quantile(distance, [0.1, 0.9])
    near = distance <= np.median(distance)
    log_height = np.median(height[near])
    bend = np.median(height[~near]) - log_height if not near.all() else 0.0
    inliers = np.mean(np.abs(height - np.median(height)) <= rule.tolerance)
    agrees = inliers >= rule.min_inliers and abs(bend) <= rule.max_bend and _sky_is_above(sight.sky, down, rule)
    return RoadHeight(float(log_height), float(bend), float(np.median(distance[near])),
                      bool(last >= rule.min_span * first), bool(agrees))


def _sky_is_above(sky: np.ndarray, down: np.ndarray, rule: RoadRule) -> bool:
    if len(sky) < 16:
        return True
    below = sky @ down > np.sin(rule.sky_margin) * np.linalg.norm(sky, axis=1)
    return below.mean() <= rule.max_sky


def _sky_rays(labels: np.ndarray, camera: Camera) -> np.ndarray:
    v, u = np.nonzero(labels[::_SKY_STRIDE, ::_SKY_STRIDE] == SKY)
    xy = camera.undistort(np.stack([u, v], axis=-1) * _SKY_STRIDE)
    return np.concatenate([xy, np.ones((len(xy), 1))], axis=1)

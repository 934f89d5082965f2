"""Pictures of what was perceived: depth, classes, errors and clouds, as rgb arrays."""
from __future__ import annotations

from collections.abc import Collection

import cv2
import numpy as np

from semdepth_ros.classes import UNLABELLED, palette
from semdepth_ros.geometry.camera import Camera

ROAD_RANGE_M, ROOM_RANGE_M = (2.0, 80.0), (0.5, 8.0)
ERROR_RANGE = (0.0, 0.5)
SKY_COLOUR, NO_TRUTH_COLOUR, PAPER, INK = (52, 58, 70), (88, 92, 100), (250, 250, 250), (30, 30, 30)
NEARER_COLOUR, FARTHER_COLOUR = (33, 102, 172), (178, 24, 43)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_NARROWEST = 320


def fitting_range(depth: np.ndarray) -> tuple[float, float]:
    """Return the range of metres to draw depth in: a road's, or a room's where nearly all is within a room."""
    finite = depth[np.isfinite(depth)]
    return ROOM_RANGE_M if finite.size and np.percentile(finite, 95) < ROOM_RANGE_M[1] else ROAD_RANGE_M


def depth_picture(depth: np.ndarray, range_m: tuple[float, float] = ROAD_RANGE_M, legend: bool = True,
                  point_px: int = 1) -> np.ndarray:
    """Draw depth [H, W] m by its logarithm, near is warm: uint8 [H (+ legend), W, 3].

    NaN is black, +inf (sky) slate.

    :param legend: add a scale in metres below
    :param point_px: draw every pixel this large, so that sparse LiDAR can be seen
    """
    low, high = np.log(range_m)
    with np.errstate(divide='ignore', invalid='ignore'):
        share = 1 - (np.log(depth) - low) / (high - low)
    picture = _coloured(share, cv2.COLORMAP_TURBO, np.isfinite(depth) & (depth > 0), point_px)
    picture[np.isposinf(depth)] = SKY_COLOUR
    if not legend:
        return picture
    marks = [m for m in (0.5, 1, 2, 5, 10, 20, 40, 80) if range_m[0] <= m <= range_m[1]]
    places = [(np.log(m) - low) / (high - low) for m in marks]
    return _with_legend(picture, cv2.COLORMAP_TURBO, True, places, [f'{m:g} m' for m in marks])


def error_picture(predicted: np.ndarray, truth: np.ndarray, legend: bool = True, point_px: int = 1) -> np.ndarray:
    """Draw |predicted - true| / true depth from 0 to 50 %: uint8 [H (+ legend), W, 3].

    Grey where either is not known.
    """
    with np.errstate(divide='ignore', invalid='ignore'):
        error = np.abs(predicted - truth) / truth
    low, high = ERROR_RANGE
    picture = _coloured((error - low) / (high - low), cv2.COLORMAP_INFERNO, np.isfinite(error), point_px,
                        NO_TRUTH_COLOUR)
    if not legend:
        return picture
    marks = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    places = [(m - low) / (high - low) for m in marks]
    return _with_legend(picture, cv2.COLORMAP_INFERNO, False, places, [f'{100 * m:.0f} %' for m in marks])


def change_picture(before: np.ndarray, after: np.ndarray, most: float = 0.2) -> np.ndarray:
    """Draw after / before of two depths [H, W] m: blue where it is nearer, white alike, red farther: uint8 [H, W, 3].

    Grey where either is not finite.

    :param most: change that has the full colour, relative
    """
    with np.errstate(divide='ignore', invalid='ignore'):
        share = np.log(after / before) / np.log1p(most)
    known = np.isfinite(share)
    share = np.clip(np.where(known, share, 0), -1, 1)[..., None]
    white, end = np.array([245.0, 245.0, 245.0]), np.where(share < 0, NEARER_COLOUR, FARTHER_COLOUR)
    picture = np.rint(white + np.abs(share) * (end - white)).astype(np.uint8)
    picture[~known] = NO_TRUTH_COLOUR
    return picture


def labels_picture(labels: np.ndarray) -> np.ndarray:
    """Draw classes in their colours, unlabelled black: uint8 [H, W, 3]."""
    return palette()[labels]


def overlay_picture(image: np.ndarray, labels: np.ndarray, opacity: float = 0.5) -> np.ndarray:
    """Lay the classes' colours over an rgb image, unlabelled pixels left as they are: uint8 [H, W, 3]."""
    mixed = image * (1 - opacity) + labels_picture(labels) * opacity
    return np.where((labels == UNLABELLED)[..., None], image, np.rint(mixed)).astype(np.uint8)


def cloud_picture(depth: np.ndarray, camera: Camera, colours: np.ndarray, size: tuple[int, int] = (960, 480),
                  farthest_m: float = 60.0) -> np.ndarray:
    """Draw the cloud that depth spans, seen from above and behind the camera: uint8 [H, W, 3].

    Points on the slope between a near thing and what is behind it are left out.

    :param depth: [H, W] m
    :param camera: intrinsics of exactly this depth
    :param colours: uint8 [H, W, 3], rgb
    :param size: width and height of the picture [px]
    """
    width, height = size
    keep = np.isfinite(depth) & (depth > 0) & (depth < farthest_m) & ~_slopes(depth)
    points = camera.rays()[keep] * depth[keep][:, None]
    extent = float(np.percentile(points[:, 2], 90)) if len(points) else farthest_m
    x, y, z = _seen_from_above(points, back_m=0.25 * extent, up_m=0.2 * extent)
    picture = np.full((height, width, 3), (18, 20, 26), dtype=np.uint8)
    front = z > 0.05 * extent
    focal = 0.8 * width
    u = np.rint(width / 2 + focal * x[front] / z[front]).astype(int)
    v = np.rint(height / 2 + focal * y[front] / z[front]).astype(int)
    far_first = np.argsort(-z[front], kind='stable')
    dot = 2 * focal / camera.fx * points[front, 2] / z[front]
    _splat(picture, u[far_first], v[far_first], dot[far_first], colours[keep][front][far_first])
    return picture


def contact_sheet(pictures: Collection[tuple[str, np.ndarray]], columns: int = 2, width: int = 640) -> np.ndarray:
    """Lay captioned pictures out in a grid, each scaled to the same width: uint8 [H, W, 3]."""
    tiles = [_captioned(caption, _scaled_to(picture, width)) for caption, picture in pictures]
    rows = [tiles[i:i + columns] for i in range(0, len(tiles), columns)]
    return np.vstack([_joined(row, columns, width) for row in rows])


def _coloured(share: np.ndarray, colour_map: int, known: np.ndarray, point_px: int,
              unknown: tuple[int, int, int] = (0, 0, 0)) -> np.ndarray:
    level = np.where(known, np.clip(np.nan_to_num(share), 0, 1) * 254 + 1, 0).astype(np.uint8)
    if point_px > 1:
        level = cv2.dilate(level, np.ones((point_px, point_px), np.uint8))
    picture = cv2.cvtColor(cv2.applyColorMap(level, colour_map), cv2.COLOR_BGR2RGB)
    picture[level == 0] = unknown
    return picture


def _with_legend(picture: np.ndarray, colour_map: int, reverse: bool, places: list[float], words: list[str]
                 ) -> np.ndarray:
    """Small pictures are enlarged first, so that the words fit and can be read."""
    factor = -(-_NARROWEST // picture.shape[1])
    picture = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    width = picture.shape[1]
    scale = width / 750
    height, margin = round(44 * scale), round(36 * scale)
    strip = np.full((height, width, 3), PAPER, dtype=np.uint8)
    ramp = np.linspace(1, 0, width - 2 * margin) if reverse else np.linspace(0, 1, width - 2 * margin)
    colours = _coloured(ramp[None], colour_map, np.ones((1, len(ramp)), bool), 1)
    strip[round(5 * scale):round(18 * scale), margin:width - margin] = colours
    for place, word in zip(places, words):
        (across, _), _ = cv2.getTextSize(word, _FONT, 0.6 * scale, 1)
        left = margin + round(place * (width - 2 * margin)) - across // 2
        _write(strip, word, (int(np.clip(left, 2, width - across - 2)), round(37 * scale)), 0.6 * scale)
    return np.vstack([picture, strip])


def _slopes(depth: np.ndarray) -> np.ndarray:
    near = np.nan_to_num(depth, nan=0.0, posinf=1e6).astype(np.float32)
    across, down = (np.abs(cv2.Sobel(near, cv2.CV_32F, *axis, ksize=1)) for axis in ((1, 0), (0, 1)))
    return np.maximum(across, down) > 0.25 * near


def _seen_from_above(points: np.ndarray, back_m: float, up_m: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    pitch = np.radians(14)
    x, y, z = points[:, 0], points[:, 1] + up_m, points[:, 2] + back_m
    return x, np.cos(pitch) * y - np.sin(pitch) * z, np.sin(pitch) * y + np.cos(pitch) * z


def _splat(picture: np.ndarray, u: np.ndarray, v: np.ndarray, dot: np.ndarray, colours: np.ndarray) -> None:
    """Paint points in their order, each as a square of about dot pixels."""
    height, width = picture.shape[:2]
    reach = np.clip(np.ceil((dot - 1) / 2), 0, 3).astype(int)
    painted = np.full((height, width), -1)
    for dv, du in np.argwhere(np.ones((7, 7))) - 3:
        which = np.flatnonzero((reach >= max(abs(du), abs(dv))) & (u + du >= 0) & (u + du < width)
                               & (v + dv >= 0) & (v + dv < height))
        layer = np.full_like(painted, -1)
        layer[v[which] + dv, u[which] + du] = which  # where several fall on one pixel the last, the nearest, stays
        np.maximum(painted, layer, out=painted)
    picture[painted >= 0] = colours[painted[painted >= 0]]


def _scaled_to(picture: np.ndarray, width: int) -> np.ndarray:
    if picture.shape[1] == width:
        return picture
    method = cv2.INTER_AREA if picture.shape[1] > width else cv2.INTER_CUBIC
    return cv2.resize(picture, (width, round(picture.shape[0] * width / picture.shape[1])), interpolation=method)


def _captioned(caption: str, picture: np.ndarray) -> np.ndarray:
    band = np.full((26, picture.shape[1], 3), PAPER, dtype=np.uint8)
    _write(band, caption, (6, 18), 0.5)
    return np.vstack([band, picture])


def _joined(row: list[np.ndarray], columns: int, width: int) -> np.ndarray:
    height = max(tile.shape[0] for tile in row)
    paper = np.full((height, columns * width, 3), PAPER, dtype=np.uint8)
    for i, tile in enumerate(row):
        paper[:tile.shape[0], i * width:(i + 1) * width] = tile
    return paper


def _write(picture: np.ndarray, text: str, place: tuple[int, int], size: float) -> None:
    cv2.putText(picture, text, place, _FONT, size, INK, 1, cv2.LINE_AA)

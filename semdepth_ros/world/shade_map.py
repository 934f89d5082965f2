"""What stands between the sun and the ground: shadows of houses, shade of trees; and the light of street lamps."""
from __future__ import annotations

import numpy as np

from semdepth_ros.world.primitives import AXES, BOX, HALF, KIND, PARAMETERS

SHADE_REACH_M, NO_SHADOW = 90.0, -50.0
EDGE = 20.0     # shadow height gained per metre from a shadow's side: a slope, so that the map's grid does not show


def shade_of(casters: np.ndarray, x: np.ndarray, y: np.ndarray, ground: np.ndarray,
             sun: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two maps: up to which height above the road it is dark (NO_SHADOW: lit down to the road), and the share of
    sunlight that crowns keep from the ground.

    :param casters: table rows of boxes and crowns
    :param x, y, ground: positions and heights of a regular grid [n, n]
    :param sun: unit vector towards the sun
    """
    flat = max(float(np.hypot(*sun[:2])), 1e-6)
    away, climb = sun[:2] / flat, sun[2] / flat
    height, clear = np.full(x.shape, NO_SHADOW), np.ones(x.shape)
    floor = ground.min() - 1
    for row in casters:
        drop = max(row[2] + row[HALF][2] - floor, 0) / climb
        reach = np.hypot(*row[HALF][:2])
        low, high = row[:2] - away * drop, row[:2]
        part = _part(x, y, np.minimum(low, high) - reach - 3, np.maximum(low, high) + reach + 3)
        if part is None:
            continue
        at = x[part], y[part], ground[part]
        if row[KIND] == BOX:
            np.maximum(height[part], _shadow_of_box(row, *at, away, climb), out=height[part])
        else:
            clear[part] *= 1 - _shade_of_crown(row, *at, sun)
    return height, 1 - clear


def lamp_light(lamps: list[tuple[float, float]], x: np.ndarray, y: np.ndarray, tall: float) -> np.ndarray:
    """Return the light of lamps `tall` metres high on the ground, 1 right below one [n, n]."""
    light = np.zeros(x.shape)
    for lamp_x, lamp_y in lamps:
        light += tall ** 3 / ((x - lamp_x) ** 2 + (y - lamp_y) ** 2 + tall ** 2) ** 1.5
    return light


def _part(x: np.ndarray, y: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[slice, slice] | None:
    """Return rows and columns of the grid that lie within a rectangle, None if none do."""
    columns = np.searchsorted(x[0], (low[0], high[0]))
    rows = np.searchsorted(y[:, 0], (low[1], high[1]))
    return None if columns[0] == columns[1] or rows[0] == rows[1] else (slice(*rows), slice(*columns))


def _shadow_of_box(row: np.ndarray, x, y, ground, away: np.ndarray, climb: float) -> np.ndarray:
    c, n = row[AXES][0], row[AXES][3]
    norm = np.hypot(c, n) or 1.0
    c, n = c / norm, n / norm
    px, py = x - row[0], y - row[1]
    wide = abs(row[HALF][0] * (c * away[1] - n * away[0])) + abs(row[HALF][1] * (c * away[0] + n * away[1]))
    across = px * away[1] - py * away[0]                                # from the middle of the shadow's strip
    beside = np.abs(across) - wide
    slip = np.sign(across) * np.maximum(beside + 1e-3, 0)       # back into the strip, to know how far the box is
    px, py = px - away[1] * slip, py + away[0] * slip
    u, v = c * px + n * py, c * py - n * px
    du, dv = c * away[0] + n * away[1], c * away[1] - n * away[0]
    du, dv = (q if abs(q) > 1e-6 else 1e-6 for q in (du, dv))
    near = np.maximum(-u / du - abs(row[HALF][0] / du), -v / dv - abs(row[HALF][1] / dv))
    far = np.minimum(-u / du + abs(row[HALF][0] / du), -v / dv + abs(row[HALF][1] / dv))
    height = row[2] + row[HALF][2] - 0.3 - np.maximum(near, 0) * climb - ground
    return np.maximum(np.minimum(height, EDGE * np.minimum(-beside, far)), NO_SHADOW)


def _shade_of_crown(row: np.ndarray, x, y, ground, sun: np.ndarray) -> np.ndarray:
    px, py, pz = row[0] - x, row[1] - y, row[2] - ground
    along = px * sun[0] + py * sun[1] + pz * sun[2]
    miss = np.sqrt(np.maximum(px * px + py * py + pz * pz - along * along, 0))
    radius = float(np.mean(row[HALF]))
    dense = 0.8 * (1 - row[PARAMETERS][0])
    return dense / (1 + np.exp(np.clip((miss - radius * 0.85) / (0.12 * radius), -30, 30)))

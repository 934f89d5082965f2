"""A map of the ground at half-metre steps: how far the kerb is, where on the street a point lies, and what shades it."""
from __future__ import annotations

import numpy as np
import torch

from semdepth_ros.world.primitives import AXES, CENTRE, CLASS, HALF, KIND
from semdepth_ros.world.streets import JUNCTION_RADIUS, Piece

BLOCK_M, CELL_M = 64.0, 0.5
CELLS = int(BLOCK_M / CELL_M)
REACH = 3       # blocks around the camera's own
# channels
(KERB, ACROSS, ALONG, ZEBRA, STOP, HALF_WIDTH, LINES, PAINTED, SIDEWALK, PAVED, LANES, SHADOW, CROWN, LAMP) = range(14)
CHANNELS = 14
FAR = 1e3


class GroundMap:
    """Blocks of the map, painted when first asked for.

    :param town_map: has .streets, .relief, .sun (unit vector towards the sun) and shadow_casters(x, y, radius) -> rows
    """

    def __init__(self, town_map):
        self.town_map, self.blocks, self.windows = town_map, {}, {}

    @staticmethod
    def block_of(pose: np.ndarray) -> tuple[int, int]:
        """Return the number of the block in which a pose [4, 4] lies."""
        return int(np.floor(pose[0, 3] / BLOCK_M)), int(np.floor(pose[1, 3] / BLOCK_M))

    def window(self, x: float, y: float, device: str) -> tuple[torch.Tensor, np.ndarray]:
        """Return the map around (x, y), float32 [1, CHANNELS, n, n], and the world position of its first vertex [2]."""
        i, j = int(np.floor(x / BLOCK_M)), int(np.floor(y / BLOCK_M))
        if (i, j) not in self.windows:
            if len(self.windows) > 3:
                self.windows.pop(next(iter(self.windows)))
            rows = [np.concatenate([self._block(i + a, j + b) for a in range(-REACH, REACH + 1)], axis=2)
                    for b in range(-REACH, REACH + 1)]
            self.windows[i, j] = torch.from_numpy(np.concatenate(rows, axis=1)[None]).to(device)
        return self.windows[i, j], np.array([(i - REACH) * BLOCK_M, (j - REACH) * BLOCK_M])

    def _block(self, i: int, j: int) -> np.ndarray:
        if (i, j) not in self.blocks:
            self.blocks[i, j] = self._paint(i * BLOCK_M, j * BLOCK_M)
        return self.blocks[i, j]

    def _paint(self, x0: float, y0: float) -> np.ndarray:
        steps = np.arange(CELLS) * CELL_M
        x, y = np.meshgrid(x0 + steps, y0 + steps)
        out = np.zeros((CHANNELS, CELLS, CELLS), np.float32)
        out[KERB], out[ZEBRA], out[HALF_WIDTH], out[SIDEWALK], out[SHADOW] = 60, FAR, 5, 2, -50
        self._paint_streets(out, x, y, (x0 + BLOCK_M / 2, y0 + BLOCK_M / 2))
        self._paint_shade(out, x, y, (x0 + BLOCK_M / 2, y0 + BLOCK_M / 2))
        return out

    def _paint_streets(self, out: np.ndarray, x, y, middle) -> None:
        streets = self.town_map.streets
        near = [p for p in streets.every if _reach(p, middle) < 60]
        route, side, best = np.full(x.shape, 60.0), np.full(x.shape, 60.0), np.full(x.shape, 60.0)
        owner = np.zeros(x.shape, int)
        for number, piece in enumerate(near, start=2):
            s, d = piece.locate(x, y)
            over = np.maximum(-s - (piece.half_width if piece.role == 'side' else 0.0), s - piece.length)
            edge = np.abs(d) - piece.half_width
            edge = np.where(over > 0, np.hypot(np.maximum(edge, 0), over) + np.minimum(edge, 0) * (over < 0.01), edge)
            zebras = piece.zebras if piece.role == 'side' else [z - piece.s for z in streets.zebras]
            win = edge < best
            best = np.where(win, edge, best)
            if piece.role == 'side':
                side = np.minimum(side, edge)
            else:
                route = np.minimum(route, edge)
            owner[win] = number if piece.role == 'side' else 1
            self._describe(out, piece, win, s, d, zebras)
        out[KERB] = _smooth_min(route, side, 8.0)
        out[PAINTED] = _uniform(owner)
        out[LINES] *= out[PAINTED]
        for junction in streets.junctions:
            distance = np.hypot(x - junction.x, y - junction.y)
            np.minimum(out[LINES], np.clip((distance - JUNCTION_RADIUS - 4.2) * 2, 0, 1), out=out[LINES])

    def _describe(self, out, piece: Piece, win, s, d, zebras) -> None:
        distance = np.full(s.shape, FAR)
        for z in zebras:
            if -30 < z < piece.length + 30:
                distance = np.where(np.abs(s - z) < np.abs(distance), s - z, distance)
        arc = s + piece.s
        paved = {'city': 1.0, 'works': 0.75, 'suburb': 0.12, 'park': 0.0}[piece.district]
        for channel, value in ((ACROSS, d), (ALONG, arc), (ZEBRA, np.minimum(np.abs(distance), 99)),
                               (STOP, np.where(np.abs(distance) < 4, distance, 0)), (HALF_WIDTH, piece.half_width),
                               (LINES, 0.0 if piece.role == 'junction' else 1.0), (SIDEWALK, piece.sidewalk), (PAVED, paved),
                               (LANES, piece.lanes + 0.25 * piece.parking[0] + 0.5 * piece.parking[1])):
            out[channel] = np.where(win, value, out[channel])

    def _paint_shade(self, out, x, y, middle) -> None:
        """Paint the height of shadows above the road, the shade of crowns, and the light of lamps."""
        sun, relief = self.town_map.sun, self.town_map.relief
        ground = relief.height(x, y)
        rows = self.town_map.shadow_casters(*middle, 90.0)
        flat = np.hypot(sun[0], sun[1])
        away, climb = sun[:2] / max(flat, 1e-6), sun[2] / max(flat, 1e-6)
        height = np.full(x.shape, -50.0)
        for row in rows[rows[:, KIND] == 0]:
            top = _shadow_of_box(row, x, y, away, climb)
            height = np.maximum(height, top - ground)
        out[SHADOW] = height
        clear = np.ones(x.shape)
        for row in rows[rows[:, KIND] == 2]:
            clear *= 1 - _shade_of_crown(row, x, y, ground, sun)
        out[CROWN] = 1 - clear
        light = np.zeros(x.shape)
        for lx, ly in self.town_map.lamps_near(*middle, 60.0):
            tall = self.town_map.streets.town.lamp_height
            r2 = (x - lx) ** 2 + (y - ly) ** 2 + tall ** 2
            light += tall ** 3 / r2 ** 1.5
        out[LAMP] = light


def _reach(piece: Piece, middle) -> float:
    x, y, _ = piece.at(piece.length / 2)
    return float(np.hypot(x - middle[0], y - middle[1])) - piece.length / 2 - BLOCK_M * 0.71


def _uniform(owner: np.ndarray) -> np.ndarray:
    """Return 1 where a cell and its neighbours belong to one street: elsewhere positions on it cannot be interpolated."""
    wide = np.pad(owner, 1, mode='edge')
    rows, columns = owner.shape
    same = [wide[a:a + rows, b:b + columns] == owner for a in range(3) for b in range(3)]
    return np.logical_and.reduce(same).astype(np.float32)


def _smooth_min(a: np.ndarray, b: np.ndarray, k: float) -> np.ndarray:
    """Return a minimum that rounds the corner where a and b meet over k metres: the kerb's fillet."""
    h = np.maximum(k - np.abs(a - b), 0) / k
    return np.minimum(a, b) - h * h * k / 4


def _shadow_of_box(row: np.ndarray, x, y, away, climb) -> np.ndarray:
    """Return up to which height the box shades the air above each point (-50: not at all)."""
    axes, half = row[AXES].reshape(3, 3), row[HALF]
    c, n = axes[0, 0], axes[1, 0]
    norm = np.hypot(c, n) or 1.0
    c, n = c / norm, n / norm
    px, py = x - row[0], y - row[1]
    u, v = c * px + n * py, -n * px + c * py
    du, dv = c * away[0] + n * away[1], -n * away[0] + c * away[1]
    du, dv = (q if abs(q) > 1e-6 else 1e-6 for q in (du, dv))
    near = np.maximum(-u / du - abs(half[0] / du), -v / dv - abs(half[1] / dv))
    far = np.minimum(-u / du + abs(half[0] / du), -v / dv + abs(half[1] / dv))
    return np.where((near > 0) & (near < far), row[2] + half[2] - near * climb, -50.0)


def _shade_of_crown(row: np.ndarray, x, y, ground, sun) -> np.ndarray:
    px, py, pz = row[0] - x, row[1] - y, row[2] - ground
    along = px * sun[0] + py * sun[1] + pz * sun[2]
    miss2 = px * px + py * py + pz * pz - along * along
    radius = float(np.mean(row[HALF]))
    return 0.8 / (1 + np.exp(np.clip((np.sqrt(np.maximum(miss2, 0)) - radius * 0.85) / (0.12 * radius), -30, 30)))

"""A map of the ground in half-metre steps: how far the kerb is, where on the street a point is, what shades it."""
from __future__ import annotations

import numpy as np
import torch

from semdepth_ros.world.shade_map import SHADE_REACH_M, lamp_light, shade_of
from semdepth_ros.world.streets import JUNCTION_RADIUS, Piece

BLOCK_M, CELL_M = 64.0, 0.5
CELLS = int(BLOCK_M / CELL_M)
REACH = 3       # blocks around the camera's own
KEPT = 70       # blocks kept in memory, the longest unused goes first; a window has 49
# channels
(KERB, ACROSS, ALONG, ZEBRA, STOP, HALF_WIDTH, LINES, PAINTED, SIDEWALK, PAVED, LANES, SHADOW, CROWN, LAMP) = range(14)
CHANNELS = 14
FAR = 1e3
# of the ground beyond the sidewalk
PAVED_SHARE = {'city': 1.0, 'works': 0.75, 'suburb': 0.12, 'park': 0.0, 'country': 0.0}


class GroundMap:
    """Blocks of the map, painted when asked for; the last window and some blocks are kept.

    :param town_map: a Scene, of which streets, relief, sun, shadow_casters and lamps_near are used
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
            self.windows.clear()
            rows = [np.concatenate([self._block(i + a, j + b) for a in range(-REACH, REACH + 1)], axis=2)
                    for b in range(-REACH, REACH + 1)]
            self.windows[i, j] = torch.from_numpy(np.concatenate(rows, axis=1)[None]).to(device)
        return self.windows[i, j], np.array([(i - REACH) * BLOCK_M, (j - REACH) * BLOCK_M])

    def _block(self, i: int, j: int) -> np.ndarray:
        block = self.blocks.pop((i, j), None)
        self.blocks[i, j] = self._paint(i * BLOCK_M, j * BLOCK_M) if block is None else block
        if len(self.blocks) > KEPT:
            self.blocks.pop(next(iter(self.blocks)))
        return self.blocks[i, j]

    def _paint(self, x0: float, y0: float) -> np.ndarray:
        steps = np.arange(CELLS) * CELL_M
        x, y = np.meshgrid(x0 + steps, y0 + steps)
        out = np.zeros((CHANNELS, CELLS, CELLS), np.float32)
        out[KERB], out[ZEBRA], out[HALF_WIDTH], out[SIDEWALK], out[SHADOW] = 60, FAR, 5, 2, -50
        self._paint_streets(out, x, y, (x0 + BLOCK_M / 2, y0 + BLOCK_M / 2))
        ground, middle = self.town_map.relief.height(x, y), (x0 + BLOCK_M / 2, y0 + BLOCK_M / 2)
        casters = self.town_map.shadow_casters(*middle, SHADE_REACH_M)
        out[SHADOW], out[CROWN] = shade_of(casters, x, y, ground, self.town_map.sun)
        out[LAMP] = lamp_light(self.town_map.lamps_near(*middle, 60.0), x, y, self.town_map.streets.town.lamp_height)
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
        lanes = piece.lanes + 0.25 * piece.parking[0] + 0.5 * piece.parking[1]
        for channel, value in ((ACROSS, d), (ALONG, s + piece.s), (ZEBRA, np.minimum(np.abs(distance), 99)),
                               (STOP, np.where(np.abs(distance) < 4, distance, 0)), (HALF_WIDTH, piece.half_width),
                               (LINES, float(piece.role != 'junction')), (SIDEWALK, piece.sidewalk),
                               (PAVED, PAVED_SHARE[piece.district]), (LANES, lanes)):
            out[channel] = np.where(win, value, out[channel])


def _reach(piece: Piece, middle) -> float:
    x, y, _ = piece.at(piece.length / 2)
    return float(np.hypot(x - middle[0], y - middle[1])) - piece.length / 2 - BLOCK_M * 0.71


def _uniform(owner: np.ndarray) -> np.ndarray:
    """Return 1 where a cell and its neighbours are of one street: elsewhere positions on it cannot be interpolated."""
    wide = np.pad(owner, 1, mode='edge')
    rows, columns = owner.shape
    same = [wide[a:a + rows, b:b + columns] == owner for a in range(3) for b in range(3)]
    return np.logical_and.reduce(same).astype(np.float32)


def _smooth_min(a: np.ndarray, b: np.ndarray, k: float) -> np.ndarray:
    """Return a minimum that rounds the corner where a and b meet over k metres: the kerb's fillet."""
    h = np.maximum(k - np.abs(a - b), 0) / k
    return np.minimum(a, b) - h * h * k / 4

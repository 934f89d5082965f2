"""The image cut into small tiles, and which primitives can be seen in each."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from semdepth_ros.geometry.camera import Camera

TILE = 8            # pixels a side
NEAR = 0.15         # nothing nearer than this is drawn [m]
_CUBE = torch.tensor([[a, b, c] for a in (-1., 1.) for b in (-1., 1.) for c in (-1., 1.)])
_EDGES = torch.tensor([[i, i | bit] for bit in (1, 2, 4) for i in range(8) if not i & bit])


def sub_pixel_offsets(rays: int) -> np.ndarray:
    """Return where in a pixel its rays go, float64 [rays, 2] px: the first through the centre, the rest around it."""
    k = np.arange(1, rays)
    ring = rays - 1 if rays <= 6 else 1e9
    angle = 2 * np.pi * k / ring + 0.4 if rays <= 6 else 2.399963 * k
    radius = np.full(len(k), 0.38) if rays <= 6 else 0.5 * np.sqrt(k / (rays - 1))
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return np.concatenate([np.zeros((1, 2)), points - points.mean(0) if rays > 1 else points])


@dataclass(frozen=True)
class TileGrid:
    """Rays of a camera, tile by tile.

    directions [T, 3, R] with z = 1 (R = rays * TILE * TILE, ray-major); corners [T, 4, 3] enclose a tile's rays;
    low, high [T, 2] are their bounds in x/z, y/z; weights [4, R] interpolate from a tile's corners.
    """

    width: int
    height: int
    rays: int
    columns: int
    directions: torch.Tensor
    corners: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    weights: torch.Tensor
    pixel: float

    @classmethod
    def of(cls, camera: Camera, rays: int, device: str) -> TileGrid:
        """Return the grid of a camera with this many rays a pixel."""
        columns, rows = -(-camera.width // TILE), -(-camera.height // TILE)
        u = np.minimum(np.arange(columns * TILE), camera.width - 1)
        v = np.minimum(np.arange(rows * TILE), camera.height - 1)
        offsets = sub_pixel_offsets(rays)
        pixels = np.stack(np.meshgrid(u, v), -1)[None] + offsets[:, None, None]
        xy = camera.undistort(pixels.reshape(-1, 2)).reshape(rays, rows, TILE, columns, TILE, 2)
        xy = xy.transpose(1, 3, 5, 0, 2, 4).reshape(rows * columns, 2, -1)
        directions = np.concatenate([xy, np.ones_like(xy[:, :1])], axis=1)
        margin = 0.25 / max(camera.fx, camera.fy) if camera.is_distorted else 1e-4 / camera.fx
        low, high = xy.min(2) - margin, xy.max(2) + margin
        x, y = np.stack([low[:, 0], high[:, 0]], 1)[:, [0, 1, 0, 1]], np.stack([low[:, 1], high[:, 1]], 1)[:, [0, 0, 1, 1]]
        corners = np.stack([x, y, np.ones_like(x)], -1)
        wx = np.clip((np.tile(np.arange(TILE), TILE)[None] + offsets[:, :1] + 0.5) / TILE, 0, 1).reshape(-1)
        wy = np.clip((np.repeat(np.arange(TILE), TILE)[None] + offsets[:, 1:] + 0.5) / TILE, 0, 1).reshape(-1)
        weights = np.stack([(1 - wx) * (1 - wy), wx * (1 - wy), (1 - wx) * wy, wx * wy])

        def send(a):
            return torch.from_numpy(np.ascontiguousarray(a, np.float32)).to(device)
        return cls(camera.width, camera.height, rays, columns, send(directions), send(corners), send(low), send(high),
                   send(weights), float(1 / np.sqrt(camera.fx * camera.fy)))

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return len(self.directions)

    def image(self, values: torch.Tensor) -> torch.Tensor:
        """Return [F * T, TILE * TILE, ...] put together as [F, height, width, ...]."""
        more = values.shape[2:]
        x = values.view(-1, self.tiles // self.columns, self.columns, TILE, TILE, *more).transpose(2, 3)
        x = x.reshape(x.shape[0], -1, self.columns * TILE, *more)
        return x[:, :self.height, :self.width]


@dataclass(frozen=True)
class Candidates:
    """Pairs of a tile and a primitive, sorted by tile; `order` lists tiles by falling number of candidates."""

    primitive: torch.Tensor
    start: torch.Tensor
    count: torch.Tensor
    order: torch.Tensor

    @classmethod
    def sort(cls, tile: torch.Tensor, primitive: torch.Tensor, tiles: int) -> Candidates:
        """Group pairs by tile."""
        tile, order = torch.sort(tile, stable=True)
        count = torch.bincount(tile, minlength=tiles)
        return cls(primitive[order], torch.cumsum(count, 0) - count, count, torch.argsort(count, descending=True, stable=True))


def screen_bounds(axes: torch.Tensor, centre: torch.Tensor) -> torch.Tensor:
    """Return low x, low y, high x, high y in x/z, y/z of boxes; empty (inf, inf, -inf, -inf) for those behind the camera.

    :param axes: half axes as columns in camera axes [..., 3, 3]
    :param centre: [..., 3]
    """
    cube, edges = _CUBE.to(axes.device), _EDGES.to(axes.device)
    corners = centre[..., None, :] + cube @ axes.transpose(-1, -2)      # [..., 8, 3]
    a, b = corners[..., edges[:, 0], :], corners[..., edges[:, 1], :]
    points = torch.cat([_clip_near(a, b), _clip_near(b, a)], dim=-2)
    xy = points[..., :2] / points[..., 2:]
    behind = points[..., 2] < NEAR * 0.999
    inf = float('inf')
    low = xy.masked_fill(behind[..., None], inf).amin(-2)
    high = xy.masked_fill(behind[..., None], -inf).amax(-2)
    return torch.cat([low, high], dim=-1)


def _clip_near(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    za, zb = a[..., 2:], b[..., 2:]
    share = ((NEAR - za) / (zb - za)).nan_to_num(0.0)
    clipped = a + (b - a) * share
    clipped[..., 2] = NEAR
    return torch.where((za < NEAR) & (zb > NEAR), clipped, a)


def candidates(grid: TileGrid, matrix: torch.Tensor, origin: torch.Tensor, bounds: torch.Tensor,
               is_box: torch.Tensor) -> tuple[Candidates, Candidates]:
    """Return for every tile of every frame its boxes, and its round primitives, that are not hidden by a nearer box.

    :param matrix, origin: camera axes to unit shape [F, P, 3, 3], and the camera there [F, P, 3]
    :param bounds: from `screen_bounds` [F, P, 4]
    :param is_box: [F, P]
    """
    frames, count = bounds.shape[:2]
    b = bounds[..., None, :]
    hit = ((b[..., 0] <= grid.high[:, 0]) & (b[..., 2] >= grid.low[:, 0])
           & (b[..., 1] <= grid.high[:, 1]) & (b[..., 3] >= grid.low[:, 1]))      # [F, P, T]
    frame, item, tile = hit.nonzero(as_tuple=True)
    primitive, tile_of_all, box = frame * count + item, frame * grid.tiles + tile, is_box[frame, item]
    o = origin.view(-1, 3)[primitive]                                           # [N, 3]
    d = torch.bmm(matrix.view(-1, 3, 3)[primitive], grid.corners[tile].transpose(1, 2))     # [N, 3, 4]
    closing = torch.where(o < 0, 1.0, -1.0)[..., None] * d
    away = (o.abs() - 1)[..., None]
    fastest, slowest = closing.amax(2), closing.amin(2)
    inf = float('inf')
    near = torch.where(away[..., 0] > 0, away[..., 0] / fastest.clamp(min=1e-9), 0.0).amax(1)
    far = torch.where(slowest > 0, (o.abs() + 1) / slowest.clamp(min=1e-9), inf).amin(1)
    seen = near <= far * 1.0001
    entry = torch.where(away > 0, torch.where(closing > 0, away / closing.clamp(min=1e-9), inf),
                        torch.where(away.expand_as(closing) <= 0, 0.0, inf)).amax(1)        # [N, 4]
    leave = torch.where(closing > 0, (o.abs() + 1)[..., None] / closing.clamp(min=1e-9),
                        torch.where(away > 0, -inf, (1 - o.abs())[..., None] / (-closing).clamp(min=1e-9))).amin(1)
    covers = (entry < leave).all(1) & box & (entry.amin(1) > NEAR)
    cover = torch.full((frames * grid.tiles,), inf, device=d.device)
    cover.scatter_reduce_(0, tile_of_all[covers], entry.amax(1)[covers], 'amin')
    keep = seen & (near <= cover[tile_of_all] * 1.0001)
    total = frames * grid.tiles
    boxes, rounds = keep & box, keep & ~box
    return (Candidates.sort(tile_of_all[boxes], primitive[boxes], total),
            Candidates.sort(tile_of_all[rounds], primitive[rounds], total))

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
        ends = np.stack([low, high], axis=1)                                        # [T, 2, 2]
        x, y = ends[:, [0, 1, 0, 1], 0], ends[:, [0, 0, 1, 1], 1]
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
        longest = torch.argsort(count, descending=True, stable=True)
        return cls(primitive[order], torch.cumsum(count, 0) - count, count, longest)


def turned(matrix: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Return matrix [n, 3, 3] times vectors [n, 3, R], in full float32 whatever precision matmul is set to."""
    x, y, z = vectors.unbind(-2)
    out = matrix[..., 0:1] * x[..., None, :]
    return out.addcmul_(matrix[..., 1:2], y[..., None, :]).addcmul_(matrix[..., 2:3], z[..., None, :])


def screen_bounds(axes: torch.Tensor, centre: torch.Tensor) -> torch.Tensor:
    """Return low x, low y, high x, high y in x/z, y/z of boxes; (inf, inf, -inf, -inf) for those behind the camera.

    :param axes: half axes as columns in camera axes [..., 3, 3]
    :param centre: [..., 3]
    """
    cube, edges = _CUBE.to(axes.device), _EDGES.to(axes.device)
    corners = centre[..., None, :] + turned(axes, cube.t().expand(*axes.shape[:-2], 3, 8)).transpose(-1, -2)
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


def overlaps(grid: TileGrid, bounds: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return numbers of primitives and tiles whose bounds meet, over all frames.

    :param bounds: from `screen_bounds` [F, P, 4]
    """
    b = bounds[..., None, :]
    hit = ((b[..., 0] <= grid.high[:, 0]) & (b[..., 2] >= grid.low[:, 0])
           & (b[..., 1] <= grid.high[:, 1]) & (b[..., 3] >= grid.low[:, 1]))      # [F, P, T]
    frame, item, tile = hit.nonzero(as_tuple=True)
    return frame * bounds.shape[1] + item, frame * grid.tiles + tile


def unhidden(primitive: torch.Tensor, tile: torch.Tensor, corners: torch.Tensor, matrix: torch.Tensor,
             origin: torch.Tensor, box: torch.Tensor) -> torch.Tensor:
    """Return which pairs of a primitive and a tile stay when the primitives' sides and nearer boxes are looked at.

    :param corners: directions of the tiles' corners, world axes [F * T, 3, 4]
    :param matrix, origin: world axes to unit shape [N, 3, 3], and the camera there [N, 3]; box: which are boxes [N]
    """
    o, inf = origin[primitive], float('inf')                            # [pairs, 3]
    d = turned(matrix[primitive], corners[tile])                        # [pairs, 3, 4]
    closing = torch.where(o < 0, 1.0, -1.0)[..., None] * d
    reach, away = o.abs() + 1, o.abs() - 1
    fastest, slowest = closing.amax(2), closing.amin(2)
    near = torch.where(away > 0, torch.where(fastest > 0, away / fastest, inf), 0.0).amax(1)
    far = torch.where(slowest > 0, reach / slowest, inf).amin(1)
    seen = near <= far * 1.0001
    may_cover = (seen & box[primitive]).nonzero()[:, 0]
    closing, reach, away = closing[may_cover], reach[may_cover, :, None], away[may_cover, :, None]
    enter = torch.where(away > 0, torch.where(closing > 0, away / closing, inf), 0.0).amax(1)       # [boxes, 4]
    leave = torch.where(closing > 0, reach / closing, torch.where(away > 0, -inf, -away / -closing)).amin(1)
    full = (enter < leave).all(1) & (enter.amin(1) > NEAR)
    cover = torch.full((len(corners),), inf, device=d.device)
    cover.scatter_reduce_(0, tile[may_cover[full]], enter[full].amax(1), 'amin')
    return seen & (near <= cover[tile] * 1.0001)

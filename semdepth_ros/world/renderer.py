"""From what surrounds the camera to pictures: cast, shade, develop, for a batch of frames at once."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from semdepth_ros.geometry.camera import Camera
from semdepth_ros.world.casting import cast, meet_boxes, meet_ground, meet_rounds, patch_shade
from semdepth_ros.world.crowns import meet_crowns
from semdepth_ros.world.ground import SKY, step_up
from semdepth_ros.world.light import develop, length, veil
from semdepth_ros.world.primitives import AXES, BOX, CENTRE, COLUMNS, CROWN, ELLIPSOID, HALF, KIND, OBJECT
from semdepth_ros.world.scene import Moment, Scene
from semdepth_ros.world.shading import Rays, View, shade
from semdepth_ros.world.shadows import SOFT_M
from semdepth_ros.world.tiles import TILE, Candidates, TileGrid, overlaps, screen_bounds, turned, unhidden

PIXELS = TILE * TILE


@dataclass(frozen=True)
class Picture:
    """Colour 0..1 [F, H, W, 3], depth, class and instance [F, H, W] of a batch of frames, on the rendering device."""

    colour: torch.Tensor
    depth: torch.Tensor
    labels: torch.Tensor
    instances: torch.Tensor


@dataclass(frozen=True)
class Shapes:
    """Unit shapes of F frames: world axes to shape [F * P, 3, 3], the camera there [F * P, 3], bounds [F, P, 4]."""

    matrix: torch.Tensor
    origin: torch.Tensor
    bounds: torch.Tensor


class Renderer:
    """Renders moments of one scene through one camera.

    :param rays: rays a pixel; the first decides depth, class and instance
    :param device: where to render
    :param textures: of surfaces on that device, None for those that are drawn; see textures.look_up
    """

    def __init__(self, scene: Scene, camera: Camera, rays: int, device: str, textures: torch.Tensor | None = None):
        self.scene, self.device, self.textures = scene, device, textures
        self.grid = TileGrid.of(camera, rays, device)

    def render(self, moments: list[Moment]) -> Picture:
        """Return the pictures of moments that lie in one window of the ground map."""
        grid, eyes = self.grid, np.stack([m.camera[:3, 3] for m in moments])
        rotation = self._send([m.camera[:3, :3] for m in moments])
        window, corner = self.scene.ground.window(eyes[0, 0], eyes[0, 1], self.device)
        eye = self._send(eyes - [*corner, 0])
        per_tile = eye.repeat_interleave(grid.tiles, 0)
        rays = turned(rotation[:, None], grid.directions).view(-1, 3, grid.directions.shape[2])
        corners = turned(rotation[:, None], grid.corners.transpose(1, 2)).view(-1, 3, 4)
        rows = _padded([m.rows for m in moments], COLUMNS)
        shapes, look = self._shapes(rows, moments), self._send(rows).view(-1, COLUMNS).t().contiguous()
        view = View(self.scene.town, self.scene.light, rotation, eye, shapes.matrix.view(-1, 9).t().contiguous(),
                    shapes.origin.t().contiguous(), look, window, self.scene.relief.shifted(*corner),
                    self._send([m.signal for m in moments]), grid.pixel, self.textures)
        depth, index = self._ground(view, rays, corners, per_tile)
        left = self._ground_shade(moments, rays, depth, index)
        self._things(shapes, look, rays, corners, depth, index)
        return self._picture(view, rays, depth, index, left)

    def _send(self, values) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(self.device)

    def _shapes(self, rows: np.ndarray, moments: list[Moment]) -> Shapes:
        """Return the unit shapes of table rows [F, P, >= 15], computed in double precision relative to each camera."""
        axes = rows[..., AXES].reshape(*rows.shape[:2], 3, 3)
        half = rows[..., HALF]
        pose = np.stack([m.camera for m in moments])
        offset = rows[..., CENTRE] - pose[:, None, :3, 3]
        matrix = axes.swapaxes(2, 3) / half[..., None]
        origin = -(matrix * offset[:, :, None, :]).sum(-1)
        to_camera = pose[:, :3, :3].swapaxes(1, 2)
        seen_axes = (to_camera[:, None] @ axes) * half[:, :, None, :]
        seen_at = (to_camera[:, None] @ offset[..., None])[..., 0]
        bounds = screen_bounds(self._send(seen_axes), self._send(seen_at))
        return Shapes(self._send(matrix).view(-1, 3, 3), self._send(origin).view(-1, 3), bounds)

    def _ground(self, view: View, rays: torch.Tensor, corners: torch.Tensor, eye: torch.Tensor):
        """Return depth and index of the ground, kerbs included, as if nothing stood on it."""
        relief, town = view.relief, self.scene.town
        depth = meet_ground(relief, rays, corners, self.grid.weights, eye)
        index = torch.full(depth.shape, SKY, dtype=torch.int64, device=depth.device)
        tile, ray = (depth < float('inf')).nonzero(as_tuple=True)
        t, (dx, dy, dz), (ex, ey, ez) = depth[tile, ray], rays[tile, :, ray].t(), eye[tile].t()
        x, y, near = t * dx, t * dy, t * 0.97
        fall = (dz * near + ez - relief.torch_height(x * 0.97 + ex, y * 0.97 + ey)).div_(t * 0.03).clamp_(min=1e-3)
        depth[tile, ray], index[tile, ray] = step_up(view.window, town.kerb_m, x + ex, y + ey, t, dx, dy, fall)
        return depth, index

    def _ground_shade(self, moments: list[Moment], rays, depth, index) -> torch.Tensor:
        """Return the share of light that objects leave on the ground under each centre ray [F * T, PIXELS]."""
        left = torch.ones((len(depth), PIXELS), device=depth.device)
        rows = _padded([m.shadows for m in moments], 15)
        if rows.shape[1]:
            wide = rows.copy()
            wide[..., 12:14] += SOFT_M
            shapes = self._shapes(rows, moments)
            primitive, tile = overlaps(self.grid, self._shapes(wide, moments).bounds)
            lists = Candidates.sort(tile, primitive, len(depth))
            on_ground = torch.where(index[:, :PIXELS] == SKY, 1e6, depth[:, :PIXELS])
            half = self._send(rows[..., HALF]).view(-1, 3)
            patch_shade(lists, rays[:, :, :PIXELS], on_ground, shapes.matrix, shapes.origin, half, left)
        return left

    def _things(self, shapes: Shapes, look, rays, corners, depth, index) -> None:
        """Bring depth and index up to date with everything that stands on the ground."""
        kind = look[KIND]
        primitive, tile = overlaps(self.grid, shapes.bounds)
        keep = unhidden(primitive, tile, corners, shapes.matrix, shapes.origin, kind == BOX)
        primitive, tile = primitive[keep], tile[keep]
        box = kind[primitive] == BOX
        crown = kind[primitive] == CROWN
        for chosen, meet in ((box, meet_boxes), (~(box | crown), meet_rounds((kind == ELLIPSOID).float())),
                             (crown, meet_crowns(look))):
            lists = Candidates.sort(tile[chosen], primitive[chosen], len(depth))
            cast(lists, rays, meet, shapes.matrix, shapes.origin, depth, index)

    def _picture(self, view: View, rays, depth, index, left) -> Picture:
        """Shade the centre rays, and those outer rays that met another surface; average to pixels."""
        grid = self.grid
        t, met = depth.view(-1, grid.rays, PIXELS), index.view(-1, grid.rays, PIXELS)
        chosen = torch.cat([torch.ones_like(met[:, :1], dtype=torch.bool), _differs(t, met)], dim=1)
        tile, ray, pixel = chosen.nonzero(as_tuple=True)
        direction = rays.view(-1, 3, grid.rays, PIXELS)[tile, :, ray, pixel].t().contiguous()
        part = Rays(direction, length(direction), t[tile, ray, pixel], met[tile, ray, pixel],
                    torch.div(tile, grid.tiles, rounding_mode='floor'), left[tile, pixel])
        light, label = shade(view, part)
        if view.light.glare:
            light = light + veil(view.light, direction / part.stretch, view.each(view.rotation[:, :, 2], part.frame))
        shaded = torch.zeros((3, *chosen.shape), device=light.device)
        shaded[:, tile, ray, pixel] = develop(view.light, light)
        colour = torch.where(chosen, shaded, shaded[:, :, :1]).mean(2).permute(1, 2, 0)
        centre, first = ray == 0, met[:, 0]
        objects = view.look[OBJECT].to(torch.int32)
        things = torch.where(first >= 0, objects[first.clamp(min=0)], 0)
        return Picture(grid.image(colour.contiguous()), grid.image(t[:, 0].contiguous()),
                       grid.image(label[centre].to(torch.uint8).view(first.shape)), grid.image(things))


def _differs(t: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Return which outer rays [T, rays - 1, PIXELS] have met another surface than their pixel's first ray."""
    if t.shape[1] == 1:
        return torch.zeros_like(index[:, 1:], dtype=torch.bool)
    inverse = t.reciprocal()
    bend = (inverse[:, 1:].mean(1) - inverse[:, 0]).abs() > 4e-5 * inverse[:, 0]
    return (index[:, 1:] != index[:, :1]) | bend[:, None]


def _padded(tables: list[np.ndarray], columns: int) -> np.ndarray:
    """Return tables [n_i, columns] as one [F, n, columns]; rows added lie far behind the camera and are never seen."""
    out = np.zeros((len(tables), max(len(t) for t in tables), columns))
    out[..., AXES] = np.eye(3).reshape(-1)
    out[..., CENTRE], out[..., HALF] = -1e6, 1e-3
    for row, table in zip(out, tables):
        row[:len(table)] = table[:, :columns]
    return out

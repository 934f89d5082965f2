"""A drive through the procedural world: frame after frame with exact truth."""
from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from semdepth_ros.classes import SKY as SKY_CLASS
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.world.casting import cast, meet_ground
from semdepth_ros.world.ground import ROAD, SKY, step_up
from semdepth_ros.world.light import develop
from semdepth_ros.world.presets import default_camera, find_preset
from semdepth_ros.world.primitives import AXES, CENTRE, HALF, KIND, BOX, ELLIPSOID, OBJECT
from semdepth_ros.world.scene import Moment, Scene
from semdepth_ros.world.shading import View, shade
from semdepth_ros.world.shadows import darken
from semdepth_ros.world.tiles import TILE, TileGrid, candidates, screen_bounds

LEVER_ARM_M = 1.7       # the camera stands this far ahead of the rear axle


@dataclass(frozen=True)
class WorldFrame:
    """One image of the world with its truth.

    World axes: z up; the origin is the road under the rear axle of frame 0, x its heading. base_link is the road point under
    the middle of the rear axle, x forward, y left, z up.

    :param image: uint8 [H, W, 3] rgb
    :param depth: along the optical axis [m], float32 [H, W]; +inf sky
    :param labels: Cityscapes train ids, uint8 [H, W]
    :param instances: number of the vehicle or person, int32 [H, W]; 0 elsewhere
    :param pose: camera to world, float64 [4, 4]
    :param odometry_pose: base_link in the world (the odometry frame), float64 [4, 4]
    :param odometry_twist: speed of base_link along its x [m/s] and its yaw rate [rad/s]
    :param camera_in_base: camera optical frame to base_link, float64 [4, 4]
    :param stamp_ns: time since the first frame [ns]
    :param motions: rigid motion in world axes of every visible instance from this frame to the next, float64 [4, 4] each
    """

    image: np.ndarray
    depth: np.ndarray
    labels: np.ndarray
    instances: np.ndarray
    pose: np.ndarray
    odometry_pose: np.ndarray
    odometry_twist: tuple[float, float]
    camera_in_base: np.ndarray
    stamp_ns: int
    motions: dict[int, np.ndarray] = field(default_factory=dict)


class Drive:
    """A lazy, deterministic sequence of WorldFrame.

    :param preset: a key of PRESETS
    :param seed: which town, which route, which traffic
    :param frames: how many
    :param camera: intrinsics and height_m; None for the preset's own
    :param rate_hz: frames a second
    :param split: 'train', 'val' or 'test': towns of different parameter ranges
    :param device: torch device that renders
    :param rays: rays a pixel
    :param pitch_deg: how far the camera looks down; None for the preset's own
    :raises ValueError: an unknown preset or split, or a number out of range
    """

    def __init__(self, preset: str = 'day', seed: int = 0, frames: int = 100, camera: Camera | None = None,
                 rate_hz: float = 10.0, split: str = 'test', device: str = 'cpu', rays: int = 4,
                 pitch_deg: float | None = None):
        kind = find_preset(preset)
        for name, value in (('frames', frames), ('rate_hz', rate_hz), ('rays', rays)):
            if not value > 0:
                raise ValueError(f'{name} is {value}, expected a positive number')
        self.preset, self.seed, self.frames, self.rate_hz, self.split = preset, seed, int(frames), float(rate_hz), split
        self.camera, self.device, self.rays = camera or default_camera(preset), str(torch.device(device)), int(rays)
        self.name = f'{preset}_{split}_{seed}'
        self.camera_in_base = camera_mount(self.camera.height_m or kind.height_m,
                                           kind.pitch_deg if pitch_deg is None else pitch_deg)
        self.scene = Scene(kind, preset, seed, split, frames / rate_hz + 1)
        self.grid = TileGrid.of(self.camera, self.rays, self.device)
        origin = self.scene.plan.pose(0.0)
        heading = np.arctan2(origin[1, 0], origin[0, 0])
        c, s = np.cos(heading), np.sin(heading)
        self._to_world = np.linalg.inv(np.block([[np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]), origin[:3, 3:]],
                                                 [np.array([[0, 0, 0, 1.0]])]]))

    def __len__(self) -> int:
        return self.frames

    def __getitem__(self, index: int) -> WorldFrame:
        return self.render([index])[0]

    def render(self, indices) -> list[WorldFrame]:
        """Render these frames, in this order.

        :raises IndexError: an index beyond the drive
        """
        return [self._render(self._checked(i)) for i in indices]

    def _checked(self, index: int) -> int:
        if not -self.frames <= index < self.frames:
            raise IndexError(f'frame is {index}, expected one of {self.frames}')
        return int(index) % self.frames

    def pose(self, index: int) -> np.ndarray:
        """Return the camera-to-world pose of a frame without rendering it, float64 [4, 4]."""
        return self._to_world @ self.scene.plan.pose(index / self.rate_hz) @ self.camera_in_base

    def _render(self, index: int) -> WorldFrame:
        time = index / self.rate_hz
        moment = self.scene.at(time, self.camera_in_base, (self.camera.fx * self.camera.fy) ** 0.5)
        colour, depth, label, instance = self._picture(moment)
        image = self._grey_levels(colour, index)
        return WorldFrame(
            image=image, depth=depth, labels=label, instances=instance,
            pose=self._to_world @ moment.base @ self.camera_in_base, odometry_pose=self._to_world @ moment.base,
            odometry_twist=self._twist(time), camera_in_base=self.camera_in_base.copy(),
            stamp_ns=round(index * 1e9 / self.rate_hz), motions=self._motions(instance, moment, time))

    def _motions(self, instance: np.ndarray, moment: Moment, time: float) -> dict[int, np.ndarray]:
        motions, after = {}, time + 1 / self.rate_hz
        poses = {m.identity: pose for m, pose in self.scene.traffic.at(after)}
        for number in (int(n) for n in np.unique(instance) if n):
            motion = np.eye(4)
            if number in moment.movers and number in poses:
                motion = poses[number] @ np.linalg.inv(moment.movers[number])
            motions[number] = self._to_world @ motion @ np.linalg.inv(self._to_world)
        return motions

    def _twist(self, time: float) -> tuple[float, float]:
        step = 0.02
        a, b = self.scene.plan.pose(max(time - step, 0.0)), self.scene.plan.pose(time + step)
        span = time + step - max(time - step, 0.0)
        now = self.scene.plan.pose(time)
        speed = float((b[:3, 3] - a[:3, 3]) @ now[:3, 0]) / span
        turn = a[:3, :3].T @ b[:3, :3]
        return speed, float(np.arctan2(turn[1, 0], turn[0, 0])) / span

    # ------------------------------------------------------------------ the picture

    def _picture(self, moment: Moment):
        grid, view, t, index, blob = *self._cast(moment),
        pixels = TILE * TILE
        t, index = t.view(-1, grid.rays, pixels), index.view(-1, grid.rays, pixels)
        rays = grid.directions.view(-1, 3, grid.rays, pixels)
        again = self._differs(t, index)
        chosen = torch.cat([torch.ones_like(again[:, :1]), again], dim=1)
        where = chosen.reshape(-1).nonzero()[:, 0]
        flat_rays = rays.permute(1, 0, 2, 3).reshape(3, -1)[:, where]
        spread = blob[:, None].expand(-1, grid.rays, -1).reshape(-1)[where]
        light, label = shade(view, flat_rays, t.reshape(-1)[where], index.reshape(-1)[where], spread)
        value = develop(self.scene.light, light, flat_rays, self._sun_cam)
        full = torch.zeros((3, chosen.numel()))if value.device.type == 'cpu' else torch.zeros((3, chosen.numel()), device=value.device)
        full[:, where] = value
        full = full.view(3, *chosen.shape)
        centre = full[:, :, :1]
        colour = torch.where(chosen, full, centre).mean(2).permute(1, 2, 0)
        labels = torch.zeros(chosen.numel(), dtype=torch.uint8, device=t.device)
        labels[where] = label.to(torch.uint8)
        labels = labels.view(chosen.shape)[:, 0]
        first = index[:, 0]
        objects = view.look[OBJECT].to(torch.int32)
        instance = torch.where(first >= 0, objects[first.clamp(min=0)], 0)
        depth = torch.where(first == SKY, float('inf'), t[:, 0])
        depth, labels, instance = (grid.image(v.contiguous())[0].cpu().numpy() for v in (depth, labels, instance))
        return grid.image(colour.contiguous())[0], depth, labels, instance

    def _differs(self, t: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """Return which outer rays [T, rays - 1, pixels] have met another surface than the ray through the pixel's centre."""
        inverse = t.reciprocal()
        bend = (inverse[:, 1:].mean(1) - inverse[:, 0]).abs() > 4e-5 * inverse[:, 0]
        return (index[:, 1:] != index[:, :1]) | bend[:, None]

    def _cast(self, moment: Moment):
        grid, device = self.grid, self.device
        pose = moment.base @ self.camera_in_base
        rotation, eye = pose[:3, :3], pose[:3, 3]
        self._sun_cam = rotation.T @ self.scene.sun
        rows = moment.rows
        axes = rows[:, AXES].reshape(-1, 3, 3)
        in_camera = np.einsum('ji,njk->nik', rotation, axes)                    # camera axes <- unit shape
        matrix = in_camera.transpose(0, 2, 1) / rows[:, HALF][:, :, None]
        origin = -np.einsum('nij,nj->ni', matrix, (rows[:, CENTRE] - eye) @ rotation)

        def send(a):
            return torch.from_numpy(np.ascontiguousarray(a, np.float32)).to(device)
        matrix, origin, look = send(matrix), send(origin), send(rows.T)
        bounds = screen_bounds(send(in_camera * rows[:, HALF][:, None, :]), send((rows[:, CENTRE] - eye) @ rotation))
        kind = look[KIND]
        boxes, rounds = candidates(grid, matrix[None], origin[None], bounds[None], (kind == BOX)[None])
        window, corner = self.scene.ground.window(eye[0], eye[1], device)
        view = View(self.scene.town, self.scene.light, send(rotation), send([*(eye[:2] - corner), eye[2]]), matrix, origin,
                    look, window, self.scene.relief.shifted(eye[0], eye[1]), moment.signal, grid.pixel)
        t, index, blob = self._ground(view, moment, eye)
        cast(grid, boxes, rounds, matrix, origin, (kind == ELLIPSOID).float(), t, index)
        return grid, view, t, index, blob

    def _ground(self, view: View, moment: Moment, eye: np.ndarray):
        """Return depth, index and object shade (of centre rays) of the ground."""
        grid, relief = self.grid, view.relief
        height = float(eye[2])
        t = meet_ground(grid, relief, view.rotation, height)
        index = torch.full(t.shape, SKY, dtype=torch.int64, device=t.device)
        blob = torch.ones((grid.tiles, TILE * TILE), device=t.device)
        tiles = (t < float('inf')).any(1).nonzero()[:, 0]
        depth = t[tiles].reshape(-1)
        rays = (view.rotation @ grid.directions[tiles]).transpose(0, 1).reshape(3, -1)
        good = (depth < float('inf')).nonzero()[:, 0]
        near, d = depth[good], rays[:, good]
        x, y = near * d[0], near * d[1]
        fall = ((d[2] * near * 0.97 + height - relief.torch_height(x * 0.97, y * 0.97)) / (near * 0.03)).clamp(min=1e-3)
        near, kind = step_up(view.window, self.scene.town.kerb_m, x + view.eye[0], y + view.eye[1], near, d[0], d[1], fall)
        depth[good] = near
        kinds = torch.full_like(depth, SKY, dtype=torch.int64)
        kinds[good] = kind
        t[tiles], index[tiles] = depth.view(len(tiles), -1), kinds.view(len(tiles), -1)
        if len(moment.shadows) and len(tiles):
            patches = moment.shadows.copy()
            patches[:, :3] -= eye
            centre = (view.rotation @ grid.directions[tiles][:, :, :TILE * TILE])[:, :2] * t[tiles][:, None, :TILE * TILE]
            points = centre.transpose(0, 1).reshape(2, -1)
            close = (points.abs().amax(0) < 75).nonzero()[:, 0]
            shade_here = torch.ones_like(points[0])
            shade_here[close] = darken(torch.from_numpy(patches), points[:, close])
            blob[tiles] = shade_here.view(len(tiles), -1)
        return t, index, blob

    def _grey_levels(self, colour: torch.Tensor, index: int) -> np.ndarray:
        """Add the sensor's noise and round to bytes."""
        noise = self.scene.light.noise
        levels = colour * 255
        if noise:
            rng = np.random.default_rng([self.seed, index, 99])
            grain = rng.standard_normal(levels.shape, dtype=np.float32) * noise
            levels = levels + torch.from_numpy(grain).to(levels.device)
        return levels.add_(0.5).clamp_(0, 255).to(torch.uint8).cpu().numpy()


def camera_mount(height_m: float, pitch_deg: float) -> np.ndarray:
    """Return the pose of the camera's optical frame in base_link, float64 [4, 4]; pitch_deg > 0 looks down."""
    p = np.radians(pitch_deg)
    mount = np.eye(4)
    mount[:3, 0] = 0, -1, 0
    mount[:3, 1] = -np.sin(p), 0, -np.cos(p)
    mount[:3, 2] = np.cos(p), 0, -np.sin(p)
    mount[:3, 3] = LEVER_ARM_M, 0, height_m
    return mount

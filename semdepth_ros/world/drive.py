"""A drive through the procedural world: frame after frame with exact truth."""
from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby

import numpy as np
import torch

from semdepth_ros.geometry.camera import Camera
from semdepth_ros.world.bonnet import bonnet_under
from semdepth_ros.world.photographs import expect_for_training, photographed
from semdepth_ros.world.presets import default_camera, find_preset
from semdepth_ros.world.primitives import yaw_matrix
from semdepth_ros.world.renderer import Picture, Renderer
from semdepth_ros.world.scene import OWN_CAR, Moment, Scene

CPU_PIXELS, GPU_PIXELS = 200_000, 2_000_000     # rendered at once
TWIST_STEP_S = 0.02
GRAIN = 1 << 22         # numbers drawn for the sensor's noise
LEVER_ARM_M = 1.7       # the camera stands this far ahead of the rear axle


@dataclass(frozen=True)
class WorldFrame:
    """One image of the world with its truth.

    World axes: z up; the origin is the road under the rear axle of frame 0, x its heading. base_link is the road point
    under the middle of the rear axle, x forward, y left, z up.

    :param image: uint8 [H, W, 3] rgb
    :param depth: along the optical axis [m], float32 [H, W]; +inf sky
    :param labels: Cityscapes train ids, uint8 [H, W]
    :param instances: number of the vehicle or person, int32 [H, W]; 0 elsewhere
    :param pose: camera to world, float64 [4, 4]
    :param odometry_pose: base_link in the world (the odometry frame), float64 [4, 4]
    :param odometry_twist: speed of base_link along its x [m/s] and its yaw rate [rad/s]
    :param camera_in_base: camera optical frame to base_link, float64 [4, 4]
    :param stamp_ns: time since the first frame [ns]
    :param motions: rigid motion in world axes of every visible instance from this frame to the next, float64 [4, 4]
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
    :param clutter: whether unlabelled things float about, and half of all has colours and textures drawn at random
    :param bonnet: share of the image's rows, from the last one up, to which the own bonnet reaches; it is unlabelled
    :param same_speed: whether a car drives ahead at the own speed all the way
    :param repetitive: whether walls are plain, and fences and fronts repeat themselves
    :param photographs: files of pictures that materials have in place of drawn textures, by material; of training towns
        alone. See photographs.draw_photographs
    :raises ValueError: an unknown preset or split, a number out of range, or a photograph that cannot be read
    """

    units_per_metre = 256        # of depth written as uint16
    nearest_m = 3.0              # of the preview's colours

    def __init__(self, preset: str = 'day', seed: int = 0, frames: int = 100, camera: Camera | None = None,
                 rate_hz: float = 10.0, split: str = 'test', device: str = 'cpu', rays: int = 4,
                 pitch_deg: float | None = None, clutter: bool = False, bonnet: float = 0.0,
                 same_speed: bool = False, repetitive: bool = False, photographs: Mapping[str, str] | None = None):
        kind = find_preset(preset)
        for name, value in (('frames', frames), ('rate_hz', rate_hz), ('rays', rays)):
            if not value > 0:
                raise ValueError(f'{name} is {value}, expected a positive number')
        if not 0 <= bonnet < 1:
            raise ValueError(f'bonnet is {bonnet}, expected a share of the rows, 0 to less than 1')
        if seed < 0:
            raise ValueError(f'seed is {seed}, expected zero or a positive number')
        if camera and camera.height_m is not None and not camera.height_m > 0:
            raise ValueError(f'camera height is {camera.height_m} m, expected a positive number: above the road')
        if photographs:
            expect_for_training(split)
        self.preset, self.seed, self.frames, self.rate_hz, self.split = preset, seed, int(frames), float(rate_hz), split
        self.camera, self.device, self.rays = camera or default_camera(preset), usable_device(device), int(rays)
        self.name = f'{preset}_{split}_{seed}'
        self.camera_in_base = camera_mount(self.camera.height_m or kind.height_m,
                                           kind.pitch_deg if pitch_deg is None else pitch_deg)
        self.scene = Scene(kind, seed, split, frames / rate_hz + 1, clutter, same_speed, repetitive)
        if bonnet:
            self.scene.bonnet = bonnet_under(self.camera, self.camera_in_base, bonnet, np.random.default_rng([seed, 8]))
        self._focal = float(np.sqrt(self.camera.fx * self.camera.fy))
        textures = photographed(photographs, self.device) if photographs else None
        self.renderer = Renderer(self.scene, self.camera, self.rays, self.device, textures)
        start = self.scene.plan.pose(0.0)
        level = np.eye(4)
        level[:3, :3], level[:3, 3] = yaw_matrix(np.arctan2(start[1, 0], start[0, 0])), start[:3, 3]
        self._from_town = np.linalg.inv(level)

    def __len__(self) -> int:
        return self.frames

    def __getitem__(self, index: int) -> WorldFrame:
        return self.render([index])[0]

    def render(self, indices) -> list[WorldFrame]:
        """Render these frames, in this order; several at once where the device has room or the CPU has threads.

        :raises IndexError: an index beyond the drive
        """
        numbers = [self._checked(i) for i in indices]
        moments = [self.scene.at(i / self.rate_hz, self.camera_in_base, self._focal) for i in numbers]
        frames: list[WorldFrame] = []
        for _, group in groupby(range(len(numbers)), key=lambda k: self.scene.ground.block_of(moments[k].camera)):
            group = list(group)
            self.scene.ground.window(*moments[group[0]].camera[:2, 3], self.device)
            most = self._at_once(len(group))
            parts = [group[first:first + most] for first in range(0, len(group), most)]
            pictures = self._pictures([[moments[k] for k in part] for part in parts])
            for part, picture in zip(parts, pictures):
                frames += self._frames([numbers[k] for k in part], [moments[k] for k in part], picture)
        return frames

    def _at_once(self, wanted: int) -> int:
        """Return how many frames to render in one go."""
        pixels = self.camera.width * self.camera.height
        if self.device != 'cpu':
            return max(1, GPU_PIXELS // pixels)
        return max(1, min(CPU_PIXELS // pixels, -(-wanted // torch.get_num_threads())))

    def _pictures(self, parts: list[list[Moment]]) -> list[Picture]:
        """Return the picture of every part; on a CPU each of torch's threads renders parts of its own.

        The many small steps of a picture gain nothing from several threads, and lose much where others want the cores.
        """
        if self.device != 'cpu':
            return [self._picture(part) for part in parts]
        threads = torch.get_num_threads()
        try:
            torch.set_num_threads(1)
            with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                return list(pool.map(self._picture, parts))
        finally:
            torch.set_num_threads(threads)

    def _picture(self, part: list[Moment]) -> Picture:
        with torch.no_grad(), torch.autocast(torch.device(self.device).type, enabled=False):
            return self.renderer.render(part)

    def _checked(self, index: int) -> int:
        if not -self.frames <= index < self.frames:
            raise IndexError(f'frame is {index}, expected less than {self.frames}')
        return int(index) % self.frames

    def pose(self, index: int) -> np.ndarray:
        """Return the camera-to-world pose of a frame without rendering it, float64 [4, 4]."""
        return self._from_town @ self.scene.plan.pose(self._checked(index) / self.rate_hz) @ self.camera_in_base

    def _frames(self, numbers: list[int], moments: list[Moment], picture: Picture) -> list[WorldFrame]:
        images = sense(picture.colour, self.scene.light.noise, [[self.seed, i] for i in numbers]).cpu().numpy()
        depth, labels, instances = (v.cpu().numpy() for v in (picture.depth, picture.labels, picture.instances))
        frames = []
        for k, (number, moment) in enumerate(zip(numbers, moments)):
            time, base = number / self.rate_hz, self._from_town @ moment.base
            frames.append(WorldFrame(
                image=images[k], depth=depth[k], labels=labels[k], instances=instances[k],
                pose=base @ self.camera_in_base, odometry_pose=base, odometry_twist=self._twist(time),
                camera_in_base=self.camera_in_base.copy(), stamp_ns=round(number * 1e9 / self.rate_hz),
                motions=self._motions(instances[k], moment, number)))
        return frames

    def _motions(self, instances: np.ndarray, moment: Moment, number: int) -> dict[int, np.ndarray]:
        """Return the motion until the next frame of every instance in the picture."""
        time = (number + 1) / self.rate_hz
        after = {m.identity: pose for m, pose in self.scene.traffic.at(time)}
        after[OWN_CAR] = self.scene.plan.pose(time)
        back, motions = np.linalg.inv(self._from_town), {}
        for number in np.unique(instances[instances > 0]).tolist():
            motions[number] = np.eye(4)
            if number in moment.movers and number in after:
                motions[number] = self._from_town @ after[number] @ np.linalg.inv(moment.movers[number]) @ back
        return motions

    def _twist(self, time: float) -> tuple[float, float]:
        """Return speed [m/s] and yaw rate [rad/s] of the rear axle."""
        first, last = max(time - TWIST_STEP_S, 0.0), time + TWIST_STEP_S
        a, b, now = (self.scene.plan.pose(t) for t in (first, last, time))
        turn = a[:3, :3].T @ b[:3, :3]
        speed = (b[:3, 3] - a[:3, 3]) @ now[:3, 0] / (last - first)
        return float(speed), float(np.arctan2(turn[1, 0], turn[0, 0]) / (last - first))


def usable_device(name: str) -> str:
    """Return the name of a torch device; raise ValueError if there is none of that name here."""
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f'device is {name!r}, which cannot be used: {str(error).splitlines()[0]}') from None
    return str(torch.device(name))


def sense(colour: torch.Tensor, noise: float, seeds: list[list[int]]) -> torch.Tensor:
    """Return the sensor's bytes: colour 0..1 [F, H, W, 3] with Gaussian grain of `noise` grey levels, rounded.

    Every frame takes its grain from a place of its own in one long row of numbers, the same on every device.
    """
    levels = colour * 255
    if noise:
        row, many = _grain(str(colour.device)), colour[0].numel()
        for image, seed in zip(levels, seeds):
            start = int(np.random.default_rng([*seed, 99]).integers(max(GRAIN - many, 1)))
            part = row[start:start + many] if many < GRAIN else row.repeat(1 + many // GRAIN)[:many]
            image.add_(part.view(image.shape), alpha=noise)
    return levels.add_(0.5).clamp_(0, 255).to(torch.uint8)


@lru_cache(maxsize=4)
def _grain(device: str) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(99).standard_normal(GRAIN, dtype=np.float32)).to(device)


def camera_mount(height_m: float, pitch_deg: float) -> np.ndarray:
    """Return the pose of the camera's optical frame in base_link, float64 [4, 4]; pitch_deg > 0 looks down."""
    p = np.radians(pitch_deg)
    mount = np.eye(4)
    mount[:3, 0] = 0, -1, 0
    mount[:3, 1] = -np.sin(p), 0, -np.cos(p)
    mount[:3, 2] = np.cos(p), 0, -np.sin(p)
    mount[:3, 3] = LEVER_ARM_M, 0, height_m
    return mount

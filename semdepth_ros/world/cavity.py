"""A camera moving through a cavity of soft tissue, frame after frame with exact depth at 0.01 to 0.3 m."""
from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from semdepth_ros.classes import UNLABELLED
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.world.drive import WorldFrame, sense, usable_device
from semdepth_ros.world.tissue import Tissue
from semdepth_ros.world.town import SPLITS

CAVITY = 'cavity'              # what it is called where presets are named
SIZE, FOV_DEG = (640, 480), 80.0
NOISE = 1.5                     # of the sensor [grey levels]
REACH = np.array([0.48, 0.25, 0.25])     # of the way along the cavity's axes; |REACH| + BUMP_SUM < 1 keeps it inside
BRIGHT_M = 0.055                # a wall across the line of sight at this distance is as bright as its colour
MARCHES, GROWTH, CUTS = 400, 1.015, 8
NEAR_ENOUGH = 1e-3              # |f| at which steps stop getting shorter: 0.02 mm at first, where rays graze the wall 0.3 mm
_SEED = 31                      # keeps what is drawn apart from what towns draw
# camera optical frame (z ahead) in the axes of a base that looks along x
CAMERA_IN_BASE = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])


class Cavity:
    """A lazy, deterministic sequence of WorldFrame in a closed cavity: no ground, no classes, nothing that drives.

    The light sits at the lens: the wall gets dimmer with the square of its distance and with its slant, and so each place
    of it changes as the camera moves. The exposure stays as it is. Every ray meets the wall. Labels are 255 and
    instances 0 everywhere. The world's axes are those of the first camera, x ahead, z up; base_link is where the
    camera is.

    :param seed: which cavity and which way through it
    :param frames: how many
    :param camera: intrinsics, distorted ones too; None for 640x480 with 80 degrees of view
    :param rate_hz: frames a second
    :param split: 'train', 'val' or 'test': what is drawn differs
    :param device: torch device that renders
    :param deformation: root of the mean square of how far the wall is moved from its place at rest [m]; 0 is rigid
    :param deformation_hz: how often a second it comes back
    :param speed: of the camera, its mean along the way [m/s]
    :raises ValueError: an unknown split, or a number out of range
    """

    units_per_metre = 100_000    # of depth written as uint16: steps of 0.01 mm, up to 0.65 m
    nearest_m = 0.03             # of the preview's colours

    def __init__(self, seed: int = 0, frames: int = 100, camera: Camera | None = None, rate_hz: float = 10.0,
                 split: str = 'test', device: str = 'cpu', deformation: float = 0.0, deformation_hz: float = 0.3,
                 speed: float = 0.03):
        for name, value in (('frames', frames), ('rate_hz', rate_hz), ('speed', speed)):
            if not value > 0:
                raise ValueError(f'{name} is {value}, expected a positive number')
        if not 0 <= deformation <= 0.01:
            raise ValueError(f'deformation is {deformation} m, expected 0 to 0.01')
        if not 0 <= deformation_hz <= 10:
            raise ValueError(f'deformation_hz is {deformation_hz}, expected 0 to 10')
        if seed < 0:
            raise ValueError(f'seed is {seed}, expected zero or a positive number')
        if split not in SPLITS:
            raise ValueError(f'split is {split!r}, expected one of {", ".join(SPLITS)}')
        self.preset, self.seed, self.frames, self.rate_hz, self.split = CAVITY, seed, int(frames), float(rate_hz), split
        self.camera, self.device = camera or default_cavity_camera(), usable_device(device)
        self.name = f'{CAVITY}_{split}_{seed}'
        rng = np.random.default_rng([seed, SPLITS.index(split), _SEED])
        self.tissue = Tissue(rng, deformation, deformation_hz)
        self.way = Way(rng, self.tissue.axes, speed)
        self.exposure = float(np.exp(rng.uniform(-0.3, 0.3)))
        self.camera_in_base = CAMERA_IN_BASE
        self._to_world = CAMERA_IN_BASE @ np.linalg.inv(self.way.pose(0.0))
        self._rays = torch.from_numpy(self.camera.rays().reshape(-1, 3).astype(np.float64))     # z = 1

    def __len__(self) -> int:
        return self.frames

    def __getitem__(self, index: int) -> WorldFrame:
        return self.render([index])[0]

    def pose(self, index: int) -> np.ndarray:
        """Return the camera-to-world pose of a frame without rendering it, float64 [4, 4]."""
        return self._to_world @ self.way.pose(self._checked(index) / self.rate_hz)

    def render(self, indices) -> list[WorldFrame]:
        """Render these frames, in this order.

        :raises IndexError: an index beyond the sequence
        """
        return [self._frame(self._checked(index)) for index in indices]

    def _checked(self, index: int) -> int:
        if not -self.frames <= index < self.frames:
            raise IndexError(f'frame is {index}, expected less than {self.frames}')
        return int(index) % self.frames

    @torch.no_grad()
    def _frame(self, number: int) -> WorldFrame:
        time, size = number / self.rate_hz, (self.camera.height, self.camera.width)
        inside = self.way.pose(time)
        rotation, eye = (torch.from_numpy(part).to(self.device) for part in (inside[:3, :3], inside[:3, 3]))
        rays = self._rays.to(self.device) @ rotation.T
        depth = meet_wall(self.tissue, eye, rays, time)
        colour = self._lit(eye, rays, depth, time).float().view(1, *size, 3)
        image = sense(colour, NOISE, [[self.seed, number]])[0].cpu().numpy()
        pose = self._to_world @ inside
        base = pose @ np.linalg.inv(CAMERA_IN_BASE)
        return WorldFrame(
            image=image, depth=depth.float().view(size).cpu().numpy(), labels=np.full(size, UNLABELLED, np.uint8),
            instances=np.zeros(size, np.int32), pose=pose, odometry_pose=base, odometry_twist=self._twist(time, base),
            camera_in_base=CAMERA_IN_BASE.copy(), stamp_ns=round(number * 1e9 / self.rate_hz))

    def _lit(self, eye: Tensor, rays: Tensor, depth: Tensor, time: float) -> Tensor:
        """Return the colours [N, 3] in 0..1 of what rays [N, 3] meet at depths [N] m."""
        way = rays * depth[:, None]
        points, distance = eye + way, way.norm(dim=1)
        facing = (-(way * self.tissue.normal(points, time)).sum(1) / distance).clamp(min=0.0)
        footprint = distance / self.camera.fx / facing.clamp(min=0.1)
        light = self.exposure * facing * (BRIGHT_M / distance) ** 2
        albedo = self.tissue.albedo(self.tissue.at_rest(points, time), footprint)
        return (1 - torch.exp(-albedo * light[:, None])) ** (1 / 2.2)

    def _twist(self, time: float, base: np.ndarray) -> tuple[float, float]:
        step = 0.01
        after = self._to_world @ self.way.pose(time + step) @ np.linalg.inv(CAMERA_IN_BASE)
        turn = base[:3, :3].T @ after[:3, :3]
        return (float((after[:3, 3] - base[:3, 3]) @ base[:3, 0] / step), float(np.arctan2(turn[1, 0], turn[0, 0]) / step))


class Way:
    """A smooth way that stays in the cavity's middle, looking about.

    :param axes: of the cavity [m]
    :param speed: mean along the way [m/s]
    """

    def __init__(self, rng: np.random.Generator, axes: np.ndarray, speed: float):
        self.reach = axes * REACH
        self.rates, self.phases = rng.uniform(0.7, 1.6, 3), rng.uniform(0, 2 * np.pi, 3)
        self.forward, self.roll = rng.normal(size=3) * (1.0, 0.3, 0.3) + (rng.choice((-1, 1)), 0, 0), rng.uniform(0, 2 * np.pi)
        self.turn_rates, self.turn_phases = rng.uniform(0.5, 1.2, 3), rng.uniform(0, 2 * np.pi, 3)
        times = np.linspace(0, 40, 2000)
        steps = np.linalg.norm(np.diff([self._place(t) for t in times], axis=0), axis=1)
        self.pace = speed * (times[1] - times[0]) / steps.mean()

    def pose(self, time: float) -> np.ndarray:
        """Return the camera's pose in the cavity's axes at a time [s], float64 [4, 4] m."""
        t = time * self.pace
        yaw, pitch, roll = np.array([0.7, 0.5, 0.5]) * np.sin(self.turn_rates * t + self.turn_phases)
        pose = np.eye(4)
        pose[:3, :3] = _looking(self.forward, self.roll) @ _turned(yaw, pitch, roll)
        pose[:3, 3] = self._place(t)
        return pose

    def _place(self, t: float) -> np.ndarray:
        return self.reach * np.sin(self.rates * t + self.phases)


def default_cavity_camera(size: tuple[int, int] | None = None, fov_deg: float | None = None) -> Camera:
    """Return the camera a cavity is seen through unless another is given.

    :param size: width and height [px] instead of 640x480
    :param fov_deg: horizontal field of view instead of 80
    """
    return Camera.from_field_of_view(*(size or SIZE), FOV_DEG if fov_deg is None else fov_deg)


def meet_wall(tissue: Tissue, eye: Tensor, rays: Tensor, time: float) -> Tensor:
    """Return how often each ray [N, 3] goes into the way from the eye [3] m to the wall, float64 [N].

    Steps are no longer than |f| over the most that f can change by over a metre, so that nothing is stepped over until
    the wall is NEAR_ENOUGH; there they grow slowly, until f changes its sign. Single precision does so far; the place
    where it changes is then found in double precision by false position.
    """
    single, start = rays.float(), eye.float()
    most = tissue.steepest * single.norm(dim=1)
    near, far = torch.zeros_like(most), torch.zeros_like(most)
    going = torch.arange(len(rays), device=rays.device)
    for march in range(MARCHES):
        f = tissue.f(start + single[going] * far[going, None], time)
        ended = f >= 0
        near[going] = torch.where(ended, near[going], far[going])
        far[going] += torch.where(ended, 0.0, (-f).clamp(min=NEAR_ENOUGH * GROWTH ** march) / most[going])
        going = going[~ended]
        if not len(going):
            break
    near, far = near.double(), far.double()
    f_near, f_far = (tissue.f(eye + rays * t[:, None], time) for t in (near, far))
    for _ in range(CUTS):
        cut = near + (far - near) * (f_near / (f_near - f_far)).clamp(0, 1)
        f = tissue.f(eye + rays * cut[:, None], time)
        inside = f < 0      # the end that stays counts half, lest it stays for ever
        near, f_near = torch.where(inside, cut, near), torch.where(inside, f, f_near / 2)
        far, f_far = torch.where(inside, far, cut), torch.where(inside, f_far / 2, f)
    return cut


def _looking(forward: np.ndarray, roll: float) -> np.ndarray:
    """Return the axes [3, 3] of a camera that looks along forward, turned about that by roll [rad]."""
    z = forward / np.linalg.norm(forward)
    x = np.cross(z, np.eye(3)[np.abs(z).argmin()])
    x /= np.linalg.norm(x)
    return np.stack((x, np.cross(z, x), z), axis=1) @ _turned(0, 0, roll)


def _turned(yaw: float, pitch: float, roll: float) -> np.ndarray:
    (cy, cp, cr), (sy, sp, sr) = np.cos([yaw, pitch, roll]), np.sin([yaw, pitch, roll])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1.0]])
    return about_y @ about_x @ about_z

"""Many short drives, each with a camera of its own: what networks are trained on."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from semdepth_ros.geometry.camera import Camera
from semdepth_ros.world.cavity import CAVITY, Cavity
from semdepth_ros.world.drive import Drive
from semdepth_ros.world.photographs import draw_photographs, expect_for_training, find_photographs
from semdepth_ros.world.presets import default_camera, find_preset
from semdepth_ros.world.town import SPLITS

# share of each preset in a training fleet; other_town, other_camera and hard are kept for tests
SHARES = {'day': 0.7, 'dusk': 0.08, 'glare': 0.08, 'fog': 0.07, 'night': 0.07}
CLUTTERED, WITH_BONNET = 0.12, 0.15      # shares of a training fleet's drives
PHOTOGRAPHED = 0.5                       # the same, where there are photographs
_PHOTOGRAPHED_DRAW = 99                  # its number among the draws of kinds, far from those of knobs
BONNET_ROWS = (0.03, 0.18)
_CAVITY_DRAW = 12
_KINDS_DRAW = 11         # keeps what knobs choose apart from everything else that is drawn
FIELD_OF_VIEW_DEG, HEIGHT_M, PITCH_DEG = (55.0, 95.0), (1.2, 2.2), (-1.0, 5.0)
CAVITY_VIEW_DEG, CAVITY_SPEED, CAVITY_RATE_HZ = (60.0, 95.0), (0.02, 0.045), 30.0     # endoscopes are so quick


@dataclass(frozen=True)
class FleetDrive:
    """One drive of a fleet, before its town is built: what a process needs to know to render it.

    :param number: in the fleet
    :param pitch_deg: how far the camera looks down; clutter, bonnet, same_speed, repetitive, photographs: see Drive
    """

    number: int
    preset: str
    seed: int
    frames: int
    camera: Camera
    split: str
    pitch_deg: float
    clutter: bool = False
    bonnet: float = 0.0
    same_speed: bool = False
    repetitive: bool = False
    photographs: Mapping[str, str] | None = None

    @property
    def name(self) -> str:
        """Name of its folder: number and preset."""
        return f'{self.number:03d}_{self.preset}'

    def build(self, device: str = 'cpu') -> Drive:
        """Return the drive, its town built; see Drive for what raises."""
        return Drive(self.preset, self.seed, self.frames, self.camera, split=self.split, device=device,
                     pitch_deg=self.pitch_deg, clutter=self.clutter, bonnet=self.bonnet, same_speed=self.same_speed,
                     repetitive=self.repetitive, photographs=self.photographs)


@dataclass(frozen=True)
class FleetCavity:
    """One way through a cavity, as FleetDrive is for towns; deformation and speed: see Cavity."""

    number: int
    seed: int
    frames: int
    camera: Camera
    split: str
    deformation: float
    speed: float

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f'{self.number:03d}_{CAVITY}'

    def build(self, device: str = 'cpu') -> Cavity:
        """Return the sequence; see Cavity for what raises."""
        return Cavity(self.seed, self.frames, self.camera, CAVITY_RATE_HZ, self.split, device,
                      deformation=self.deformation, speed=self.speed)


def draw_fleet(drives: int, frames: int, width: int, height: int, split: str = 'train', seed: int = 0,
               same_speed: float = 0.0, repetitive: float = 0.0, preset: str = '',
               photographs: str = '') -> list[FleetDrive]:
    """Return drives whose town, light, field of view, camera height and pitch are drawn at random.

    Drive n is the same whatever the number of drives: a pure function of (split, seed, n) and of the photographs there.

    :param same_speed: share of drives behind a car that keeps the own speed all the way
    :param repetitive: share of drives through towns of plain walls, and of fences and fronts that repeat themselves
    :param preset: whose light and camera all drives have, without clutter and bonnets: towns alone are drawn; empty draws
        light and camera too
    :param photographs: a folder of pictures that the surfaces of half of the drives have, see Drive
    :raises ValueError: seed is negative, an unknown split or preset, a share outside 0..1, or photographs that are not
        there, are none, or are not for training
    """
    _expect_drawable(seed, split)
    plain = [_draw(number, frames, width, height, split, seed) for number in range(drives)]
    if preset:
        same = {'preset': preset, 'camera': default_camera(preset, (width, height)), 'clutter': False, 'bonnet': 0.0,
                'pitch_deg': find_preset(preset).pitch_deg}
        plain = [replace(drive, **same) for drive in plain]
    drawn = [replace(drive, **chosen_kinds(drive.seed, split, same_speed, repetitive)) for drive in plain]
    if not photographs:
        return drawn
    expect_for_training(split)
    found = find_photographs(photographs)
    return [replace(drive, photographs=draw_photographs(found, drive.seed))
            if _draw_of_kind(drive.seed, split, _PHOTOGRAPHED_DRAW) < PHOTOGRAPHED else drive for drive in drawn]


def chosen_kinds(seed: int, split: str, same_speed: float, repetitive: float) -> dict[str, bool]:
    """Return whether a drive is one of those that knobs make, by the knob's name; a pure function of seed and split.

    A drive that a share chooses is chosen by every larger one; what else is drawn of it does not change.

    :param same_speed, repetitive: shares of drives, see draw_fleet
    :raises ValueError: a negative seed, an unknown split, or a share outside 0..1
    """
    _expect_drawable(seed, split)
    chosen = {}
    for number, (name, share) in enumerate((('same_speed', same_speed), ('repetitive', repetitive))):
        if not 0 <= share <= 1:
            raise ValueError(f'{name} is {share}, expected a share of drives, 0 to 1')
        chosen[name] = _draw_of_kind(seed, split, number) < share
    return chosen


def _draw_of_kind(seed: int, split: str, number: int) -> float:
    return float(np.random.default_rng([seed, SPLITS.index(split), _KINDS_DRAW, number]).random())


def _expect_drawable(seed: int, split: str) -> None:
    if seed < 0:
        raise ValueError(f'seed is {seed}, expected zero or a positive number')
    if split not in SPLITS:
        raise ValueError(f'split is {split!r}, expected one of {", ".join(SPLITS)}')


def _draw(number: int, frames: int, width: int, height: int, split: str, seed: int) -> FleetDrive:
    rng = np.random.default_rng([seed, number, SPLITS.index(split)])
    preset = str(rng.choice(list(SHARES), p=list(SHARES.values())))
    fov, height_m = rng.uniform(*FIELD_OF_VIEW_DEG), round(rng.uniform(*HEIGHT_M), 3)
    camera = Camera.from_field_of_view(width, height, fov, height_m=height_m)
    return FleetDrive(number, preset, 1000 * seed + number, frames, camera, split, float(rng.uniform(*PITCH_DEG)),
                      bool(rng.random() < CLUTTERED and split == 'train'),
                      float(rng.uniform(*BONNET_ROWS)) if rng.random() < WITH_BONNET and split == 'train' else 0.0)


def draw_cavities(cavities: int, frames: int, width: int, height: int, split: str = 'train', seed: int = 0,
                  deformation: float = 0.0) -> list[FleetCavity]:
    """Return ways through cavities whose shape, colour, field of view and speed are drawn at random.

    Number n is the same however many there are: a pure function of (split, seed, n).

    :param deformation: of all of them [m], see Cavity
    :raises ValueError: seed is negative, or an unknown split
    """
    _expect_drawable(seed, split)
    drawn = []
    for number in range(cavities):
        rng = np.random.default_rng([seed, number, SPLITS.index(split), _CAVITY_DRAW])
        camera = Camera.from_field_of_view(width, height, rng.uniform(*CAVITY_VIEW_DEG))
        drawn.append(FleetCavity(number, 1000 * seed + number, frames, camera, split, deformation,
                                 float(rng.uniform(*CAVITY_SPEED))))
    return drawn


def fleet(drives: int, frames: int, width: int, height: int, split: str = 'train', seed: int = 0,
          device: str = 'cpu') -> Iterator[Drive]:
    """Yield the drives of `draw_fleet`, each built when it is asked for."""
    for drive in draw_fleet(drives, frames, width, height, split, seed):
        yield drive.build(device)

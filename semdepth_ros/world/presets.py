"""The kinds of drive that can be asked for by name."""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from semdepth_ros.geometry.camera import Camera
from semdepth_ros.world.light import Light
from semdepth_ros.world.town import Town


@dataclass(frozen=True)
class Preset:
    """A light, a town kind and a camera.

    :param elevation: range of the sun's elevation [deg], None for the town's own
    :param ahead: whether the sun stands ahead of the camera
    :param pitch_deg: how far the camera looks down
    :param skies: whether the sky is drawn from SKIES
    """

    light: Light
    elevation: tuple[float, float] | None = None
    ahead: bool = False
    other_town: bool = False
    plain: bool = False
    width: int = 1242
    height: int = 375
    fov_deg: float = 81.0
    height_m: float = 1.65
    pitch_deg: float = 1.2
    lamps_on: bool = False
    skies: bool = False


DAY = Light(sun=(0, 0, 1), sunlight=(2.75, 2.52, 2.18), skylight=(0.56, 0.64, 0.78), zenith=(0.20, 0.38, 0.72),
            horizon=(0.72, 0.82, 0.92), cloudiness=0.4, fog=0.0011, haze=(0.62, 0.70, 0.80), exposure=0.70)
DUSK = replace(DAY, sunlight=(1.15, 0.62, 0.30), skylight=(0.32, 0.32, 0.42), zenith=(0.10, 0.14, 0.30),
               horizon=(0.75, 0.45, 0.28), haze=(0.42, 0.32, 0.28), fog=0.002, lamps=0.25, headlights=0.8,
               lit_windows=0.3, exposure=1.2, noise=1.8)
NIGHT = replace(DAY, sunlight=(0.012, 0.014, 0.02), skylight=(0.020, 0.022, 0.030), zenith=(0.006, 0.008, 0.014),
                horizon=(0.030, 0.028, 0.030), haze=(0.018, 0.017, 0.018), fog=0.002, lamps=0.8, headlights=9.0,
                lit_windows=0.35, exposure=1.5, noise=3.5)
FOG = replace(DAY, sunlight=(0.25, 0.25, 0.25), skylight=(0.95, 0.97, 1.0), zenith=(0.72, 0.74, 0.76),
              horizon=(0.70, 0.72, 0.74), haze=(0.68, 0.70, 0.72), fog=0.022, cloudiness=1.0, headlights=0.4,
              exposure=0.75)
GLARE = replace(DAY, sunlight=(2.6, 2.1, 1.5), skylight=(0.5, 0.55, 0.66), haze=(0.80, 0.70, 0.56), fog=0.002,
                glare=0.22, exposure=0.85)

@dataclass(frozen=True)
class Sky:
    """A kind of day: colours of the sky, and ranges of its brightness, of sun, shade, clouds and exposure."""

    zenith: tuple[float, float, float]
    horizon: tuple[float, float, float]
    brightness: tuple[float, float]
    sun: tuple[float, float]
    shade: tuple[float, float]
    cloudiness: tuple[float, float]
    exposure: tuple[float, float]


SKIES = (Sky((0.20, 0.38, 0.72), (0.72, 0.82, 0.92), (1.0, 1.9), (0.8, 1.2), (0.40, 0.9), (0.1, 0.8), (0.60, 1.05)),
         Sky((0.05, 0.14, 0.42), (0.26, 0.44, 0.74), (0.6, 1.5), (0.9, 1.4), (0.25, 0.7), (-0.6, 0.1), (0.55, 1.0)),
         Sky((0.42, 0.60, 0.86), (0.80, 0.90, 0.98), (1.2, 2.6), (0.8, 1.3), (0.30, 0.8), (-0.5, 0.3), (0.55, 1.0)),
         Sky((2.6, 2.7, 2.8), (3.0, 3.0, 3.0), (1.0, 2.2), (0.8, 1.6), (0.14, 0.5), (0.0, 0.5), (0.45, 0.9)),
         Sky((0.62, 0.66, 0.70), (0.78, 0.80, 0.82), (0.9, 2.2), (0.04, 0.25), (0.8, 1.6), (0.9, 1.3), (0.6, 1.1)),
         Sky((0.34, 0.37, 0.42), (0.52, 0.55, 0.58), (0.7, 1.5), (0.05, 0.3), (0.6, 1.2), (0.7, 1.2), (0.7, 1.2)))
SKY_SHARES = (0.22, 0.20, 0.16, 0.20, 0.12, 0.10)     # clouded, deep blue, pale blue, burnt out, white, grey

PRESETS: dict[str, Preset] = {
    'day': Preset(DAY, skies=True),
    'dusk': Preset(DUSK, elevation=(4, 10), lamps_on=True),
    'night': Preset(NIGHT, elevation=(30, 50), lamps_on=True),
    'fog': Preset(FOG),
    'glare': Preset(GLARE, elevation=(9, 17), ahead=True),
    'other_town': Preset(DAY, skies=True, other_town=True),
    'other_camera': Preset(DAY, skies=True, width=960, height=600, fov_deg=60.0, height_m=2.2, pitch_deg=6.0),
    'hard': Preset(DAY, skies=True, plain=True),
}


def find_preset(name: str) -> Preset:
    """Return the preset of this name; raise ValueError for an unknown one."""
    if name not in PRESETS:
        raise ValueError(f'world preset is {name!r}, expected one of {", ".join(PRESETS)}')
    return PRESETS[name]


def default_camera(preset: str, size: tuple[int, int] | None = None, fov_deg: float | None = None) -> Camera:
    """Return the camera a preset is seen through unless another is given; its pixels are square at every size.

    :param size: width and height [px] instead of the preset's
    :param fov_deg: horizontal field of view instead of the preset's
    """
    p = find_preset(preset)
    width, height = size or (p.width, p.height)
    return Camera.from_field_of_view(width, height, p.fov_deg if fov_deg is None else fov_deg, height_m=p.height_m)


def light_of(preset: Preset, town: Town, rng: np.random.Generator) -> Light:
    """Return the preset's light with this town's sun and clouds, a sky and a camera's development of its own."""
    light, azimuth_deg, elevation_deg = preset.light, town.sun_azimuth_deg, town.sun_elevation_deg
    if preset.elevation:
        elevation_deg = rng.uniform(*preset.elevation)
    if preset.ahead:
        azimuth_deg = rng.uniform(-25, 25)
    if light.cloudiness < 1:
        light = replace(light, cloudiness=town.cloudiness)
    dim = 1 - 0.5 * max(0.0, light.cloudiness - 0.4)
    tint = 1 + rng.normal(0, 0.025, 3)
    light = replace(light, sunlight=tuple(np.array(light.sunlight) * dim * tint),
                    skylight=tuple(np.array(light.skylight) * tint), exposure=light.exposure * rng.uniform(0.75, 1.25),
                    contrast=rng.uniform(0.45, 1.2), saturation=rng.uniform(0.65, 1.35))
    if preset.skies:
        light = _under_a_sky(light, rng)
    return light.with_sun(azimuth_deg, elevation_deg)


def _under_a_sky(light: Light, rng: np.random.Generator) -> Light:
    """Return a daylight under one of SKIES: its colours, hardness of shadows, and how much of it is burnt out."""
    sky = SKIES[rng.choice(len(SKIES), p=SKY_SHARES)]
    level = rng.uniform(*sky.brightness) * (1 + rng.normal(0, 0.02, 3))
    sun, shade = rng.uniform(*sky.sun), rng.uniform(*sky.shade)
    cover = rng.uniform(*sky.cloudiness)
    return replace(light, zenith=tuple(np.array(sky.zenith) * level), horizon=tuple(np.array(sky.horizon) * level),
                   haze=tuple(np.minimum(np.array(sky.horizon) * level, 1.0) * 0.8), cloudiness=cover,
                   sunlight=tuple(np.array(light.sunlight) * sun), skylight=tuple(np.array(light.skylight) * shade),
                   exposure=light.exposure * rng.uniform(*sky.exposure), fog=light.fog * rng.uniform(0.3, 1.5))

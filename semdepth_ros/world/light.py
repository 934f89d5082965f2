"""Sun, sky, fog and the way the sensor turns light into grey levels."""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from semdepth_ros.world.textures import MATERIAL, look_up


@dataclass(frozen=True)
class Light:
    """The light of one drive; colours are linear rgb.

    :param sun: unit vector towards the sun, world axes
    :param sunlight, skylight: irradiance of the sun, and of the whole sky on a horizontal plane
    :param zenith, horizon: colour of the sky
    :param cloudiness: 0 clear .. 1 overcast
    :param fog: extinction [1/m]; haze: its colour
    :param lamps: strength of street lamps; headlights: of the own car's
    :param lit_windows: share of windows with light
    :param exposure: light to sensor signal; noise: standard deviation in grey levels; glare: strength of the sun's veil
    :param contrast, saturation: of the development; 0 and 1 leave it alone
    """

    sun: tuple[float, float, float]
    sunlight: tuple[float, float, float]
    skylight: tuple[float, float, float]
    zenith: tuple[float, float, float]
    horizon: tuple[float, float, float]
    cloudiness: float
    fog: float
    haze: tuple[float, float, float]
    lamps: float = 0.0
    headlights: float = 0.0
    lit_windows: float = 0.0
    exposure: float = 1.0
    noise: float = 1.0
    glare: float = 0.0
    contrast: float = 0.55
    saturation: float = 1.0

    def with_sun(self, azimuth_deg: float, elevation_deg: float) -> Light:
        """Return the same light with the sun elsewhere."""
        a, e = np.radians(azimuth_deg), np.radians(elevation_deg)
        return replace(self, sun=(float(np.cos(a) * np.cos(e)), float(np.sin(a) * np.cos(e)), float(np.sin(e))))


def vector(values, like: torch.Tensor) -> torch.Tensor:
    """Return three numbers as a column [3, 1] beside `like`."""
    return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None]


def length(v: torch.Tensor) -> torch.Tensor:
    """Return the lengths [n] of vectors [k, n]."""
    return (v * v).sum(0).sqrt_()


def sky_colour(light: Light, direction: torch.Tensor) -> torch.Tensor:
    """Return the sky's light [3, n] along unit directions [3, n] in world axes."""
    x, y, z = direction
    up = z.clamp(0.0, 1.0)
    colour = torch.lerp(vector(light.horizon, z), vector(light.zenith, z), up.sqrt())
    stretch = 0.28 / (up + 0.10)
    sheet = look_up(x * stretch, y * stretch, torch.full_like(x, MATERIAL['cloud']), 0.004 * stretch)
    cover = (sheet.mul_(0.22).add_(light.cloudiness - 0.28)).mul_(2.2).clamp_(0, 1).mul_((up * 9).clamp(max=1))
    bright = sum(light.zenith) / 3 * 0.5 + sum(light.horizon) / 3 * 0.75
    colour = torch.lerp(colour, vector((bright,) * 3, z) * (1.1 - 0.25 * cover), cover)
    towards = (direction * vector(light.sun, z)).sum(0).clamp(min=0)
    glow = 0.35 * towards ** 24 + 2.0 * towards ** 400 + 0.10 * towards ** 6
    return colour + glow * vector(light.sunlight, z) * 0.30 * (1 - 0.7 * cover)


def through_air(light: Light, colour: torch.Tensor, distance: torch.Tensor) -> torch.Tensor:
    """Return surfaces' light [3, n] after `distance` m [n] of haze."""
    return torch.lerp(vector(light.haze, colour), colour, torch.exp(distance * -light.fog))


def veil(light: Light, unit: torch.Tensor, ahead: torch.Tensor) -> torch.Tensor:
    """Return the light the sun scatters inside the lens [3, n].

    :param unit: unit directions in world axes [3, n]
    :param ahead: the camera's optical axis [3, n] or [3, 1]
    """
    sun = vector(light.sun, unit)
    towards = (unit * sun).sum(0).clamp(min=0)
    strength = light.glare * (0.10 + 0.9 * towards ** 8 + 2.5 * towards ** 60)
    return strength * (ahead * sun).sum(0).clamp(min=0) * vector(light.sunlight, unit)


def develop(light: Light, colour: torch.Tensor) -> torch.Tensor:
    """Return display values 0..1 of light [3, n]: exposure, a film-like curve, gamma and contrast."""
    grey = (1 - torch.exp(colour * (-1.5 * light.exposure))).clamp_(0, 1).pow_(1 / 2.2)
    grey = torch.lerp(grey, grey * grey * (3 - 2 * grey), light.contrast).clamp_(0, 1)
    if light.saturation == 1:
        return grey
    return torch.lerp(grey.mean(0, keepdim=True), grey, light.saturation).clamp_(0, 1)

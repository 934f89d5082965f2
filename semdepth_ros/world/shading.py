"""The colour of what rays have met: texture, light, shade, air."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from semdepth_ros.classes import SKY as SKY_CLASS
from semdepth_ros.classes import TRAIN_ID
from semdepth_ros.world import ground_map as gm
from semdepth_ros.world import patterns
from semdepth_ros.world import primitives as pr
from semdepth_ros.world.ground import KERB_FACE, SKY, ground_albedo, sample
from semdepth_ros.world.light import Light, length, sky_colour, through_air, vector
from semdepth_ros.world.relief import Relief
from semdepth_ros.world.textures import MATERIAL, look_up
from semdepth_ros.world.town import Town


FIRST_VEHICLE = TRAIN_ID['car']


@dataclass(frozen=True)
class View:
    """Everything about one frame that shading needs.

    :param rotation: camera to world axes [3, 3]; eye: camera in the map window [3] (z above datum)
    :param matrix, origin: of the primitives, see `casting.cast` [P, 3, 3], [P, 3]; look: their columns [COLUMNS, P]
    :param window: the ground map; relief: shifted to the camera
    :param signal: level of the lit lamp of traffic lights
    """

    town: Town
    light: Light
    rotation: torch.Tensor
    eye: torch.Tensor
    matrix: torch.Tensor
    origin: torch.Tensor
    look: torch.Tensor
    window: torch.Tensor
    relief: Relief
    signal: float
    pixel: float


def shade(view: View, rays: torch.Tensor, depth: torch.Tensor, index: torch.Tensor,
          blob: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return light [3, n] and class [n] of what the rays have met.

    :param rays: directions with z = 1 in camera axes [3, n]; depth along Z [n]
    :param index: primitive, or ROAD, RAISED, KERB_FACE, SKY [n]
    :param blob: how much of the light on the ground the objects above it leave [n]
    """
    direction = view.rotation @ rays
    colour, label = torch.empty_like(rays), torch.full_like(index, SKY_CLASS)
    for chosen, paint in ((index == SKY, _sky), (index >= 0, _things), ((index < 0) & (index != SKY), _ground)):
        at = chosen.nonzero()[:, 0]
        if len(at):
            colour[:, at], part = paint(view, rays[:, at], direction[:, at], depth[at], index[at], blob[at])
            if part is not None:
                label[at] = part
    return colour, label


def _sky(view, rays, direction, depth, index, blob):
    return sky_colour(view.light, direction / length(direction)), None


def _headlights(light: Light, rays: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
    """Return the own headlights' light on what is met [n]."""
    x, y, _ = rays
    beam = torch.exp(-(x / 0.42) ** 2 - ((y - 0.05) / 0.13).clamp(max=0) ** 2 - ((y - 0.05) / 0.5).clamp(min=0) ** 2)
    return light.headlights * beam * 40 / (depth * depth + 40)


def _illuminated(view: View, rays, depth, albedo, normal_up, facing_sun, lit, sky_open, channels, lamp_share):
    light = view.light
    ambient = vector(light.skylight, depth) * ((0.62 + 0.38 * normal_up) * sky_open)
    ambient = ambient + vector(light.sunlight, depth) * (0.07 * (1 - 0.5 * normal_up) * max(light.sun[2], 0.1))
    total = ambient + vector(light.sunlight, depth) * (facing_sun.clamp(min=0) * lit)
    if light.lamps:
        total = total + vector(patterns.WARM, depth) * (light.lamps * channels[gm.LAMP] * lamp_share)
    if light.headlights:
        total = total + vector((1.0, 0.95, 0.85), depth) * _headlights(light, rays, depth)
    return albedo * total


def _ground(view, rays, direction, depth, index, blob):
    eye, light = view.eye, view.light
    px, py = direction[0] * depth, direction[1] * depth
    x, y = px + eye[0], py + eye[1]
    channels = sample(view.window, x, y)
    stretch = length(direction)
    short = depth * view.pixel
    grazing = (direction[2].abs() / stretch).clamp(min=0.004)
    ahead = view.rotation[:2, 2]
    facing = ((direction[0] * ahead[0] + direction[1] * ahead[1]) / length(direction[:2])) ** 2
    albedo, label = ground_albedo(view.town, channels, index, x, y, short, short / grazing, facing ** 4)
    lit = (1 - ((channels[gm.SHADOW] + 0.3) / 0.6).clamp(0, 1)) * (1 - channels[gm.CROWN] * 0.85) * blob
    face = index == KERB_FACE
    sun_on = torch.where(face, 0.4 * light.sun[2], light.sun[2])
    up = torch.where(face, 0.2, 1.0)
    near_wall = 1 - 0.25 * torch.exp(-(channels[gm.SIDEWALK] - channels[gm.KERB]).clamp(min=0))
    colour = _illuminated(view, rays, depth, albedo, up, sun_on, lit, near_wall * (0.35 + 0.65 * blob), channels, up)
    return through_air(light, colour, depth * stretch), label


def _things(view, rays, direction, depth, index, blob):
    light, eye = view.light, view.eye
    look = view.look.index_select(1, index)
    matrix = view.matrix.view(-1, 9).t().contiguous().index_select(1, index).view(3, 3, -1)
    origin = view.origin.t().contiguous().index_select(1, index)
    p = ((matrix * rays).sum(1) * depth + origin).clamp_(-1, 1)
    normal, axis = _normal(p, look[pr.KIND], matrix)
    up_cam, sun_cam = view.rotation[2], view.rotation.t() @ vector(light.sun, depth)[:, 0]
    normal_up = (normal * up_cam[:, None]).sum(0)
    q, half = p * look[pr.HALF], look[pr.HALF]
    along_x, upright = axis == 0, axis < 2
    u, half_u = torch.where(along_x, q[1], q[0]), torch.where(along_x, half[1], half[0])
    v, half_v = torch.where(upright, q[2], q[1]), torch.where(upright, half[2], half[1])
    stretch = length(rays)
    slant = ((normal * rays).sum(0).abs() / stretch).clamp(min=0.06)
    pixel = depth * view.pixel * slant ** -0.7
    period, seed = look[pr.PERIOD], look[pr.SEED]
    fine = look_up(u / period + seed * 0.37, v / period + seed * 0.61, look[pr.MATERIAL_ID], pixel / period)
    broad = look_up(u / 29 + seed * 0.13, v / 29, torch.full_like(u, MATERIAL['cloud']), pixel / 29)
    albedo = look[pr.COLOUR] * (1 + fine + 0.085 * broad).clamp(0.15, 2.0)
    mirror = _mirror(view, rays / stretch, normal)
    surface = dict(u=u, v=v, half_u=half_u, half_v=half_v, upright=upright, parameters=list(look[pr.PARAMETERS]), seed=seed,
                   pixel=pixel)
    albedo, glow = patterns.draw(light, view.signal, look[pr.PATTERN], albedo, surface, mirror)
    glossy = (look[pr.MATERIAL_ID] == MATERIAL['paint']) & (look[pr.CLASS] >= FIRST_VEHICLE)
    glow = glow + mirror * (0.035 * glossy)
    where = direction * depth
    height = where[2] + eye[2] - view.relief.torch_height(where[0], where[1])
    lit, channels = _lit(view, where, normal, height)
    facing_sun = (normal * sun_cam[:, None]).sum(0)
    leaf = look[pr.MATERIAL_ID] == MATERIAL['foliage']
    facing_sun = torch.where(leaf, 0.25 + 0.6 * facing_sun, facing_sun)
    sky_open = 0.62 + 0.38 * (height / 2.2).clamp(0, 1)
    sky_open = torch.where(leaf, sky_open * (0.72 + 0.28 * normal_up), sky_open)
    colour = _illuminated(view, rays, depth, albedo, normal_up, facing_sun, lit, sky_open, channels,
                          0.5 * (1 - (height / view.town.lamp_height).clamp(0, 1)))
    colour = colour + glow + look[pr.COLOUR] * look[pr.GLOW]
    return through_air(light, colour, depth * stretch), look[pr.CLASS].long()


def _normal(p: torch.Tensor, kind: torch.Tensor, matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the unit normal in camera axes [3, n], and the axis of the unit shape it is nearest to [n]."""
    size = p.abs()
    cylinder = kind == pr.CYLINDER
    top = torch.where(cylinder, (size[2] > 0.9995) * 2.0, size[2])
    axis = torch.where(top > torch.maximum(size[0], size[1]), 2, torch.where(size[0] > size[1], 0, 1))
    flat = torch.nn.functional.one_hot(axis, 3).t() * p.sign()
    bent = torch.stack([p[0], p[1], torch.where(cylinder, 0.0, p[2])])
    local = torch.where((kind == pr.BOX) | (cylinder & (axis == 2)), flat, bent)
    normal = (matrix * local[:, None]).sum(0)
    return normal / length(normal).clamp(min=1e-9), axis


def _mirror(view: View, unit: torch.Tensor, normal: torch.Tensor) -> torch.Tensor:
    """Return the light a smooth surface reflects: sky above, street below [3, n]."""
    bounce = unit - 2 * (unit * normal).sum(0) * normal
    up = (bounce * view.rotation[2][:, None]).sum(0)
    above = torch.lerp(vector(view.light.horizon, up), vector(view.light.zenith, up), up.clamp(0, 1))
    below = vector(view.light.skylight, up) * 0.16
    return torch.lerp(below, above, (up * 2.5 + 0.3).clamp(0, 1))


def _lit(view: View, where: torch.Tensor, normal: torch.Tensor, height: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the share of sunlight that reaches points of things [n], and the ground map there."""
    out = view.rotation @ normal
    x, y = where[0] + out[0] * 0.7 + view.eye[0], where[1] + out[1] * 0.7 + view.eye[1]
    channels = sample(view.window, x, y)
    lit = ((height - channels[gm.SHADOW]) / 0.6 + 0.5).clamp(0, 1)
    sun = view.light.sun
    back = (height / max(sun[2], 0.1)).clamp(0, 12)
    crown = sample(view.window[:, gm.CROWN:gm.CROWN + 1], x - sun[0] * back, y - sun[1] * back)[0]
    return lit * (1 - 0.8 * crown * (1 - (height - 2.2).clamp(0, 1.5) / 1.5)), channels

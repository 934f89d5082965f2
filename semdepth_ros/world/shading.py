"""The colour of what rays have met: texture, light, shade, air."""
from __future__ import annotations

from dataclasses import dataclass

import torch

from semdepth_ros.classes import SKY as SKY_CLASS, TRAIN_ID
from semdepth_ros.world import ground_map as gm
from semdepth_ros.world import patterns
from semdepth_ros.world import primitives as pr
from semdepth_ros.world.ground import KERB_FACE, SKY, ground_albedo, sample
from semdepth_ros.world.light import Light, length, sky_colour, through_air, vector
from semdepth_ros.world.relief import Relief
from semdepth_ros.world.textures import MATERIAL, look_up
from semdepth_ros.world.town import Town


FIRST_VEHICLE, DIRT = TRAIN_ID['car'], (0.10, 0.09, 0.075)


@dataclass(frozen=True)
class View:
    """Everything about a batch of frames that shading needs.

    :param rotation: camera to world axes [F, 3, 3]; eye: camera in the map window [F, 3] (z above datum)
    :param matrix, origin: world axes to unit shapes, and the camera there, component by component [9, N], [3, N]
    :param look: columns of the primitives' table [COLUMNS, N]
    :param window: the ground map; relief: in the window's axes
    :param signal: level of the lit lamp of traffic lights [F]
    :param pixel: width of a pixel at one metre
    :param textures: of surfaces, None for those that are drawn; see textures.look_up
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
    signal: torch.Tensor
    pixel: float
    textures: torch.Tensor | None = None

    def each(self, values: torch.Tensor, frame: torch.Tensor) -> torch.Tensor:
        """Return values of frames [F, k] as columns for rays [k, n] (or [k, 1] where there is one frame)."""
        return values.t() if len(values) == 1 else values.t()[:, frame]


@dataclass(frozen=True)
class Rays:
    """Rays that met something.

    :param direction: world axes, z = 1 in the camera [3, n]; stretch: its length [n]
    :param depth: along Z; index: what was met; frame: whose ray it is; left: light on the ground below objects [n]
    """

    direction: torch.Tensor
    stretch: torch.Tensor
    depth: torch.Tensor
    index: torch.Tensor
    frame: torch.Tensor
    left: torch.Tensor

    def at(self, chosen: torch.Tensor) -> Rays:
        """Return some of the rays."""
        rest = (self.stretch, self.depth, self.index, self.frame, self.left)
        return Rays(self.direction[:, chosen], *(v[chosen] for v in rest))


def shade(view: View, rays: Rays) -> tuple[torch.Tensor, torch.Tensor]:
    """Return light [3, n] and class [n] of what the rays have met: primitives, or ROAD, RAISED, KERB_FACE, SKY."""
    colour, label = torch.empty_like(rays.direction), torch.full_like(rays.index, SKY_CLASS)
    sky, thing = rays.index == SKY, rays.index >= 0
    for chosen, paint in ((sky, _sky), (thing, _things), (~(sky | thing), _ground)):
        at = chosen.nonzero()[:, 0]
        if len(at):
            colour[:, at], part = paint(view, rays.at(at))
            if part is not None:
                label[at] = part
    return colour, label


def _sky(view: View, rays: Rays):
    return sky_colour(view.light, rays.direction / rays.stretch), None


def _headlights(view: View, rays: Rays) -> torch.Tensor:
    """Return the own headlights' light on what is met [n]."""
    x = (rays.direction * view.each(view.rotation[:, :, 0], rays.frame)).sum(0)
    y = (rays.direction * view.each(view.rotation[:, :, 1], rays.frame)).sum(0)
    beam = torch.exp(-(x / 0.42) ** 2 - ((y - 0.05) / 0.13).clamp(max=0) ** 2 - ((y - 0.05) / 0.5).clamp(min=0) ** 2)
    return view.light.headlights * beam * 40 / (rays.depth * rays.depth + 40)


def _illuminated(view: View, rays: Rays, albedo, normal_up, facing_sun, lit, sky_open, channels, lamp_share):
    light, like = view.light, rays.depth
    ambient = vector(light.skylight, like) * ((0.62 + 0.38 * normal_up) * sky_open)
    ambient = ambient + vector(light.sunlight, like) * (0.07 * (1 - 0.5 * normal_up) * max(light.sun[2], 0.1))
    total = ambient + vector(light.sunlight, like) * (facing_sun.clamp(min=0) * lit)
    if light.lamps:
        total = total + vector(patterns.WARM, like) * (light.lamps * channels[gm.LAMP] * lamp_share)
    if light.headlights:
        total = total + vector((1.0, 0.95, 0.85), like) * _headlights(view, rays)
    return albedo * total


def _ground(view: View, rays: Rays):
    direction, depth, light = rays.direction, rays.depth, view.light
    eye, ahead = view.each(view.eye, rays.frame), view.each(view.rotation[:, :, 2], rays.frame)
    x, y = direction[0] * depth + eye[0], direction[1] * depth + eye[1]
    channels = sample(view.window, x, y)
    short = depth * view.pixel
    grazing = (direction[2].abs() / rays.stretch).clamp(min=0.004)
    facing = ((direction[:2] * ahead[:2]).sum(0) / length(direction[:2])) ** 2
    albedo, label = ground_albedo(view.town, channels, rays.index, x, y, short, short / grazing, facing ** 4,
                                  view.textures)
    lit = (1 - ((channels[gm.SHADOW] + 0.3) / 0.6).clamp(0, 1)) * rays.left
    lit = lit * (1 - 0.9 * _dappled(channels[gm.CROWN], x, y, short / grazing.sqrt()))
    face = rays.index == KERB_FACE
    sun_on = torch.where(face, 0.4 * light.sun[2], light.sun[2])
    up = torch.where(face, 0.2, 1.0)
    near_wall = 1 - 0.25 * torch.exp(-(channels[gm.SIDEWALK] - channels[gm.KERB]).clamp(min=0))
    colour = _illuminated(view, rays, albedo, up, sun_on, lit, near_wall * (0.35 + 0.65 * rays.left), channels, up)
    return through_air(light, colour, depth * rays.stretch), label


def _dappled(crown: torch.Tensor, x: torch.Tensor, y: torch.Tensor, pixel: torch.Tensor) -> torch.Tensor:
    """Return the share of sun that leaves keep from the ground [n]: flecks of light where the shade is not full."""
    shaded = (crown > 0.03).nonzero()[:, 0]
    at = crown[shaded]
    leaves = look_up(x[shaded] / 16, y[shaded] / 16, torch.full_like(at, MATERIAL['cloud']), pixel[shaded] / 16)
    out = torch.zeros_like(crown)
    out[shaded] = ((at - 0.5 + 0.32 * leaves * (1 - at)) * 2.2 + 0.5).clamp_(0, 1) * (at * 4).clamp(max=1)
    return out


def _things(view: View, rays: Rays):
    light, depth, direction = view.light, rays.depth, rays.direction
    look = view.look.index_select(1, rays.index)
    matrix = view.matrix.index_select(1, rays.index).view(3, 3, -1)
    p = (matrix * direction).sum(1).mul_(depth).add_(view.origin.index_select(1, rays.index)).clamp_(-1, 1)
    normal, axis = _normal(p, look[pr.KIND], matrix)
    q, half = p * look[pr.HALF], look[pr.HALF]
    along_x, upright = axis == 0, axis < 2
    u, half_u = torch.where(along_x, q[1], q[0]), torch.where(along_x, half[1], half[0])
    v, half_v = torch.where(upright, q[2], q[1]), torch.where(upright, half[2], half[1])
    unit = direction / rays.stretch
    facing = (normal * unit).sum(0)
    pixel = depth * view.pixel * facing.abs().clamp_(min=0.06).pow_(-0.7)
    period, seed, material = look[pr.PERIOD], look[pr.SEED], look[pr.MATERIAL_ID]
    fine = look_up(u / period + seed * 0.37, v / period + seed * 0.61, material, pixel / period, view.textures)
    broad = look_up(u / 29 + seed * 0.13, v / 29, torch.full_like(u, MATERIAL['cloud']), pixel / 29)
    albedo = look[pr.COLOUR] * (1 + fine + 0.085 * broad).clamp(0.15, 2.0)
    mirror, grazing = _mirror(light, unit, normal), (1 - facing.abs()) ** 4
    where = direction * depth + view.each(view.eye, rays.frame)
    height = where[2] - view.relief.torch_height(where[0], where[1])
    vehicle = look[pr.CLASS] >= FIRST_VEHICLE
    albedo = torch.lerp(albedo, vector(DIRT, depth), _dirt(look[pr.OBJECT], height) * vehicle)
    surface = dict(u=u, v=v, half_u=half_u, half_v=half_v, upright=upright, seed=seed, pixel=pixel,
                   parameters=list(look[pr.PARAMETERS]), grazing=grazing,
                   signal=view.each(view.signal[:, None], rays.frame)[0].expand_as(u))
    albedo, glow = patterns.draw(light, look[pr.PATTERN], albedo, surface, mirror)
    glossy = (material == MATERIAL['paint']) & vehicle
    glow = glow + mirror * ((0.035 + 0.5 * grazing) * glossy)
    lit, channels = _lit(view, where, normal, height)
    facing_sun = (normal * vector(light.sun, depth)).sum(0)
    leaf, crown = material == MATERIAL['foliage'], look[pr.KIND] == pr.CROWN
    facing_sun = torch.where(leaf | crown, 0.25 + 0.6 * facing_sun, facing_sun)
    inner = torch.where(facing > 0, 0.4, 1.0)       # a crown's far skin lies in its own shade
    deep = torch.where(crown, (0.72 + 0.28 * p[2]) * inner, 1.0)
    facing_sun = facing_sun * deep
    sky_open = 0.62 + 0.38 * (height / 2.2).clamp(0, 1)
    sky_open = torch.where(leaf, sky_open * (0.72 + 0.28 * normal[2]), sky_open) * deep
    colour = _illuminated(view, rays, albedo, normal[2], facing_sun, lit, sky_open, channels,
                          0.5 * (1 - (height / view.town.lamp_height).clamp(0, 1)))
    colour = colour + glow + look[pr.COLOUR] * look[pr.GLOW]
    return through_air(light, colour, depth * rays.stretch), look[pr.CLASS].long()


def _normal(p: torch.Tensor, kind: torch.Tensor, matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the unit normal [3, n], and the axis of the unit shape it is nearest to [n]."""
    size = p.abs()
    cylinder = kind == pr.CYLINDER
    top = torch.where(cylinder, (size[2] > 0.9995) * 2.0, size[2])
    axis = torch.where(top > torch.maximum(size[0], size[1]), 2, torch.where(size[0] > size[1], 0, 1))
    flat = torch.nn.functional.one_hot(axis, 3).t() * p.sign()
    bent = torch.stack([p[0], p[1], torch.where(cylinder, 0.0, p[2])])
    local = torch.where((kind == pr.BOX) | (cylinder & (axis == 2)), flat, bent)
    normal = (matrix * local[:, None]).sum(0)
    return normal / length(normal).clamp(min=1e-9), axis


def _dirt(thing: torch.Tensor, height: torch.Tensor) -> torch.Tensor:
    """Return how much of a vehicle's paint dirt hides [n]: low down, and on every vehicle another share."""
    return (thing * 0.618) % 1.0 * 0.65 * ((0.85 - height) / 0.7).clamp(0, 1)


def _mirror(light: Light, unit: torch.Tensor, normal: torch.Tensor) -> torch.Tensor:
    """Return the light a smooth surface reflects: sky, a skyline of houses and trees before it, street below [3, n]."""
    ray = unit - 2 * (unit * normal).sum(0) * normal
    up = ray[2]
    above = torch.lerp(vector(light.horizon, up), vector(light.zenith, up), up.clamp(0, 1)).clamp(max=1.2)
    below = vector(light.skylight, up) * (0.13 + 0.07 * torch.sin(ray[0] * 19 + ray[1] * 7))
    skyline = 0.16 + 0.10 * torch.sin(ray[0] * 5 + ray[1] * 9) + 0.05 * torch.sin(ray[0] * 23 - ray[1] * 31)
    return torch.lerp(below, above, ((up - skyline) * 9 + 0.5).clamp(0, 1))


def _lit(view: View, where: torch.Tensor, normal: torch.Tensor,
         height: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the share of sunlight that reaches points of things [n], and the ground map there."""
    x, y = where[0] + normal[0] * 0.7, where[1] + normal[1] * 0.7       # clear of the surface's own shadow
    channels = sample(view.window, x, y)
    lit = ((height - channels[gm.SHADOW]) / 0.6 + 0.5).clamp(0, 1)
    sun = view.light.sun
    back = (height / max(sun[2], 0.1)).clamp(0, 12)
    crown = sample(view.window[:, gm.CROWN:gm.CROWN + 1], x - sun[0] * back, y - sun[1] * back)[0]
    return lit * (1 - 0.8 * crown * (1 - (height - 2.2).clamp(0, 1.5) / 1.5)), channels

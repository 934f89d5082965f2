"""The ground under the rays: kerbs, asphalt and its markings, sidewalks, gardens."""
from __future__ import annotations

import torch
import torch.nn.functional as F

from semdepth_ros.classes import TRAIN_ID
from semdepth_ros.world import ground_map as gm
from semdepth_ros.world.light import vector
from semdepth_ros.world.patterns import cell_hash
from semdepth_ros.world.textures import MATERIAL, look_up
from semdepth_ros.world.town import Town

ROAD, RAISED, KERB_FACE, SKY = -1, -2, -3, -4      # what takes a primitive's place in the index

WHITE, YELLOW, DRY_GRASS = (0.62, 0.62, 0.60), (0.62, 0.46, 0.10), (1.5, 1.1, 0.9)


def sample(window: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return map channels [C, n] at points [n], metres from the window's first vertex."""
    scale = 2 / (gm.CELL_M * (window.shape[-1] - 1))
    grid = torch.stack([x * scale - 1, y * scale - 1], dim=-1).view(1, 1, -1, 2)
    return F.grid_sample(window, grid, mode='bilinear', padding_mode='border', align_corners=True)[0, :, 0]


def step_up(window: torch.Tensor, kerb_m: float, x: torch.Tensor, y: torch.Tensor, t: torch.Tensor, dx: torch.Tensor,
            dy: torch.Tensor, fall: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return depth and ground kind (ROAD, RAISED or KERB_FACE) where sidewalks stand kerb_m above the road.

    :param x, y: where the rays meet the road's height, in the window [n]; t: at what depth
    :param dx, dy: the rays' horizontal directions; fall: how fast they sink towards the road [n]
    """
    kerb = window[:, gm.KERB:gm.KERB + 1]
    back = kerb_m / fall
    low = sample(kerb, x, y)[0]
    high = sample(kerb, x - back * dx, y - back * dy)[0]
    share = (high / (high - low).clamp(max=-1e-6)).clamp_(0, 1)
    raised, face = high > 0, low > 0
    depth = torch.where(raised, t - back, torch.where(face, t - back + share * back, t))
    kind = torch.where(raised, RAISED, torch.where(face, KERB_FACE, ROAD))
    return depth, kind


def _stripe(x: torch.Tensor, half: float, footprint: torch.Tensor) -> torch.Tensor:
    """Return how much of a pixel a stripe |x| < half covers."""
    return ((half - x.abs()) / footprint + 0.5).clamp_(0, 1) * (2 * half / footprint).clamp(max=1)


def _dashes(x: torch.Tensor, period: float, share: float, footprint: torch.Tensor) -> torch.Tensor:
    phase = (x / period - (x / period).floor() - 0.5) * period
    sharp = ((share * period / 2 - phase.abs()) / footprint + 0.5).clamp_(0, 1)
    return torch.lerp(sharp, torch.full_like(sharp, share), (footprint / period).clamp(max=1))


def markings(town: Town, channels: torch.Tensor, across_px: torch.Tensor, along_px: torch.Tensor) -> torch.Tensor:
    """Return how much paint covers each point of the road [n].

    :param across_px, along_px: width of the pixel on the road across and along the street [m]
    """
    d, s, zebra = channels[gm.ACROSS], channels[gm.ALONG], channels[gm.ZEBRA]
    code = channels[gm.LANES]
    lanes = (code + 0.05).floor()
    lane, a = town.lane_m, across_px.clamp(min=0.01)
    dashes = _dashes(s, 9.0, 0.36, along_px)
    single = lanes < 1.5
    centre = torch.where(single, _stripe(d, 0.07, a) * dashes, _stripe(d.abs() - 0.16, 0.06, a))
    side = d.abs() - lanes * lane
    parking = (code - lanes) > 0.2
    edge = torch.where(parking, _stripe(side, 0.05, a), _stripe(side - 0.15, 0.06, a) * 0.8)
    between = torch.where(single, 0.0, _stripe(d.abs() - lane, 0.06, a) * dashes)
    paint = torch.maximum(torch.maximum(centre, edge), between)
    clear = ((zebra - 3.2) * 4).clamp(0, 1) * channels[gm.LINES]
    paint = paint * clear
    inside = ((channels[gm.HALF_WIDTH] - 0.25 - d.abs()) * 8).clamp(0, 1)
    bars = _dashes(d, 1.0, 0.5, a) * _stripe(zebra, 1.6, along_px)
    towards = channels[gm.STOP] + torch.where(d * (1 if town.left_hand else -1) > 0, 2.9, -2.9)
    stop = _stripe(towards, 0.2, along_px) * (side < -0.1) * (d.abs() > 0.15) * (zebra < 3.4)
    return torch.maximum(paint, torch.maximum(bars, stop) * inside * channels[gm.PAINTED])


def _mended(town: Town, d: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
    """Return how much darker or paler than the rest mended pieces of asphalt and manholes are [n]."""
    row, column = (s / 6.5).floor(), (d / 2.3).floor()
    seed = torch.full_like(d, town.lane_m)
    which, tone = cell_hash(row, column, seed), cell_hash(row, column, seed + 1)
    x, y = d / 2.3 - column - 0.5, s / 6.5 - row - 0.5
    patch = (which < town.patches) & (x.abs() < 0.2 + 0.3 * tone) & (y.abs() < 0.25 + 0.25 * tone)
    manhole = (which > 0.94) & ((2.3 * x) ** 2 + (6.5 * y) ** 2 < 0.09)
    return torch.where(manhole, -0.5, (tone * 0.75 - 0.45) * patch)


def ground_albedo(town: Town, channels: torch.Tensor, kind: torch.Tensor, x: torch.Tensor, y: torch.Tensor,
                  short_px: torch.Tensor, long_px: torch.Tensor, facing: torch.Tensor,
                  textures: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Return albedo [3, n] and class [n] of ground points.

    :param x, y: metres from a corner whose position is a multiple of 64 m
    :param short_px, long_px: the pixel's width on the ground across and along the line of sight [m]
    :param facing: 1 where the line of sight runs along the camera's own street, 0 across
    :param textures: see textures.look_up
    """
    pixel = long_px * 0.45 + short_px * 0.55
    kerb, d, s = channels[gm.KERB], channels[gm.ACROSS], channels[gm.ALONG]
    road, sidewalk = kind == ROAD, channels[gm.SIDEWALK]
    garden = ~road & (kerb > sidewalk) & (kind != KERB_FACE)
    broad = look_up(x / 64, y / 64, torch.full_like(x, MATERIAL['cloud']), pixel / 64)
    grass = garden & (channels[gm.PAVED] + 0.22 * broad < 0.5)
    if town.verge_m:
        grass |= ~road & (kerb > 0.2) & (kerb < town.verge_m) & (sidewalk > town.verge_m + 1.2) & (kind != KERB_FACE)
    slabs = ~road & ~grass & (kind != KERB_FACE)
    material = torch.full_like(x, MATERIAL['asphalt'])
    material.masked_fill_(slabs, MATERIAL['slabs']).masked_fill_(grass, MATERIAL['grass'])
    u, v = torch.where(slabs, d / 4, x / 4), torch.where(slabs, s / 4, y / 4)
    fine = look_up(u, v, material, pixel / 4, textures)
    streaks = look_up(d / 6, s / 128, torch.full_like(x, MATERIAL['bark']), torch.maximum(short_px / 6, long_px / 128))
    tone = 1 + fine + 0.15 * broad
    asphalt = vector(town.asphalt, x) * (1 + town.rough * (tone - 1 + 0.26 * streaks * road))
    mended = _mended(town, d, s) * channels[gm.PAINTED] * road
    asphalt = asphalt * (1 + mended)
    across_px = torch.lerp(long_px, short_px, facing)
    along_px = torch.lerp(short_px, long_px, facing)
    paint = markings(town, channels, across_px, along_px) * (0.86 + 0.5 * fine + 0.05 * broad).clamp(0.3, 1.0)
    paint = paint * ((town.marking * 2.2 - 0.6) + 0.8 * fine + 0.35 * broad).clamp(0, 1)
    colour = torch.lerp(asphalt, vector(YELLOW if town.yellow_lines else WHITE, x), paint * road)
    paving = vector(town.paving, x) * tone
    stone = _stripe(kerb - 0.08, 0.10, short_px.clamp(min=0.01)) * 0.25
    paving = paving * (1 + stone)
    dry = torch.lerp(torch.ones_like(asphalt), vector(DRY_GRASS, x), (broad * 0.3 + 0.25).clamp(0, 1))
    lawn = vector(town.grass, x) * (1 + 1.4 * fine + 0.25 * broad) * dry
    colour = torch.where(road, colour, torch.where(grass, lawn, paving))
    colour = torch.where(kind == KERB_FACE, vector(town.paving, x) * 0.95, colour)
    label = torch.where(road, TRAIN_ID['road'], torch.where(grass, TRAIN_ID['terrain'], TRAIN_ID['sidewalk']))
    return colour.clamp_(0.01, 0.9), label

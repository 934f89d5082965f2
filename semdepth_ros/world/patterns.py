"""What is drawn on primitives: windows and doors, shop fronts, sign faces, signal lamps, boards."""
from __future__ import annotations

import torch

from semdepth_ros.world.buildings import CELLAR
from semdepth_ros.world.light import Light, vector
from semdepth_ros.world.primitives import PATTERNS

WARM = (1.0, 0.72, 0.40)


def cell_hash(a: torch.Tensor, b: torch.Tensor, seed: torch.Tensor) -> torch.Tensor:
    """Return a number in [0, 1) for each pair of cell numbers and seed, the same on every device."""
    h = a.int().mul_(73856093) ^ b.int().mul_(19349663) ^ (seed * 1024).int().mul_(83492791)
    h = (h ^ (h >> 13)).mul_(1274126177)
    return ((h ^ (h >> 16)) & 0xFFFF).float().div_(65536)


def pulse(x: torch.Tensor, half, footprint: torch.Tensor) -> torch.Tensor:
    """Return how much of a pixel |x| < half covers."""
    return ((half - x.abs()) / footprint + 0.5).clamp_(0, 1)


def _paint(colour: torch.Tensor, over, cover: torch.Tensor) -> torch.Tensor:
    over = over if torch.is_tensor(over) else vector(over, colour)
    return torch.lerp(colour, over, cover)


def facade(light: Light, colour, u, z, half_u, half_z, parameters, seed, pixel, mirror):
    """Return albedo [3, n] and glow [3, n] of house walls with windows in rows and a door.

    :param u, z: position on the wall, from its middle [m]; half_u, half_z: half its size
    :param parameters: window spacing, storey height, share of the spacing that is window, style
    :param mirror: light of the sky the glass reflects [3, n]
    """
    spacing, storey, share, style = parameters
    columns = (2 * half_u / spacing).floor().clamp(min=1)
    cell = 2 * half_u / columns
    cu, above = (u + half_u) / cell, z + half_z - CELLAR - 0.6
    column, row = cu.floor(), (above / storey).floor()
    x, y = (cu - column - 0.5) * cell, above - (row + 0.55) * storey
    wall_top = 2 * half_z - CELLAR - 0.6
    exists = (row >= 0) & ((row + 1) * storey <= wall_top + 0.3) & (cell > 1.0)
    h = cell_hash(column, row, seed)
    door = (row == 0) & (cell_hash(column, row - 7, seed) < 0.22) & exists
    wide = (share * cell / 2).clamp(max=1.1)
    tall = torch.where(style == 1, 0.36, 0.29) * storey
    y, tall = torch.where(door, y + 0.16 * storey, y), torch.where(door, 0.40 * storey, tall)
    wide = torch.where(door, wide.clamp(max=0.62), wide)
    blur = (pixel / cell * 1.4 - 0.15).clamp(0, 1)
    average = share * 0.6
    opening = torch.lerp(pulse(x, wide, pixel) * pulse(y, tall, pixel), average, blur) * exists
    frame = torch.lerp(pulse(x, wide + 0.11, pixel) * pulse(y, tall + 0.11, pixel), average, blur) * exists
    bars = torch.maximum(pulse(x, 0.035, pixel) * 0.9, pulse(y + 0.3 * tall, 0.03, pixel) * (style > 1)) * (1 - blur)
    trim = torch.where(style == 2, 0.45, 1.0) * (0.52 + 0.0 * h)
    colour = _paint(colour, trim.expand_as(colour), frame * (style > 0))
    sill = pulse(x, wide + 0.16, pixel) * pulse(y + tall + 0.09, 0.08, pixel) * exists * ~door * (1 - blur)
    colour = _paint(colour, (0.50, 0.49, 0.47), sill * 0.8)
    curtain = (h > 0.55) * pulse(x.abs() - wide, wide * 0.55, pixel) * 0.5
    curtain = curtain + (h < 0.12) * pulse(y - tall, tall, pixel) * 0.7
    pane = vector((0.035, 0.042, 0.05), h) * (0.7 + h) + curtain * vector((0.40, 0.38, 0.34), h)
    wood = vector((0.16, 0.09, 0.05), h) * (0.5 + 1.5 * h)
    pane = torch.where(door, wood, pane)
    pane = _paint(pane, (0.50, 0.50, 0.48), bars * ~door)
    colour = torch.lerp(colour, pane, opening)
    lit = (h * 7.13 % 1.0 < light.lit_windows) & ~door
    glow = opening * (lit * (0.25 + 0.6 * h)) * vector(WARM, h) + mirror * (opening * ~door * 0.10)
    plinth = ((0.0 - above) / pixel + 0.5).clamp(0, 1)
    return colour * (1 - 0.35 * plinth), glow


def shop(light: Light, colour, u, z, half_u, half_z, parameters, seed, pixel, mirror):
    """Return albedo and glow of a shop front: large panes, goods behind them, a door."""
    cell = 2 * half_u / (2 * half_u / parameters[0]).floor().clamp(min=1)
    cu = (u + half_u) / cell
    column = cu.floor()
    x = (cu - column - 0.5) * cell
    h = cell_hash(column, column * 0, seed)
    pane = pulse(x, cell / 2 - 0.08, pixel) * pulse(z - 0.12, half_z - 0.25, pixel)
    goods = cell_hash((u * 2.5).floor(), (z * 2.2).floor(), seed) * pulse(z + 0.5, 0.55, pixel) * (pixel < 0.4)
    inside = vector((0.05, 0.05, 0.055), h) + goods * vector((0.30, 0.24, 0.18), h) * (0.4 + h)
    colour = torch.lerp(0.10 + 0.35 * h.expand_as(colour), inside, pane)
    warm = 0.05 + 1.6 * light.lit_windows
    return colour, pane * (0.25 + h) * warm * vector(WARM, h) * (0.3 + goods) + mirror * (pane * 0.10)


def sign(colour, u, v, half_u, half_v, parameters, seed, pixel):
    """Return the albedo of a sign's face: a rim, a bar or a symbol, or rows of writing."""
    shape, inner = parameters[0], torch.stack(parameters[1:4])
    disc = shape == 1
    r = torch.where(disc, torch.sqrt(u * u + v * v) / half_u, torch.maximum(u.abs() / half_u, v.abs() / half_v))
    fine = pixel / half_u
    kind = seed.floor()
    rim = ((r - 0.74) / fine + 0.5).clamp(0, 1) * (disc & (kind < 2))
    bar = pulse(v, half_v * 0.16, pixel) * pulse(u, half_u * 0.62, pixel) * (disc & (kind == 5))
    glyph = (cell_hash((u / half_u * 2.5 + 9).floor(), (v / half_v * 2.5 + 9).floor(), seed + 0.5) > 0.5) * (r < 0.55)
    glyph = glyph * (fine < 0.5) * (shape < 2) * (kind != 5)
    rows = (v / half_v * 2.0 + 40)
    letters = cell_hash((u / 0.16).floor(), rows.floor(), seed) > 0.35
    letters = letters * pulse(rows - rows.floor() - 0.5, 0.28, fine + 0.05)
    letters = letters * (u.abs() < half_u * 0.85) * (shape >= 2) * (1 - 0.6 * (pixel / 0.16).clamp(max=1))
    border = ((r - 0.93) / fine + 0.5).clamp(0, 1) * (shape == 3) * (r < 1)
    cover = torch.stack([rim, bar, glyph * 0.85, letters * 0.9, border]).amax(0)
    return torch.lerp(colour, inner, cover)


def signal(colour, u, v, half_u, parameters, pixel, state):
    """Return albedo and glow of a lamp of a traffic light; state is the level of the lamp that is lit."""
    disc = pulse(torch.sqrt(u * u + v * v), half_u * 0.86, pixel)
    on = (parameters[0] - state).abs() < 0.05
    return torch.lerp(vector((0.02, 0.02, 0.02), u).expand_as(colour), colour * 0.25, disc), disc * on * colour * 4.5


def slats(colour, u, parameters, pixel):
    """Return the albedo of boards with dark gaps between them."""
    width = parameters[0].clamp(min=0.02)
    phase = (u / width - (u / width).floor() - 0.5) * width
    gap = torch.lerp(1 - pulse(phase, width * 0.42, pixel), torch.full_like(u, 0.16), (pixel / width).clamp(max=1))
    return colour * (1 - 0.75 * gap)


def panels(colour, u, v, parameters, pixel):
    """Return the albedo of a vehicle's side: gaps of doors at three places [m] along it, and a crease."""
    gap = torch.stack([pulse(u - at, 0.011, pixel) for at in parameters[:3]]).amax(0) * (0.022 / pixel).clamp(max=1)
    crease = pulse(v - 0.05, 0.012, pixel) * (0.024 / pixel).clamp(max=1)
    return colour * (1 - 0.8 * gap) * (1 - 0.25 * crease)


def draw(light: Light, pattern: torch.Tensor, colour: torch.Tensor, surface: dict, mirror: torch.Tensor):
    """Return albedo [3, n] and glow [3, n] with every primitive's own pattern on it.

    :param surface: u, v, half_u, half_v, upright (a vertical face), parameters (four [n]), seed, pixel,
        signal (level of the lit lamp), grazing (Fresnel's factor); all [n]
    """
    glow = torch.zeros_like(colour)
    for name, number in PATTERNS.items():
        chosen = pattern == number
        if name in ('facade', 'shop', 'panels'):
            chosen &= surface['upright']
        at = chosen.nonzero()[:, 0]
        if name == 'plain' or not len(at):
            continue
        part = {k: ([p[at] for p in v] if k == 'parameters' else v[at]) for k, v in surface.items()}
        u, v, hu, hv, q, seed, px = (part[k] for k in ('u', 'v', 'half_u', 'half_v', 'parameters', 'seed', 'pixel'))
        paint, shine = colour[:, at], None
        if name == 'facade':
            paint, shine = facade(light, paint, u, v, hu, hv, q, seed, px, mirror[:, at])
        elif name == 'shop':
            paint, shine = shop(light, paint, u, v, hu, hv, q, seed, px, mirror[:, at])
        elif name == 'glass':
            shine = mirror[:, at] * (0.03 + q[1] + 0.6 * part['grazing'])
        elif name == 'sign':
            paint = sign(paint, u, v, hu, hv, q, seed, px)
        elif name == 'signal':
            paint, shine = signal(paint, u, v, hu, q, px, part['signal'])
        elif name == 'slats':
            paint = slats(paint, u, q, px)
        elif name == 'panels':
            paint = panels(paint, u, v, q, px)
        colour[:, at] = paint
        if shine is not None:
            glow[:, at] = shine
    return colour, glow

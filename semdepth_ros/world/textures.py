"""Surface textures: periodic noise of many octaves, stored at every degree of blur, so that a look-up never aliases."""
from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F

SIZE, LEVELS = 256, 8
MATERIALS = ('asphalt', 'slabs', 'grass', 'foliage', 'plaster', 'brick', 'paint', 'cloth', 'bark', 'cloud', 'roof',
             'wood')
MATERIAL = {name: i for i, name in enumerate(MATERIALS)}


def _octave(rng: np.random.Generator, nx: int, ny: int) -> np.ndarray:
    grid = rng.uniform(-1, 1, (ny, nx))
    x, y = np.arange(SIZE) * nx / SIZE, np.arange(SIZE) * ny / SIZE
    ix, iy = x.astype(int), y.astype(int)
    fx, fy = x - ix, y - iy
    fx, fy = fx * fx * (3 - 2 * fx), (fy * fy * (3 - 2 * fy))[:, None]
    top = grid[iy][:, ix] * (1 - fx) + grid[iy][:, (ix + 1) % nx] * fx
    low = grid[(iy + 1) % ny][:, ix] * (1 - fx) + grid[(iy + 1) % ny][:, (ix + 1) % nx] * fx
    return top * (1 - fy) + low * fy


def _noise(rng: np.random.Generator, first: int, last: int, gain: float, stretch: int = 1) -> np.ndarray:
    """Sum octaves of value noise with first, 2 first, ... last cells a period; stretch > 1 makes vertical streaks."""
    total, weight, cells = np.zeros((SIZE, SIZE)), 1.0, first
    while cells <= last:
        total += weight * _octave(rng, cells, max(1, cells // stretch))
        weight, cells = weight * gain, cells * 2
    return total / total.std()


def _courses(rng: np.random.Generator, rows: int, columns: int, joint: float, bond: bool) -> np.ndarray:
    """Return stones in rows: each its own tone, with dark joints."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    row = np.floor(y * rows).astype(int)
    shift = 0.5 * (row % 2) if bond else 0.0
    column = np.floor(x * columns + shift).astype(int)
    tone = rng.normal(0, 0.7, (rows, columns + 1))
    tone[:, columns] = tone[:, 0]
    fy, fx = (y * rows) % 1, (x * columns + shift) % 1
    gap = (np.minimum(fy, 1 - fy) / rows < joint / SIZE) | (np.minimum(fx, 1 - fx) / columns < joint / SIZE)
    return np.where(gap, -1.8, tone[row, column])


def _cracks(rng: np.random.Generator) -> np.ndarray:
    ridge = np.abs(_noise(rng, 4, 64, 0.6))
    return -np.exp(-(ridge / 0.05) ** 2)


def _paint(name: str, rng: np.random.Generator) -> np.ndarray:
    fine = _noise(rng, 4, 128, 0.85)
    table = {
        'asphalt': lambda: 0.08 * _noise(rng, 32, 128, 1.0) + 0.10 * _noise(rng, 2, 64, 0.85) + 0.20 * _cracks(rng),
        'slabs': lambda: 0.08 * _courses(rng, 8, 8, 0.8, False) + 0.07 * fine,
        'grass': lambda: 0.20 * _noise(rng, 8, 128, 0.95),
        'foliage': lambda: 0.5 * _noise(rng, 8, 128, 1.0),
        'plaster': lambda: 0.075 * fine + 0.05 * _noise(rng, 8, 64, 0.8, stretch=8),
        'brick': lambda: 0.11 * _courses(rng, 32, 12, 0.9, True) + 0.05 * fine,
        'paint': lambda: 0.05 * _noise(rng, 2, 32, 0.8),
        'cloth': lambda: 0.16 * _noise(rng, 8, 64, 0.9),
        'bark': lambda: 0.24 * _noise(rng, 16, 128, 0.9, stretch=8),
        'cloud': lambda: _noise(rng, 3, 96, 0.62),
        'roof': lambda: 0.09 * _courses(rng, 24, 24, 1.0, True) + 0.06 * fine,
        'wood': lambda: 0.06 * _courses(rng, 1, 32, 0.8, False) + 0.08 * _noise(rng, 32, 128, 0.9, stretch=16),
    }
    return table[name]()


def _blurred(texture: np.ndarray) -> list[np.ndarray]:
    """Return LEVELS copies, level l keeping only waves longer than about 2^(l+1) texels; the last is flat."""
    spectrum = np.fft.rfft2(texture - texture.mean())
    f2 = np.fft.fftfreq(SIZE)[:, None] ** 2 + np.fft.rfftfreq(SIZE)[None] ** 2
    levels = [np.fft.irfft2(spectrum * np.exp(-2 * (np.pi * 0.36 * 2 ** l) ** 2 * f2), (SIZE, SIZE))
              for l in range(LEVELS - 1)]
    return [*levels, np.zeros_like(texture)]


@lru_cache(maxsize=4)
def atlas(device: str) -> torch.Tensor:
    """Return every material at every level, float32 [1, 1, materials * LEVELS, SIZE + 1, SIZE + 1], on the device."""
    drawn = [stacked(_paint(name, np.random.default_rng([77, i]))) for i, name in enumerate(MATERIALS)]
    return torch.cat(drawn)[None, None].to(device)


def stacked(texture: np.ndarray) -> torch.Tensor:
    """Return a periodic texture [SIZE, SIZE] at every level, float32 [LEVELS, SIZE + 1, SIZE + 1]."""
    levels = np.pad(np.stack(_blurred(texture)), ((0, 0), (0, 1), (0, 1)), mode='wrap')
    return torch.from_numpy(levels.astype(np.float32))


def look_up(u: torch.Tensor, v: torch.Tensor, material: torch.Tensor, footprint: torch.Tensor,
            textures: torch.Tensor | None = None) -> torch.Tensor:
    """Return the texture value (mean 0), blurred to the footprint: [n], or [3, n] of textures in colour.

    :param u, v: surface coordinates [periods], [n]
    :param material: index of the material, float
    :param footprint: width of the pixel on the surface [periods]
    :param textures: laid out as `atlas`, which is taken where there are none, with one channel or three
    """
    texture = atlas(str(u.device)) if textures is None else textures
    level = torch.log2(footprint * SIZE).clamp_(0, LEVELS - 1)
    depth = material.mul(LEVELS).add_(level)
    grid = torch.stack([(u - u.floor()).mul_(2).sub_(1), (v - v.floor()).mul_(2).sub_(1),
                        depth.mul_(2 / (texture.shape[2] - 1)).sub_(1)], dim=-1)
    out = F.grid_sample(texture, grid.view(1, 1, 1, -1, 3), mode='bilinear', padding_mode='border', align_corners=True)
    return out.view(u.shape) if texture.shape[1] == 1 else out.view(3, *u.shape)

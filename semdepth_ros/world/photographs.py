"""Photographs of surfaces in place of drawn textures: an option for drives that networks are trained on."""
from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch

from semdepth_ros.world.textures import MATERIALS, SIZE, atlas, stacked

SUFFIXES = ('.png', '.jpg', '.jpeg', '.webp')
DRAWN = ('cloud', 'foliage')            # of skies and unevenness, and of crowns: these stay noise
OWN_ALONE = ('paint', 'cloth')          # vehicles and clothes: photographs of these alone
DARKEST, BRIGHTEST = -0.85, 2.0         # of a texture's values
LEAST, MOST = 0.06, 0.35                # standard deviation a photograph is brought between


def find_photographs(folder: str) -> dict[str, tuple[Path, ...]]:
    """Return which photographs may be laid on which material.

    A picture in a sub-folder of a material's name is for that one, every other picture for any material without one but
    paint and cloth.

    :param folder: searched with its sub-folders for PNG, JPEG and WebP
    :raises ValueError: no such folder, or no picture in it for any material
    """
    root = Path(folder)
    if not root.is_dir():
        raise ValueError(f'photographs are {folder}, expected a folder of pictures of surfaces')
    files = sorted(p for p in root.rglob('*') if p.suffix.lower() in SUFFIXES and p.is_file())
    own = {name: tuple(p for p in files if name in p.relative_to(root).parts[:-1]) for name in MATERIALS}
    rest = tuple(p for p in files if not any(p in of for of in own.values()))
    found = {name: own[name] or (() if name in OWN_ALONE else rest) for name in MATERIALS if name not in DRAWN}
    if not any(found.values()):
        raise ValueError(f'photographs are {folder}, expected pictures in it ({", ".join(SUFFIXES)})')
    return {name: pictures for name, pictures in found.items() if pictures}


def photographed(folder: str, seed: int, device: str) -> torch.Tensor:
    """Return textures as `atlas` does, in colour, float32 [1, 3, ...]: of each material a photograph drawn by the seed.

    Materials without a photograph are drawn as ever. What a photograph gives is how a surface departs from its mean
    colour; the mean is the thing's own.

    :raises ValueError: as find_photographs, or a picture that cannot be read
    """
    found, rng = find_photographs(folder), np.random.default_rng([seed, 13])
    chosen = {name: found[name][int(rng.integers(len(found[name])))] for name in MATERIALS if name in found}
    layers = atlas('cpu').expand(1, 3, -1, -1, -1).clone()
    levels = layers.shape[2] // len(MATERIALS)
    for name, path in chosen.items():
        first = MATERIALS.index(name) * levels
        layers[0, :, first:first + levels] = _levels(str(path))
    return layers.to(device)


@lru_cache(maxsize=16)       # of 6 MB each
def _levels(path: str) -> torch.Tensor:
    """Return a photograph at every degree of blur, float32 [3, levels, SIZE + 1, SIZE + 1]."""
    return torch.stack([stacked(plane) for plane in surface(read_square(path))])


def read_square(path: str) -> np.ndarray:
    """Return the middle square of a picture, linear rgb, float64 [SIZE, SIZE, 3]; raise ValueError where it is none."""
    stored = cv2.imread(path, cv2.IMREAD_COLOR)
    if stored is None:
        raise ValueError(f'photograph {path} cannot be read, expected a picture')
    side = min(stored.shape[:2])
    top, left = (stored.shape[0] - side) // 2, (stored.shape[1] - side) // 2
    square = stored[top:top + side, left:left + side, ::-1].astype(np.float64) / 255
    return cv2.resize(square ** 2.2, (SIZE, SIZE), interpolation=cv2.INTER_AREA if side > SIZE else cv2.INTER_LINEAR)


def surface(square: np.ndarray) -> np.ndarray:
    """Return how a surface departs from its mean colour, float64 [3, SIZE, SIZE]: mean 0, without seams when repeated.

    Seams are hidden as textures by example are: towards the edges the picture gives way to itself shifted by half, and
    the sum is brought back to the picture's own contrast.

    :param square: linear rgb [SIZE, SIZE, 3]
    """
    mean = square.mean((0, 1))
    departs = ((square - mean) / np.maximum(mean, 1e-3)).transpose(2, 0, 1)
    spread = float(departs.std())
    for axis in (1, 2):
        away = np.abs(np.arange(SIZE) - (SIZE - 1) / 2) / (SIZE / 2)             # 0 in the middle, 1 at the edges
        own = np.clip((1 - away) * 4, 0, 1)
        own = (own * own * (3 - 2 * own)).reshape((1, SIZE, 1) if axis == 1 else (1, 1, SIZE))
        shifted = np.roll(departs, SIZE // 2, axis)
        departs = (own * departs + (1 - own) * shifted) / np.sqrt(own ** 2 + (1 - own) ** 2)
    departs -= departs.mean((1, 2), keepdims=True)
    wanted = min(max(spread, LEAST), MOST)
    departs = np.clip(departs * wanted / max(float(departs.std()), 1e-6), DARKEST, BRIGHTEST)
    return departs - departs.mean((1, 2), keepdims=True)

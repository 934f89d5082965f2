"""Photographs of surfaces in place of drawn textures: an option for drives that networks are trained on."""
from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch

from semdepth_ros.image_encodings import decompress
from semdepth_ros.world.textures import LEVELS, MATERIAL, MATERIALS, SIZE, atlas, stacked

SUFFIXES = ('.png', '.jpg', '.jpeg', '.webp')
# what lies beside a surface's colour in downloads, by the end of its name: slopes, gloss, heights, masks
MAPS = re.compile(r'[_-](nor(mal)?(_?gl|_?dx)?|nm|rough(ness)?|gloss|disp(lacement)?|height|bump|ao|ambientocclusion|'
                  r'metal(ness|lic)?|opacity|alpha|mask|arm|spec(ular)?|emission)([_-]\d+k)?$', re.IGNORECASE)
DRAWN = ('cloud', 'foliage')            # of skies and unevenness, and of crowns: these stay noise
OWN_ALONE = ('paint', 'cloth')          # vehicles and clothes: photographs of these alone
DARKEST, BRIGHTEST = -0.85, 2.0         # of a texture's values
LEAST, MOST = 0.06, 0.35                # standard deviation a photograph is brought between
_LINEAR = (np.arange(256, dtype=np.float32) / 255) ** np.float32(2.2)
_DRAW = 13


def expect_for_training(split: str) -> None:
    """Raise ValueError for towns that networks are judged in."""
    if split != 'train':
        raise ValueError(f'split is {split!r}, expected train with photographs: they are for training alone')


def find_photographs(folder: str) -> dict[str, tuple[str, ...]]:
    """Return the files of which one may be laid on a material, by material.

    A picture in a folder of a material's name is for that one, every other for any that has none of its own; but clouds
    and foliage stay drawn, and paint and cloth have only their own. Maps of slopes, gloss or height that lie beside
    pictures are left out, by the ends of their names.

    :param folder: searched with its sub-folders for PNG, JPEG and WebP
    :raises ValueError: no such folder, a picture of no known kind, or none for any material
    """
    root = Path(folder)
    if not root.is_dir():
        raise ValueError(f'photographs are {folder}, expected a folder of pictures of surfaces')
    found: dict[str, list[str]] = {'': []}
    for path in sorted(root.rglob('*')):
        if path.suffix.lower() in SUFFIXES and path.is_file() and not MAPS.search(path.stem):
            if not cv2.haveImageReader(str(path)):
                raise ValueError(f'photograph {path} is no picture, expected PNG, JPEG or WebP')
            above = [part.lower() for part in path.relative_to(root).parts[:-1]]
            found.setdefault(next((part for part in above if part in MATERIAL), ''), []).append(str(path))
    chosen = {name: found.get(name, [] if name in OWN_ALONE else found['']) for name in MATERIALS if name not in DRAWN}
    if not any(chosen.values()):
        raise ValueError(f'photographs are {folder}, expected pictures ({", ".join(SUFFIXES)}) of one of '
                         f'{", ".join(chosen)}')
    return {name: tuple(files) for name, files in chosen.items() if files}


def draw_photographs(found: Mapping[str, tuple[str, ...]], seed: int) -> dict[str, str]:
    """Return one file for each material, drawn by the seed."""
    rng = np.random.default_rng([seed, _DRAW])
    return {name: files[int(rng.integers(len(files)))] for name, files in found.items()}


def photographed(files: Mapping[str, str], device: str) -> torch.Tensor:
    """Return textures laid out as those of `atlas`, in colour, float32 [1, 3, ...]: materials without a file are drawn.

    What a photograph gives is how a surface departs from its mean colour; the mean is the thing's own.

    :raises ValueError: a picture that cannot be read
    """
    layers = atlas('cpu').expand(1, 3, -1, -1, -1).clone()
    for name, path in files.items():
        layers[0, :, MATERIAL[name] * LEVELS:(MATERIAL[name] + 1) * LEVELS] = _levels(path)
    return layers.to(device)


@lru_cache(maxsize=16)       # of 6 MB each
def _levels(path: str) -> torch.Tensor:
    """Return a photograph at every degree of blur, float32 [3, LEVELS, SIZE + 1, SIZE + 1]."""
    return torch.stack([stacked(plane) for plane in surface(read_square(path))])


def read_square(path: str) -> np.ndarray:
    """Return the middle square of a picture, linear rgb, float32 [SIZE, SIZE, 3]; raise ValueError where it is damaged."""
    try:
        stored, layout = decompress(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f'photograph {path} cannot be read: {error}') from None
    if stored.dtype == np.uint16:
        stored = (stored >> 8).astype(np.uint8)
    stored = np.repeat(stored[..., None], 3, axis=2) if stored.ndim == 2 else stored[..., :3]
    side = min(stored.shape[:2])
    top, left = (stored.shape[0] - side) // 2, (stored.shape[1] - side) // 2
    square = stored[top:top + side, left:left + side, ::-1 if layout.startswith('bgr') else 1]
    if side > 4 * SIZE:
        square, side = cv2.resize(square, (4 * SIZE, 4 * SIZE), interpolation=cv2.INTER_AREA), 4 * SIZE
    return cv2.resize(_LINEAR[square], (SIZE, SIZE), interpolation=cv2.INTER_AREA if side > SIZE else cv2.INTER_LINEAR)


def surface(square: np.ndarray) -> np.ndarray:
    """Return how a surface departs from its mean colour, float64 [3, SIZE, SIZE]: mean 0, without seams when repeated.

    Seams are hidden as textures by example are: towards the edges the picture gives way to itself shifted by half, and
    the sum is brought back to the picture's own contrast.

    :param square: linear rgb [SIZE, SIZE, 3]
    """
    square = square.astype(np.float64)
    mean = square.mean((0, 1))
    departs = ((square - mean) / np.maximum(mean, max(0.2 * mean.mean(), 1e-3))).transpose(2, 0, 1)
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

"""Many short drives through many towns, each with a camera of its own: what networks are trained on."""
from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from semdepth_ros.geometry.camera import Camera
from semdepth_ros.world.drive import Drive

# share of each preset in a training fleet; other_town, other_camera and hard are kept for tests
SHARES = {'day': 0.7, 'dusk': 0.08, 'glare': 0.08, 'fog': 0.07, 'night': 0.07}
FIELD_OF_VIEW_DEG, HEIGHT_M, PITCH_DEG = (55.0, 95.0), (1.2, 2.2), (-1.0, 5.0)


def fleet(drives: int, frames: int, width: int, height: int, split: str = 'train', seed: int = 0,
          device: str = 'cpu') -> Iterator[Drive]:
    """Yield drives whose town, light, field of view, camera height and pitch are drawn at random.

    Drive n is the same whatever the number of drives: a pure function of (split, seed, n).

    :raises ValueError: seed is negative
    """
    if seed < 0:
        raise ValueError(f'seed is {seed}, expected zero or a positive number')
    for number in range(drives):
        rng = np.random.default_rng([seed, number, {'train': 0, 'val': 1, 'test': 2}[split]])
        preset = str(rng.choice(list(SHARES), p=list(SHARES.values())))
        fov, height_m = rng.uniform(*FIELD_OF_VIEW_DEG), round(rng.uniform(*HEIGHT_M), 3)
        camera = Camera.from_field_of_view(width, height, fov, height_m=height_m)
        yield Drive(preset, 1000 * seed + number, frames, camera, split=split, device=device,
                    pitch_deg=rng.uniform(*PITCH_DEG))

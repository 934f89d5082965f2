"""The same frame by two weights, drawn beside each other."""
from __future__ import annotations

import numpy as np

from semdepth_ros.data import Sample
from semdepth_ros.evaluation.album import TILE_WIDTH, median_ratio
from semdepth_ros.evaluation.depth_evaluation import resized_nearest
from semdepth_ros.evaluation.pictures import change_picture, contact_sheet, depth_picture, error_picture, fitting_range
from semdepth_ros.evaluation.protocol import Perceived

MOST_CHANGE = 0.2


def side_by_side(sample: Sample, first: Perceived, second: Perceived, names: tuple[str, str]) -> np.ndarray:
    """Draw a frame: image, depth by two weights, how the second differs from the first, both errors where there is truth.

    :param names: what the two weights are called in the captions
    :return: rgb uint8 [H, W, 3]
    """
    size = sample.image.shape[:2]
    depths = [resized_nearest(p.depth, size) for p in (first, second)]
    range_m = fitting_range(depths[0] if sample.depth is None else sample.depth)
    tiles = [('image', sample.image), *((f'depth, {name}', depth_picture(depth, range_m))
                                        for name, depth in zip(names, depths))]
    percent = round(100 * MOST_CHANGE)
    tiles.append((f'{names[1]}: blue {percent} % nearer, red {percent} % farther',
                  change_picture(*depths, MOST_CHANGE)))
    if sample.depth is not None:
        sparse = np.isfinite(sample.depth).mean() < 0.3
        point_px = max(1, size[1] // 400) if sparse else 1
        for name, depth in zip(names, depths):
            scaled = depth * median_ratio(depth, sample.depth)
            tiles.append((f'error, median-scaled, {name}', error_picture(scaled, sample.depth, point_px=point_px)))
    return contact_sheet(tiles, columns=3, width=TILE_WIDTH)

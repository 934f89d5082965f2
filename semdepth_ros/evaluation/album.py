"""A few frames of every sequence, drawn for a report."""
from __future__ import annotations

import numpy as np

from semdepth_ros.data import Sample
from semdepth_ros.evaluation.depth_evaluation import resized_nearest, scale_ratio
from semdepth_ros.evaluation.depth_metrics import evaluated_pixels
from semdepth_ros.evaluation.pictures import (cloud_picture, contact_sheet, depth_picture, error_picture, fitting_range,
                                              labels_picture, overlay_picture)
from semdepth_ros.evaluation.protocol import Perceived

TILE_WIDTH = 440


class Album:
    """Draws evenly spread frames as they are offered; where none of those has truth, the first that has it as well.

    :param frames: how many of each sequence
    """

    def __init__(self, frames: int = 3):
        self.frames = frames
        self.pages: dict[str, dict[str, np.ndarray]] = {}
        self._extra: dict[str, str | None] = {}

    def offer(self, sequence: str, index: int, count: int, sample: Sample, perception: Perceived) -> None:
        """Draw frame index of count, if it is one of those wanted."""
        has_truth = sample.depth is not None or sample.labels is not None
        wanted = index in {round(place) for place in np.linspace(0, count - 1, self.frames + 2)[1:-1]}
        first_truth = has_truth and sequence not in self._extra
        if not self.frames or not (wanted or first_truth):
            return
        if has_truth:
            self.pages.get(sequence, {}).pop(self._extra.get(sequence), None)
            self._extra[sequence] = None if wanted else _caption(sample)
        self.draw(sequence, sample, perception)

    def draw(self, sequence: str, sample: Sample, perception: Perceived) -> None:
        """Draw a frame, and the sequence's cloud if that could not be drawn so far."""
        page = self.pages.setdefault(sequence, {})
        page[_caption(sample)] = frame_sheet(sample, perception)
        cloud = page.pop('cloud', None) if 'cloud' in page else cloud_of(sample, perception)
        if cloud is not None:
            page['cloud'] = cloud


def _caption(sample: Sample) -> str:
    return f'frame {sample.name}'


def frame_sheet(sample: Sample, perception: Perceived) -> np.ndarray:
    """Draw one frame: image, depth, classes, and below them the error and the truth where there is truth."""
    size = sample.image.shape[:2]
    depth, labels = resized_nearest(perception.depth, size), resized_nearest(perception.labels, size)
    range_m = fitting_range(depth if sample.depth is None else sample.depth)
    tiles = [('image', sample.image), ('depth as perceived', depth_picture(depth, range_m)),
             ('classes as perceived', overlay_picture(sample.image, labels))]
    if sample.depth is not None:
        sparse = np.isfinite(sample.depth).mean() < 0.3
        point_px = max(1, size[1] // 400) if sparse else 1
        scaled = depth * median_ratio(depth, sample.depth)
        tiles += [('error of depth, median-scaled', error_picture(scaled, sample.depth, point_px=point_px)),
                  ('true depth', depth_picture(sample.depth, range_m, point_px=point_px))]
    for caption, truth in (('true classes', sample.labels), ('noisy labels (another network)', sample.noisy_labels)):
        if truth is not None:
            tiles.append((caption, labels_picture(truth)))
            break
    return contact_sheet(tiles, columns=3, width=TILE_WIDTH)


def cloud_of(sample: Sample, perception: Perceived) -> np.ndarray | None:
    """Draw the cloud of one frame in the image's colours; None where the camera or all depth is unknown."""
    camera = perception.camera or sample.camera
    if camera is None or not np.isfinite(perception.depth).any():
        return None
    height, width = perception.depth.shape
    labels = resized_nearest(perception.labels, sample.image.shape[:2])
    colours = resized_nearest(overlay_picture(sample.image, labels, 0.3), (height, width))
    return cloud_picture(perception.depth, camera.scaled(width, height), colours)


def median_ratio(depth: np.ndarray, truth: np.ndarray) -> float:
    """Return what median scaling multiplies a frame's depth by; 1 where no pixel can be compared."""
    both = evaluated_pixels(truth) & ~np.isnan(depth)
    return scale_ratio(depth[both], truth[both]) if both.any() else 1.0

"""The seven depth errors of the field, and what they are computed on."""
from __future__ import annotations

import numpy as np

METRICS = ('abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'd1', 'd2', 'd3')
MIN_DEPTH_M, MAX_DEPTH_M = 1e-3, 80.0


def depth_errors(predicted: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Return the seven metrics of predicted against true depth, in float64.

    abs_rel, sq_rel [m], rmse [m], rmse_log, and d1 d2 d3: the share of pixels whose ratio to the truth is below 1.25,
    1.25^2, 1.25^3. Eigen et al. 2014.

    :param predicted, truth: [N] m, positive and finite
    :raises ValueError: other shapes, no pixels, or a depth that is not positive and finite
    """
    predicted, truth = np.asarray(predicted, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if predicted.shape != truth.shape or not truth.size:
        raise ValueError(f'depths have shapes {predicted.shape} and {truth.shape}, expected equal and not empty')
    for name, depth in (('predicted', predicted), ('true', truth)):
        if not (np.isfinite(depth) & (depth > 0)).all():
            raise ValueError(f'{name} depth has values that are not positive and finite')
    error, ratio = predicted - truth, np.maximum(predicted / truth, truth / predicted)
    return {
        'abs_rel': float(np.mean(np.abs(error) / truth)),
        'sq_rel': float(np.mean(error ** 2 / truth)),
        'rmse': float(np.sqrt(np.mean(error ** 2))),
        'rmse_log': float(np.sqrt(np.mean((np.log(predicted) - np.log(truth)) ** 2))),
        **{f'd{n}': float(np.mean(ratio < 1.25 ** n)) for n in (1, 2, 3)},
    }


def garg_crop(height: int, width: int) -> tuple[slice, slice]:
    """Return the rows and columns that Garg et al. 2016 evaluate of a KITTI image."""
    return (slice(int(0.40810811 * height), int(0.99189189 * height)),
            slice(int(0.03594771 * width), int(0.96405229 * width)))


def is_kitti_shaped(height: int, width: int) -> bool:
    """Return whether an image has KITTI's shape: 3.2 to 3.4 times as wide as high."""
    return 3.2 <= width / height <= 3.4


def in_range(truth: np.ndarray) -> np.ndarray:
    """Return which depths are between MIN_DEPTH_M and MAX_DEPTH_M, bool of the same shape; sky and NaN never are."""
    with np.errstate(invalid='ignore'):
        return (truth > MIN_DEPTH_M) & (truth < MAX_DEPTH_M)


def evaluated_pixels(truth: np.ndarray) -> np.ndarray:
    """Return which pixels of true depth [H, W] m count, bool [H, W].

    Those in range (in_range), and on KITTI-shaped images only inside the Garg crop.
    """
    mask = in_range(truth)
    if not is_kitti_shaped(*truth.shape):
        return mask
    cropped = np.zeros_like(mask)
    window = garg_crop(*truth.shape)
    cropped[window] = mask[window]
    return cropped


def clamped(depth: np.ndarray) -> np.ndarray:
    """Return depth limited to the evaluated range; +inf (sky, out of range) counts as MAX_DEPTH_M, NaN stays NaN."""
    return np.clip(np.asarray(depth, dtype=np.float64), MIN_DEPTH_M, MAX_DEPTH_M)


def mean_errors(errors: list[dict[str, float]]) -> dict[str, float]:
    """Return the mean over frames of each metric."""
    return {name: float(np.mean([e[name] for e in errors])) for name in METRICS}

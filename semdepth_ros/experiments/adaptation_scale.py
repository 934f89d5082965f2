"""Where the scaled columns of an adapted drive have their scale from, and whether its metric flag was to be believed."""
from __future__ import annotations

from dataclasses import replace

import numpy as np

from semdepth_ros.adaptation import Adapter
from semdepth_ros.data import Sequence
from semdepth_ros.evaluation.depth_evaluation import resized_nearest, scale_ratio
from semdepth_ros.evaluation.depth_metrics import evaluated_pixels
from semdepth_ros.frame_perception import Perception, Scale
from semdepth_ros.model_card import ModelCard
from semdepth_ros.scale import CameraHeight, Mount
from semdepth_ros.settings import one_of

MOST_SIGMAS = 2.1      # beyond so many a frame that is said to be metric is wrong


class ScaleColumn:
    """The scale of one of the two scaled columns; none: 1.

    `watches` says whether it has to see every frame.
    """

    watches = False

    @property
    def scale(self) -> Scale:
        """What depth is multiplied by at present, and how sure that is."""
        return Scale()

    def take(self, perception: Perception) -> None:
        """Take note of a frame."""


class FusedColumn(ScaleColumn):
    """The learner's own metric scale, and how much of what it said was true.

    :param served: whether it is that of the served weights, or of the factory's
    """

    def __init__(self, adapter: Adapter, served: bool):
        self._metric, self._served = adapter.metric, served
        self._errors: list[tuple[float, float, bool]] = []   # ln of what is left after scaling, sigma, metric

    @property
    def scale(self) -> Scale:
        return self._metric.scale if self._served else self._metric.fused.scale

    def judge(self, depth: np.ndarray, truth: np.ndarray) -> None:
        """Hold the present scale against the truth of a frame.

        :param depth, truth: [H, W] m, the size of either its own; depth not scaled yet
        """
        depth, scale = resized_nearest(depth, truth.shape), self.scale
        mask = evaluated_pixels(truth) & ~np.isnan(depth)
        if mask.any():
            left = float(np.log(scale_ratio(depth[mask].astype(np.float64), truth[mask].astype(np.float64)) / scale.value))
            self._errors.append((left, scale.sigma / scale.value, scale.metric))

    def honesty(self) -> dict[str, float]:
        """Return how far scaled depth is from the truth, and what the metric flag said, over the frames with truth.

        :return: `frames`; `error`, the median |ln| of the ratio of median depths that is left; `metric`, the share
            of frames said to be metric; of these `metric_error`, the median, `metric_worst`, `metric_wrong`, how many are
            further off than MOST_SIGMAS of the sigma that is said, and `metric_sigmas`, the root mean square of error over sigma
        """
        errors = np.array([abs(error) for error, *_ in self._errors])
        metric = np.array([metric for *_, metric in self._errors], dtype=bool)
        sigmas = np.array([sigma for _, sigma, _ in self._errors])
        if not len(errors):
            return {'frames': 0}
        said = {'frames': len(errors), 'error': float(np.median(errors)), 'metric': float(metric.mean())}
        if metric.any():
            said |= {'metric_error': float(np.median(errors[metric])), 'metric_worst': float(errors[metric].max()),
                     'metric_wrong': int(np.sum(errors[metric] > MOST_SIGMAS * sigmas[metric])),
                     'metric_sigmas': float(np.sqrt(np.mean((errors[metric] / sigmas[metric]) ** 2)))}
        return said


class _Odometry(ScaleColumn):
    def __init__(self, adapter: Adapter):
        self._adapter = adapter

    @property
    def scale(self) -> Scale:
        scale = self._adapter.scale
        return Scale(scale.value) if scale.ready else Scale()


class _Height(ScaleColumn):
    """The camera's height, which new weights do not begin anew: they keep their scale within a few per cent."""

    watches = True

    def __init__(self, height_m: float, card: ModelCard):
        self._source = CameraHeight(Mount(height_m), card.classes)

    @property
    def scale(self) -> Scale:
        return self._source.scale

    def take(self, perception: Perception) -> None:
        self._source.observe(replace(perception, model_version=0))


def scale_columns(kind: str, odometry: bool, sequence: Sequence, adapter: Adapter,
                  card: ModelCard) -> tuple[ScaleColumn, ScaleColumn]:
    """Return the scales of frozen and of served depth.

    :param kind: as DriveRun.scale
    :param odometry: whether the drive's poses are told
    :raises ValueError: an unknown kind, or the camera's height is asked for and not known
    """
    height_m = sequence.camera.height_m if sequence.camera else None
    if kind == 'auto':
        kind = 'odometry' if odometry and sequence.poses is not None else 'camera_height' if height_m else 'none'
    if kind == 'camera_height' and height_m is None:
        raise ValueError(f"{sequence.name}: the camera's height is not known, expected another --scale")
    kinds = {'fused': lambda served: FusedColumn(adapter, served), 'odometry': lambda served: _Odometry(adapter),
             'camera_height': lambda served: _Height(height_m, card), 'none': lambda served: ScaleColumn()}
    one_of('scale', kind, ['auto', *kinds])
    return kinds[kind](False), kinds[kind](True)

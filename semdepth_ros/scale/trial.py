"""A scale source on a recorded drive, held against the truth: was it ever metric and wrong?"""
from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from semdepth_ros.classes import TRAIN_ID
from semdepth_ros.data.sample import Sample
from semdepth_ros.frame_perception import Perception
from semdepth_ros.scale.sources import ScaleSource

LEAST_PIXELS = 100      # of road with truth, for a median that means something
FARTHEST_M = 80.0       # of truth that counts
STARTED_M = 50.0        # driven, after which a scale may be expected


@dataclass(frozen=True)
class TrialFrame:
    """One frame as it would have been published.

    :param stamp_ns: of the image
    :param travelled_m: since the first frame, None where poses are not known
    :param scale, sigma, metric: of what was published, sigma relative
    :param log_error: median over the true road's pixels of ln(true depth / published depth), None without truth
    """

    stamp_ns: int
    travelled_m: float | None
    scale: float
    sigma: float
    metric: bool
    log_error: float | None

    @property
    def sigmas(self) -> float | None:
        """The error in standard deviations, None where it is not known or nothing is claimed."""
        return None if self.log_error is None or not self.metric else abs(self.log_error) / max(self.sigma, 1e-9)


class ScaleTrial:
    """Has a source follow a drive, frame by frame, as a node would.

    :param source: begins with the drive
    """

    def __init__(self, source: ScaleSource):
        self.source, self.frames = source, []
        self._travelled_m, self._place = 0.0, None

    def take(self, perception: Perception, sample: Sample) -> None:
        """Publish one frame with the source's scale, compare it with its truth, and have the source observe it.

        :param perception: with the scale 1, of exactly this sample
        """
        scale = self.source.scale.on(perception.camera)
        published = self.source.observe(
            replace(perception, depth=perception.depth * np.float32(scale.value), scale=scale))
        error = road_error(published.depth, published.labels, sample)
        self.frames.append(TrialFrame(sample.stamp_ns, self._travelled(sample), scale.value, scale.sigma / scale.value,
                                      published.scale.metric, error))

    def summary(self) -> dict:
        """Return the figures: frames, shares of frames that were metric, sigma while metric, mean and worst error.

        `metric_share_after_50_m` and `metric_within_10_percent_after_50_m` (of a sigma of at most 0.1, too) are None
        where poses are not known or the drive is shorter.
        """
        metric = [f for f in self.frames if f.metric]
        late = [f for f in self.frames if f.travelled_m is not None and f.travelled_m >= STARTED_M]
        errors = [f.log_error for f in metric if f.log_error is not None]
        sigmas = [f.sigmas for f in metric if f.sigmas is not None]
        return {'frames': len(self.frames), 'metric': len(metric), 'metric_with_truth': len(sigmas),
                'metric_share_after_50_m': _share([f.metric for f in late]),
                'metric_within_10_percent_after_50_m': _share([f.metric and f.sigma <= 0.1 for f in late]),
                'median_sigma': float(np.median([f.sigma for f in metric])) if metric else None,
                'mean_log_error': float(np.mean(errors)) if errors else None,
                'worst_log_error': max(map(abs, errors), default=None),
                'worst_sigmas': max(sigmas, default=None)}

    def as_json(self) -> list[dict]:
        """Return the frames as JSON has them."""
        return [asdict(frame) for frame in self.frames]

    def _travelled(self, sample: Sample) -> float | None:
        if sample.pose is None:
            return None
        place = sample.pose[:3, 3]
        self._travelled_m += 0.0 if self._place is None else float(np.linalg.norm(place - self._place))
        self._place = place
        return self._travelled_m


def road_error(depth: np.ndarray, labels: np.ndarray, sample: Sample) -> float | None:
    """Return the median of ln(true / published depth) over road pixels, None where there is too little truth.

    :param depth: as published [H, W] m
    :param labels: as published; what is road is told by the sample's labels where it has any
    """
    if sample.depth is None:
        return None
    known = next((part for part in (sample.labels, sample.noisy_labels) if part is not None), labels)
    with np.errstate(invalid='ignore'):
        seen = np.isfinite(depth) & (depth > 0) & (sample.depth > 0) & (sample.depth < FARTHEST_M)
    seen &= known == TRAIN_ID['road']
    if np.count_nonzero(seen) < LEAST_PIXELS:
        return None
    return float(np.median(np.log(sample.depth[seen].astype(np.float64) / depth[seen])))


def _share(flags: list[bool]) -> float | None:
    return float(np.mean(flags)) if flags else None

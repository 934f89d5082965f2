"""An evaluation under way as DepthMetrics messages."""
from __future__ import annotations

import math
from typing import Any

from semdepth_ros.bridge.messages import MessageTypes
from semdepth_ros.evaluation.depth_metrics import MAX_DEPTH_M, METRICS, MIN_DEPTH_M
from semdepth_ros.evaluation.protocol import SequenceEvaluation

NAME = 'semdepth_ros/msg/DepthMetrics'


def make_depth_metrics(types: MessageTypes, header: Any, evaluation: SequenceEvaluation, protocol: str,
                       crop: str) -> Any:
    """Return the semdepth_ros/DepthMetrics of one protocol; numbers without truth are NaN.

    :param header: of the newest frame counted
    :param protocol: median_scaled, one_scale or unscaled; one_scale goes through all frames so far
    :param crop: part of the image that is counted, 'none' or 'garg'
    """
    depth, semantics, latency = evaluation.depth, evaluation.semantics() or {}, evaluation.latency_ms()
    ratio = depth.scale_ratio or {}
    errors = depth.errors(protocol) if ratio else dict.fromkeys(METRICS, math.nan)
    return types.make(
        NAME, header=header, protocol=protocol, crop=crop, min_depth=MIN_DEPTH_M, max_depth=MAX_DEPTH_M,
        frames=depth.frames, pixels=depth.pixels, **errors,
        scale_ratio_median=ratio.get('median', math.nan),
        scale_ratio_std_over_mean=ratio.get('std_over_mean', math.nan),
        semantic_frames=semantics.get('frames', 0), miou=semantics.get('miou', math.nan),
        pixel_accuracy=semantics.get('pixel_accuracy', math.nan),
        **{f'latency_{name}': value for name, value in latency.items()})

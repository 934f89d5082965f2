"""What the learner is doing, and what it announces, as messages."""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from semdepth_ros.adaptation import Status, Version
from semdepth_ros.bridge.messages import MessageTypes, make_header
from semdepth_ros.bridge.weights_update import PROMOTE, ROLLBACK

STATUS, UPDATE = 'semdepth_ros/msg/AdaptationStatus', 'semdepth_ros/msg/WeightsUpdate'
STATES = ('waiting', 'paused', 'held', 'learning', 'trial', 'watching', 'fault')    # in the order of STATE_


def make_adaptation_status(types: MessageTypes, status: Status, frame_id: str, frames: tuple[int, int],
                           steps_ms: list[float], learning_s: float, device: str, memory_bytes: int) -> Any:
    """Return the semdepth_ros/AdaptationStatus of a learner.

    :param frame_id: of the newest image
    :param frames: images received, and those that a newer one replaced
    :param steps_ms: durations of the steps of the last minute [ms]
    :param learning_s: time spent in steps [s]
    """
    counts, gates = status.counts, status.gates
    losses = {name: value for name, value in status.losses.items() if name != 'total'}
    p50, p95 = np.percentile(steps_ms, (50, 95)) if steps_ms else (math.nan, math.nan)
    seconds = int(learning_s)
    return types.make(
        STATUS, header=make_header(types, status.stamp_ns, frame_id), state=STATES.index(status.state),
        reason=status.reason, frames_seen=frames[0], frames_dropped=frames[1],
        samples_accepted=counts.get('accepted', 0), samples_rejected=counts.get('rejected', 0),
        samples_held_out=counts.get('held_out', 0), gate_names=[gate.name for gate in gates],
        gate_open=[gate.open for gate in gates],
        gate_rejections=np.array([gate.rejections for gate in gates], np.uint64),
        gate_values=np.array([gate.value for gate in gates], np.float32),
        gate_limits=np.array([gate.limit for gate in gates], np.float32),
        steps=counts.get('steps', 0), steps_undone=counts.get('undone', 0), learning_rate=status.learning_rate,
        step_ms_p50=float(p50), step_ms_p95=float(p95), drift=status.change,
        loss=status.losses.get('total', math.nan), loss_mean=status.loss_mean, loss_sigma=status.loss_deviation,
        loss_names=list(losses), loss_values=np.array(list(losses.values()), np.float32),
        scale=status.scale, scale_sigma=status.scale_sigma, metric=status.metric,
        scale_sources=list(status.scale_sources), scale_doubt=status.scale_doubt, flicker=status.flicker,
        factory_hash=status.factory,
        served_version=status.served, newest_version=status.newest, promotions=counts.get('promotions', 0),
        rejections=counts.get('rejections', 0), rollbacks=counts.get('rollbacks', 0), trial_error=status.trial_error,
        served_error=status.served_error, last_verdict=status.last_verdict, replay_size=status.replay,
        replay_capacity=status.replay_capacity, device_memory_bytes=memory_bytes, device=device,
        learning_time=types.make('builtin_interfaces/msg/Duration', sec=seconds,
                                 nanosec=int((learning_s - seconds) * 1e9)))


def make_weights_update(types: MessageTypes, version: Version, is_rollback: bool, stamp_ns: int, frame_id: str,
                        reason: str) -> Any:
    """Return the semdepth_ros/WeightsUpdate that asks to serve a version that lies in a file.

    :param stamp_ns, frame_id: of the newest image that the decision rests on
    """
    card = version.card
    return types.make(UPDATE, header=make_header(types, stamp_ns, frame_id), action=ROLLBACK if is_rollback else PROMOTE,
                      factory_hash=card.factory, version=card.version, parent=card.parent or 0, sha256=version.sha256,
                      file=version.path.name, reason=reason)

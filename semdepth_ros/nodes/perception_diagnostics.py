"""What /diagnostics says of the perception node: one status for the model, one for each camera."""
from __future__ import annotations

import time
from typing import Any
from weakref import WeakKeyDictionary

import torch
from rclpy.lifecycle import LifecycleNode

from semdepth_ros.bags.qos import Qos
from semdepth_ros.bridge.diagnostics import ERROR, OK, WARN, make_diagnostics, make_status
from semdepth_ros.bridge.messages import make_header
from semdepth_ros.bridge.rclpy_types import RclpyTypes, qos_profile
from semdepth_ros.nodes.camera_channel import CameraChannel
from semdepth_ros.nodes.perceiving import Perceiving
from semdepth_ros.nodes.throttled_log import ThrottledLog

_RECENT_S = 10.0  # how long a problem colours the status
_HOPELESS = 10    # failed frames in a row, after which the next ones are not expected to do better
_COUNTERS = ('received', 'perceived', 'dropped', 'rejected', 'failed', 'not wanted', 'time jumps')


class PerceptionDiagnostics:
    """Sends the statuses, at most once a period by a steady clock."""

    def __init__(self, node: LifecycleNode, types: RclpyTypes, log: ThrottledLog):
        self._node, self._types, self._log = node, types, log
        self._publisher = node.create_publisher(types.message_class('diagnostic_msgs/msg/DiagnosticArray'),
                                                '/diagnostics',
                                                qos_profile(Qos(depth=10)))
        self._due_s, self._gaps = 0.0, WeakKeyDictionary()  # gaps told of by camera; every configure makes new cameras

    def update(self, period_s: float, state: str, enabled: bool, perceiving: Perceiving | None, failure: str) -> None:
        """Send what there is to say if the period is over.

        :param state: the lifecycle's
        :param perceiving: None while the node is not configured
        :param failure: why it could not be configured, empty if it could
        """
        now_s = time.monotonic()
        if now_s < self._due_s:
            return
        self._due_s = now_s + period_s - 0.05
        statuses = [self._model(state, enabled, perceiving, failure)]
        statuses += [self.camera_status(camera, now_s, enabled) for camera in (perceiving.cameras.values() if perceiving else ())]
        now_ns = self._node.get_clock().now().nanoseconds
        self._publisher.publish(make_diagnostics(self._types, make_header(self._types, now_ns, ''), statuses))

    def _model(self, state: str, enabled: bool, perceiving: Perceiving | None, failure: str) -> Any:
        trouble, ago_s = self._log.last()
        recent = ago_s is not None and ago_s < _RECENT_S
        values = {'state': state, 'enabled': enabled, 'last error': trouble or 'none'}
        if ago_s is not None:
            values['last error, seconds ago'] = ago_s
        if perceiving is None:
            return self._status('model', ERROR if failure else OK, failure or 'not configured', values)
        perceptor = perceiving.perceptor
        values |= {'model': perceptor.card.name, 'version': perceptor.version, 'factory': perceptor.card.factory[:12],
                   'device': perceptor.device, 'precision': perceptor.precision,
                   'device memory [MB]': _device_memory(perceptor.engine.tensor_device) / 1e6}
        if perceiving.fault:
            return self._status('model', ERROR, perceiving.fault, values)
        message = f'{perceptor.card.name} version {perceptor.version} on {perceptor.device}'
        return self._status('model', WARN if recent else OK, trouble if recent else message, values)

    def camera_status(self, camera: CameraChannel, now_s: float, enabled: bool = True) -> Any:
        """Return what there is to say of a camera at a time of the steady clock [s]; gaps are told of once."""
        statistics, gaps = camera.statistics, camera.input.gaps
        new_gaps, self._gaps[camera.input] = gaps - self._gaps.get(camera.input, 0), gaps
        values = {'topic': camera.input.image_topic, 'reliability': camera.input.reliability or 'not subscribed',
                  'rate in [Hz]': statistics.rate('received', now_s),
                  'rate out [Hz]': statistics.rate('perceived', now_s)}
        totals = statistics.totals()
        values |= {name: totals[name] for name in _COUNTERS} | {'gaps': gaps}
        scale = camera.published
        values['metric'] = 'unknown' if scale is None else scale.metric
        if scale is not None:
            values |= {'scale': scale.value, 'scale sigma [%]': 100 * scale.sigma / scale.value,
                       'why not metric': '' if scale.metric else camera.scale.doubt or 'no camera_info'}
        values['flicker [%]'] = 100 * camera.flicker.value
        for stage, (median, most, worst) in statistics.percentiles().items():
            values |= {f'{stage} p50 [ms]': median, f'{stage} p95 [ms]': most, f'{stage} p99 [ms]': worst}
        idle = 'nobody subscribes to its outputs' if enabled else 'disabled'
        level, message = OK, 'perceiving' if camera.input.is_open else idle
        if new_gaps > 0:
            level, message = WARN, f'{new_gaps} images did not come'
        silence_s = camera.input.silence_s(now_s)
        if silence_s:
            topic = camera.input.image_topic
            publishers = self._node.count_publishers(topic)
            level, message = WARN, f'no image on {topic} for {silence_s:.1f} s (publishers: {publishers})'
        incompatible = camera.input.incompatible
        if incompatible:
            level, message = WARN, incompatible
        if camera.failed_in_a_row >= _HOPELESS:
            level, message = ERROR, f'the last {camera.failed_in_a_row} frames have all failed'
        return self._status(f'camera {camera.name}'.strip(), level, message, values)

    def _status(self, part: str, level: int, message: str, values: dict[str, Any]) -> Any:
        name = self._node.get_fully_qualified_name().lstrip('/')
        return make_status(self._types, f'{name}: {part}', name, level, message, values)


def _device_memory(device: torch.device) -> int:
    """Return what torch holds on a CUDA device, or the resident memory of this process for the CPU [bytes]."""
    if device.type == 'cuda':
        return torch.cuda.memory_reserved(device)
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1]) * 4096

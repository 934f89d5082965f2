"""The way of frames through the perception node, on the worker's thread: read, perceived together, told of, sent."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
import time

from rclpy.lifecycle import LifecycleNode

from semdepth_ros.bridge.outputs import OutputSettings, is_possible, output_bytes
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Perception
from semdepth_ros.nodes.calibrating import Calibrating
from semdepth_ros.nodes.camera_channel import CameraChannel
from semdepth_ros.nodes.camera_input import Arrival
from semdepth_ros.nodes.declared_parameters import DeclaredParameters
from semdepth_ros.nodes.flicker_watch import FlickerWatch
from semdepth_ros.nodes.one_line import one_line
from semdepth_ros.nodes.shared_memory_check import check_segment
from semdepth_ros.nodes.throttled_log import ThrottledLog
from semdepth_ros.nodes.weights_channel import WeightsChannel
from semdepth_ros.perception import Perceptor, Request
from semdepth_ros.scale import ScaleSource

_SETTINGS = ('stride', 'depth_encoding', 'cloud_max_range_m', 'cloud_rate_hz', 'min_confidence', 'overlay_alpha')
_STAGES = ('waiting', 'reading', 'perceiving', 'sending')


@dataclass
class _FrameAtWork:
    """A camera's frame, and the steady clock's times [s] at which its stages ended, its coming first."""

    camera: CameraChannel
    arrival: Arrival
    times: list[float]
    wanted: set[str] = field(default_factory=set)
    frame: Frame | None = None
    source: ScaleSource | None = None


class FramesAtWork:
    """Takes frames of several cameras through one Perceptor.

    :param cameras: by their names
    """

    def __init__(self, node: LifecycleNode, parameters: DeclaredParameters, perceptor: Perceptor,
                 cameras: Mapping[str, CameraChannel], weights: WeightsChannel, calibrating: Calibrating, log: ThrottledLog):
        self._node, self._parameters, self._perceptor, self._log = node, parameters, perceptor, log
        self._cameras, self._weights, self._calibrating = cameras, weights, calibrating
        self._flicker = FlickerWatch({name: camera.flicker for name, camera in cameras.items()}, perceptor.card.classes,
                                     log)
        self._metric_told: set[tuple[str, str]] = set()
        self._bytes_checked = 0

    def beside(self, name: str, waiting: Sequence[str]) -> list[str]:
        """Return the waiting cameras whose images go through the engine with one of this camera.

        By the size at which the network saw the last images: those of others would only be waited for.
        """
        size = self._cameras[name].input_size
        if size is None:
            return []
        alike = [other for other in waiting if self._cameras[other].input_size == size]
        return alike[:self._perceptor.engine.largest_batch(*size) - 1]

    def work(self, taken: Sequence[tuple[str, Arrival]]) -> None:
        """Take the newest frame of each camera all the way; raises nothing that a frame can cause."""
        taken_s = time.monotonic()
        at_work = [_FrameAtWork(self._cameras[name], arrival, [arrival.at_s, taken_s]) for name, arrival in taken]
        self._perceive([one for one in at_work if self._read(one)])

    def close(self) -> None:
        """End what goes on beside; once no more frames come."""
        self._flicker.close()

    def _read(self, one: _FrameAtWork) -> bool:
        """Read a message as a frame with its camera; return whether there is one to perceive."""
        camera = one.camera
        # what somebody subscribes to now
        one.wanted = camera.output.wanted()
        if not one.wanted and not self._calibrating.wants(camera.name):
            camera.statistics.count('not wanted')
            return False
        with self._counted(camera):
            one.frame = camera.input.frame(one.arrival.message)
            self._notice_changes(camera, one.frame)
            one.source = camera.scale.source(one.frame.frame_id, self._perceptor, one.frame.camera)
            one.times.append(time.monotonic())
            return True
        return False

    def _perceive(self, at_work: Sequence[_FrameAtWork]) -> None:
        """Perceive frames together, with the scales known so far, which learn from them; then send them in order.

        If they cannot be perceived together each is tried alone, so that one camera's trouble is not the others'.
        """
        requests = [Request(one.frame, one.source.scale, self._parameters['max_range_m']) for one in at_work]
        try:
            perceptions = self._perceptor.perceive_together(requests)
        except Exception:
            if len(at_work) > 1:
                for one in at_work:
                    self._perceive([one])
                return
            with self._counted(at_work[0].camera):
                raise
            return
        done_s = time.monotonic()
        for one, perception in zip(at_work, perceptions):
            one.times.append(done_s)
            self._calibrating.see(one.camera.name, one.frame, perception)
            with self._counted(one.camera):
                self._send(one, one.source.observe(perception))
            self._flicker.see(one.camera.name, one.frame, perception)

    def _send(self, one: _FrameAtWork, perception: Perception) -> None:
        camera, header = one.camera, one.arrival.message.header
        camera.input_size = perception.input_size
        # which weights answer, before their answer
        self._announce(one, perception)
        if 'points' in one.wanted and not is_possible('points', perception):
            self._log.warn(f'{camera.input.image_topic}: no cloud without a camera_info of a rectified camera')
        settings = OutputSettings(**{name: self._parameters[name] for name in _SETTINGS})
        self._check_segment(one.wanted, perception, settings)
        camera.output.publish(one.wanted, header, one.frame, perception, settings)
        # how long each stage took
        times = [*one.times, time.monotonic()]
        camera.statistics.count('perceived', times[-1])
        stages = dict(zip(_STAGES, (b - a for a, b in zip(times, times[1:]))))
        camera.statistics.latency({stage: 1e3 * t for stage, t in (stages | {'node': times[-1] - times[0]}).items()})
        camera.failed_in_a_row = 0

    @contextmanager
    def _counted(self, camera: CameraChannel) -> Iterator[None]:
        """Count and tell what goes wrong with a camera's frame, which ends there."""
        try:
            yield
        except ValueError as error:
            camera.statistics.count('rejected')
            self._log.warn(f'{camera.input.image_topic}: {error}')
        except Exception as error:
            camera.statistics.count('failed')
            camera.failed_in_a_row += 1
            self._log.warn(f'{camera.input.image_topic}: a frame failed with {one_line(error)}')

    def _announce(self, one: _FrameAtWork, perception: Perception) -> None:
        camera, kind = one.camera, self._parameters['scale_source']
        self._weights.announce(camera.name, one.arrival.message.header, perception.model_version, perception.scale, kind,
                               perception.input_size)
        before, camera.published = camera.published, perception.scale
        why = f'scale_source is {kind!r}' if one.frame.camera else 'no camera_info says its focal length'
        self._tell_of_metric(camera, why, bool(before and before.metric))

    def _tell_of_metric(self, camera: CameraChannel, why: str, before: bool) -> None:
        """Say once why depth is not metric, and every time that it becomes metric or ceases to be."""
        topic, scale = camera.input.image_topic, camera.published
        if scale.metric and not before:
            known = f', known to {100 * scale.sigma / scale.value:.0f} %' if scale.sigma else ''
            self._log.info(f'{topic}: depth is metric, scale {scale.value:.3g}{known}')
        elif before and not scale.metric:
            self._log.warn(f'{topic}: depth is metric no more ({camera.scale.doubt or why})')
        if not scale.metric and (camera.name, why) not in self._metric_told:
            self._metric_told.add((camera.name, why))
            self._node.get_logger().warning(f'{topic}: depth is not metric on this camera ({why}); see scale_source in '
                                            'the parameters')

    def _notice_changes(self, camera: CameraChannel, frame: Frame) -> None:
        size = (frame.width, frame.height)
        if camera.size not in (None, size):
            self._log.warn(f'{camera.input.image_topic}: image size changed from {camera.size[0]}x{camera.size[1]} to '
                           f'{size[0]}x{size[1]}')
        camera.size = size
        if frame.stamp_ns < camera.stamp_ns:
            camera.scale.reset()
            camera.flicker.clear()
        camera.stamp_ns = frame.stamp_ns

    def _check_segment(self, wanted: set[str], perception: Perception, settings: OutputSettings) -> None:
        """Warn of what is sent for a frame, again only when it has become more."""
        height, width = perception.depth.shape
        possible = [topic for topic in wanted if is_possible(topic, perception)]
        outputs = output_bytes(possible, width, height, settings)
        if sum(outputs.values()) > self._bytes_checked:
            self._bytes_checked = sum(outputs.values())
            check_segment(self._node.get_logger(), outputs)

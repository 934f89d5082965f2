"""What the perception node has between configure and cleanup: Perceptor, cameras, and a frame's way through.

Three threads meet here. The executor's runs every callback: transitions, services, timers, images and camera_infos as
they come in; it makes and ends subscriptions, and waits for a frame in work in transitions only. The worker's has a
frame from the moment it is taken until its outputs are sent: it alone perceives, changes a camera's scale, size, stamp
and what was published last, and publishes outputs and model_info. The one that changes weights alone reads announced
files and has the Perceptor serve other weights, between two frames. What two of them touch has a lock of its own
(statistics, camera_infos, the worker's places, the Perceptor) or is replaced whole.
"""
from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from typing import Any

import torch
from rclpy.lifecycle import LifecycleNode

from semdepth_ros.bridge.diagnostics import Statistics
from semdepth_ros.bridge.outputs import OutputSettings, is_possible, output_bytes
from semdepth_ros.bridge.rclpy_types import RclpyTypes
from semdepth_ros.bridge.weights_update import weights_folder
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Perception, Scale
from semdepth_ros.model_file import find_model
from semdepth_ros.nodes.camera_input import Arrival, CameraInput
from semdepth_ros.nodes.camera_output import CameraOutput
from semdepth_ros.nodes.camera_scale import CameraScale, LearnedScale
from semdepth_ros.nodes.declared_parameters import DeclaredParameters
from semdepth_ros.nodes.mount_listener import MountListener
from semdepth_ros.nodes.one_line import one_line
from semdepth_ros.nodes.shared_memory_check import check_segment
from semdepth_ros.nodes.throttled_log import ThrottledLog
from semdepth_ros.nodes.weights_channel import WeightsChannel
from semdepth_ros.nodes.worker import NewestFirstWorker
from semdepth_ros.perception import Perceptor

_SETTINGS = ('stride', 'depth_encoding', 'cloud_max_range_m', 'cloud_rate_hz', 'min_confidence', 'overlay_alpha')
_TORCH_THREADS = torch.get_num_threads()  # as torch itself has it


@dataclass
class CameraChannel:
    """One camera: its input, output, scale and statistics, and what was seen and published last."""

    name: str
    input: CameraInput
    output: CameraOutput
    scale: CameraScale
    statistics: Statistics
    size: tuple[int, int] | None = None
    stamp_ns: int = 0
    published: Scale | None = None
    failed_in_a_row: int = 0


class Perceiving:
    """Loads the model and makes topics; perceives between activate() and deactivate().

    :param withdrawn: SHA-256 (hex) of weights that a person has rolled back from, which outlives this
    :raises ValueError: the model, the device or an overridden quality of service cannot be used
    """

    def __init__(self, node: LifecycleNode, types: RclpyTypes, parameters: DeclaredParameters, withdrawn: set[str],
                 log: ThrottledLog):
        self._node, self._parameters, self._log = node, parameters, log
        self.is_active, self.fault = False, ''
        self._metric_told, self._bytes_checked = set(), 0
        torch.set_num_threads(parameters['threads'] or _TORCH_THREADS)
        file = find_model(parameters['model'])
        self.perceptor = Perceptor.from_file(
            file, device=parameters['device'], precision=parameters['precision'], output=parameters['output'],
            rectify=parameters['rectify'], input_pixels=parameters['input_pixels'])
        self._mounts, self._learner = MountListener(node, types), LearnedScale(node, types)
        self.cameras: dict[str, CameraChannel] = {}
        self._worker = NewestFirstWorker(self._work, self._worker_failed)
        try:
            for name in [n for n in parameters['cameras'] if n] or ['']:
                self.cameras[name] = self._camera(types, name)
            folder = weights_folder(parameters['weights_dir'])
            self.weights = WeightsChannel(node, types, self.perceptor, file, folder, withdrawn, log,
                                          list(self.cameras))
        except Exception:
            self._close_cameras()
            del self.perceptor  # the error under way holds on to this object, and so to the memory of the device
            raise

    def activate(self) -> None:
        """Begin to perceive."""
        self.is_active = True
        self.weights.open()
        for camera in self.cameras.values():
            camera.output.name_labels(self._parameters['min_confidence'])

    def deactivate(self) -> None:
        """Stop, once the frame that is being worked on is done."""
        self.is_active = False
        self.weights.close()
        for camera in self.cameras.values():
            camera.input.close()
        for name in self._worker.clear():
            self.cameras[name].statistics.count('dropped')

    def close(self) -> None:
        """Give everything back."""
        self.deactivate()
        self._close_cameras()
        self.weights.end()
        self._mounts.close()
        self._learner.update(wanted=False)
        del self.perceptor, self.weights
        gc.collect()  # what is left of the network in reference cycles, before its memory can go back
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def poll(self, enabled: bool) -> None:
        """Subscribe to what is needed for what somebody subscribes to; called a few times a second by the executor."""
        self._mounts.update()
        self._learner.update(self._parameters['scale_source'] == 'adaptation')
        for camera in self.cameras.values():
            if enabled and self.is_active and camera.output.wanted():
                camera.input.open()
                camera.input.follow()
                camera.output.name_labels(self._parameters['min_confidence'])
            else:
                camera.input.close()

    def _camera(self, types: RclpyTypes, name: str) -> CameraChannel:
        statistics, parameters = Statistics(), self._parameters
        camera_input = CameraInput(
            self._node, types, name, parameters['image_transport'] == 'compressed', parameters['image_kind'],
            statistics, self._log, lambda arrival: self._arrived(name, arrival), parameters['image_bits'])
        output = CameraOutput(self._node, types, name, self.perceptor.card.classes, self._log)
        scale = CameraScale(parameters, self._mounts, self._learner, self._log)
        return CameraChannel(name, camera_input, output, scale, statistics)

    def _close_cameras(self) -> None:
        self._worker.stop()
        for camera in self.cameras.values():
            camera.output.close()

    def _arrived(self, name: str, arrival: Arrival) -> None:
        if self._worker.put(name, arrival):
            self.cameras[name].statistics.count('dropped')

    def _work(self, name: str, arrival: Arrival) -> None:
        camera = self.cameras[name]
        try:
            self._perceive(camera, arrival)
            camera.failed_in_a_row = 0
        except ValueError as error:
            camera.statistics.count('rejected')
            self._log.warn(f'{camera.input.image_topic}: {error}')
        except Exception as error:
            camera.statistics.count('failed')
            camera.failed_in_a_row += 1
            self._log.warn(f'{camera.input.image_topic}: a frame failed with {one_line(error)}')

    def _perceive(self, camera: CameraChannel, arrival: Arrival) -> None:
        times = [arrival.at_s, time.monotonic()]
        # what somebody subscribes to now
        wanted = camera.output.wanted()
        if not wanted:
            camera.statistics.count('not wanted')
            return
        # the message as a frame with its camera
        frame = camera.input.frame(arrival.message)
        self._notice_changes(camera, frame)
        times.append(time.monotonic())
        # depth and classes, with the scale known so far, which learns from them
        source = camera.scale.source(frame.frame_id, self.perceptor, frame.camera)
        perception = source.observe(self.perceptor.perceive(frame, source.scale, self._parameters['max_range_m']))
        times.append(time.monotonic())
        # which weights answer, before their answer
        self._announce(camera, arrival.message.header, frame, perception)
        if 'points' in wanted and not is_possible('points', perception):
            self._log.warn(f'{camera.input.image_topic}: no cloud without a camera_info of a rectified camera')
        settings = OutputSettings(**{name: self._parameters[name] for name in _SETTINGS})
        self._check_segment(wanted, perception, settings)
        camera.output.publish(wanted, arrival.message.header, frame, perception, settings)
        times.append(time.monotonic())
        # how long each stage took
        camera.statistics.count('perceived', times[-1])
        stages = dict(zip(('waiting', 'reading', 'perceiving', 'sending'), (b - a for a, b in zip(times, times[1:]))))
        camera.statistics.latency({stage: 1e3 * t for stage, t in (stages | {'node': times[-1] - times[0]}).items()})

    def _announce(self, camera: CameraChannel, header: Any, frame: Frame, perception: Perception) -> None:
        geometry, kind = self.perceptor.geometry(frame), self._parameters['scale_source']
        self.weights.announce(camera.name, header, perception.model_version, perception.scale, kind,
                              (geometry.width, geometry.height))
        before, camera.published = camera.published, perception.scale
        why = f'scale_source is {kind!r}' if frame.camera else 'no camera_info says its focal length'
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
        camera.stamp_ns = frame.stamp_ns

    def _check_segment(self, wanted: set[str], perception: Perception, settings: OutputSettings) -> None:
        """Warn of what is sent for a frame, again only when it has become more."""
        height, width = perception.depth.shape
        possible = [topic for topic in wanted if is_possible(topic, perception)]
        outputs = output_bytes(possible, width, height, settings)
        if sum(outputs.values()) > self._bytes_checked:
            self._bytes_checked = sum(outputs.values())
            check_segment(self._node.get_logger(), outputs)

    def _worker_failed(self, error: BaseException) -> None:
        self.fault = f'{type(error).__name__}: {error}'
        self._node.get_logger().fatal(f'perceiving has stopped: {self.fault}')

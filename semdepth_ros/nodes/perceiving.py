"""What the perception node has between configure and cleanup: Perceptor, cameras, and a frame's way through.

Several threads meet here. The executor's runs every callback: transitions, services, timers, images and camera_infos as
they come in; it makes and ends subscriptions, and waits for a frame in work in transitions only. The worker's
(frames_at_work.py) has a frame from the moment it is taken until its outputs are sent: once configured it alone
perceives, changes a camera's scale, size, stamp and what was published last, and publishes outputs and model_info. The
one that changes weights alone reads announced files and has the Perceptor serve other weights, between two frames. A
calibration that somebody has asked for has one more, which looks at what was perceived (calibrating.py). What two of them
touch has a lock of its own (statistics, camera_infos, the worker's places, the Perceptor) or is replaced
whole.
"""
from __future__ import annotations

import gc
import time
from concurrent.futures import Future

import torch
from rclpy.lifecycle import LifecycleNode

from semdepth_ros.bridge.calibrate import Calibrated, Order
from semdepth_ros.bridge.diagnostics import Statistics
from semdepth_ros.bridge.rclpy_types import RclpyTypes
from semdepth_ros.bridge.weights_update import weights_folder
from semdepth_ros.model_file import find_model
from semdepth_ros.nodes.announced_cameras import announced_cameras
from semdepth_ros.nodes.calibrating import Calibrating
from semdepth_ros.nodes.camera_channel import CameraChannel
from semdepth_ros.nodes.camera_input import Arrival, CameraInput
from semdepth_ros.nodes.camera_output import CameraOutput
from semdepth_ros.nodes.camera_scale import CameraScale, LearnedScale
from semdepth_ros.nodes.declared_parameters import DeclaredParameters
from semdepth_ros.nodes.frames_at_work import FramesAtWork
from semdepth_ros.nodes.mount_listener import MountListener
from semdepth_ros.nodes.one_line import one_line
from semdepth_ros.nodes.throttled_log import ThrottledLog
from semdepth_ros.nodes.weights_channel import WeightsChannel
from semdepth_ros.nodes.worker import NewestFirstWorker
from semdepth_ros.perception import Perceptor

_LAYOUTS = ('rgb', 'bgr')  # what most cameras send, and what a JPEG becomes
_TORCH_THREADS = torch.get_num_threads()  # as torch itself has it


class Perceiving:
    """Loads the model and makes topics; perceives between activate() and deactivate().

    :param withdrawn: SHA-256 (hex) of weights that a person has rolled back from, which outlives this
    :raises ValueError: the model, the device or an overridden quality of service cannot be used
    """

    def __init__(self, node: LifecycleNode, types: RclpyTypes, parameters: DeclaredParameters, withdrawn: set[str],
                 log: ThrottledLog):
        self._node, self._parameters, self._log = node, parameters, log
        self.is_active, self.fault = False, ''
        torch.set_num_threads(parameters['threads'] or _TORCH_THREADS)
        file = find_model(parameters['model'])
        self.perceptor = Perceptor.from_file(
            file, device=parameters['device'], precision=parameters['precision'], output=parameters['output'],
            rectify=parameters['rectify'], input_pixels=parameters['input_pixels'])
        self._mounts, self._learner = MountListener(node, types), LearnedScale(node, types)
        self.cameras: dict[str, CameraChannel] = {}
        self._worker: NewestFirstWorker | None = None
        try:
            for name in [n for n in parameters['cameras'] if n] or ['']:
                self.cameras[name] = self._camera(types, name)
            folder = weights_folder(parameters['weights_dir'])
            self._prepare(types)
            self.weights = WeightsChannel(node, types, self.perceptor, file, folder, withdrawn, log,
                                          list(self.cameras))
        except Exception:
            self._close_cameras()
            del self.perceptor  # the error under way holds on to this object, and so to the memory of the device
            raise
        self.calibrating = Calibrating(node, types, parameters, self.perceptor, list(self.cameras), self._mounts, log)
        self.frames = FramesAtWork(node, parameters, self.perceptor, self.cameras, self.weights, self.calibrating, log)
        self._worker = NewestFirstWorker(self.frames.work, self._worker_failed, self.frames.beside)

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
        self.calibrating.close('the node was deactivated meanwhile')
        for camera in self.cameras.values():
            camera.input.close()
        for name in self._worker.clear():
            self.cameras[name].statistics.count('dropped')

    def close(self) -> None:
        """Give everything back."""
        self.deactivate()
        self._close_cameras()
        self.frames.close()
        self.weights.end()
        self._mounts.close()
        self._learner.update(wanted=False)
        del self.perceptor, self.weights, self.frames, self.calibrating
        gc.collect()  # what is left of the network in reference cycles, before its memory can go back
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def calibrate(self, order: Order) -> Future[Calibrated]:
        """Measure the scale of a camera beside perceiving; see Calibrating.ask.

        :raises ValueError: the node is not active, or as there
        """
        if not self.is_active:
            raise ValueError('the node is not active')
        return self.calibrating.ask(order)

    def poll(self, enabled: bool) -> None:
        """Subscribe to what is needed for what somebody subscribes to; called a few times a second by the executor."""
        self._mounts.update()
        self._learner.update(self._parameters['scale_source'] == 'adaptation')
        self.calibrating.poll()
        for camera in self.cameras.values():
            if enabled and self.is_active and (camera.output.wanted() or self.calibrating.wants(camera.name)):
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

    def _prepare(self, types: RclpyTypes) -> None:
        """Make ready for the images that are announced, so that the first one waits for nothing."""
        start, inputs = time.monotonic(), [camera.input for camera in self.cameras.values()]
        found = announced_cameras(self._node, types, inputs, self._parameters['image_sizes'])
        if not found:
            return
        try:
            self.perceptor.prepare(found, _LAYOUTS)
        except Exception as error:  # a frame that fails likewise will be told with its camera
            self._log.warn(f'cannot be made ready before the first image: {one_line(error)}')
            return
        sizes = ', '.join('{}x{}'.format(*c) if isinstance(c, tuple) else f'{c.width}x{c.height}' for c in found)
        self._node.get_logger().info(f'ready for images of {sizes} in {time.monotonic() - start:.1f} s')

    def _close_cameras(self) -> None:
        if self._worker is not None:
            self._worker.stop()
            self._worker = None  # it holds on to the Perceptor
        for camera in self.cameras.values():
            camera.output.close()

    def _arrived(self, name: str, arrival: Arrival) -> None:
        if self._worker.put(name, arrival):
            self.cameras[name].statistics.count('dropped')

    def _worker_failed(self, error: BaseException) -> None:
        self.fault = f'{type(error).__name__}: {error}'
        self._node.get_logger().fatal(f'perceiving has stopped: {self.fault}')

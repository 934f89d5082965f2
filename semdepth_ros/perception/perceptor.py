"""One frame in, one Perception out."""
from __future__ import annotations

import os
import threading
from collections import OrderedDict
from dataclasses import replace

import torch

from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Perception, Scale
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.input_geometry import InputGeometry, input_geometry
from semdepth_ros.model_file import InputRule, ModelCard, tensor_hash
from semdepth_ros.networks import JointNetwork, load_network
from semdepth_ros.perception.candidate import Candidate, Weights, read_candidate
from semdepth_ros.perception.decoding import Decoder
from semdepth_ros.perception.device import choose_device, choose_precision
from semdepth_ros.perception.engine import Engine, FoldedEngine
from semdepth_ros.perception.output_block import array_views
from semdepth_ros.perception.pipeline import CpuPipeline, CudaPipeline, Pipeline

OUTPUTS = ('input', 'network')
_PIPELINES = 32  # kept, one for each layout and distorted lens or undistorted window; on CUDA making one is a capture


class Perceptor:
    """Runs one network on frames of any size, layout and camera.

    :param network: in evaluation mode, on the CPU; it is not changed
    :param card: of these weights
    :param device: 'auto', 'cpu', 'cuda' or 'cuda:N'
    :param precision: 'auto', 'float32', 'bfloat16' or 'float16'
    :param output: 'input', outputs as large as the image, or 'network', as large as the network sees it
    :param max_range_m: depth beyond is +inf, of frames that say nothing else
    :param scale: the factor to metres, of frames that say nothing else
    :param rectify: undistort images of a distorted camera; else outputs belong to the distorted image
    :param input_pixels: budget of the network's input [px]; 0 leaves it to the card, which may say another on a CPU
    :param engine: what runs the network, in place of the engine that suits the device
    :raises ValueError: a device, precision, output or range that cannot be

    Safe to call from several threads; frames are run one after the other, each with exactly one version of the weights.
    """

    def __init__(self, network: JointNetwork, card: ModelCard, *, device: str = 'auto', precision: str = 'auto',
                 output: str = 'input', max_range_m: float = 80.0, scale: Scale = Scale(), rectify: bool = True,
                 input_pixels: int = 0, engine: Engine | None = None):
        if output not in OUTPUTS:
            raise ValueError(f'output is {output!r}, expected one of {OUTPUTS}')
        self.output, self.rectify = output, rectify
        self.max_range_m, self.scale = _a_range(max_range_m), scale
        self.device = choose_device(device)
        self.dtype = choose_precision(self.device, precision)
        self.input_rule = _input_rule(card, self.device, input_pixels)
        self.engine = engine or FoldedEngine(network, self.device, self.dtype)
        self._served = Weights(network, _of_a_factory(card, network))
        self._previous: Weights | None = None
        self._pipelines: OrderedDict[tuple, Pipeline] = OrderedDict()
        self._geometries: OrderedDict[tuple, InputGeometry] = OrderedDict()
        self._stream = torch.cuda.Stream(self.device, priority=-1) if self.device.type == 'cuda' else None
        self._running = threading.Lock()
        self._swapping = threading.Lock()

    @classmethod
    def from_file(cls, name: str | os.PathLike, **options) -> Perceptor:
        """Return a Perceptor of a model file or of a packaged model's name, such as 'default'.

        :param options: as for the class
        :raises ModelFileError: whatever is wrong with the file, in one line
        """
        return cls(*load_network(name), **options)

    @property
    def card(self) -> ModelCard:
        """The card of the weights being served."""
        return self._served.card

    @property
    def version(self) -> int:
        """The version of the weights being served."""
        return self.card.version

    @property
    def precision(self) -> str:
        """The type the network computes in, such as 'bfloat16'."""
        return str(self.dtype).removeprefix('torch.')

    def perceive(self, frame: Frame, scale: Scale | None = None, max_range_m: float | None = None) -> Perception:
        """Return depth, sigma, classes and confidence of a frame. Same frame, same weights, same scale: same bytes.

        Whatever the scale says, depth is not metric for a frame without a camera.

        :param scale: the factor to metres; None for the one that the Perceptor was made with
        :param max_range_m: depth beyond is +inf; likewise
        :raises ValueError: a range that is not positive
        """
        farthest = self.max_range_m if max_range_m is None else _a_range(max_range_m)
        with self._running:
            geometry, card = self._geometry(frame), self.card
            scale = (self.scale if scale is None else scale).on(geometry.source)
            settings = [geometry.depth_factor(card.focal_px) * scale.value, card.sigma['floor'], card.sigma['gain'],
                        scale.sigma / scale.value, farthest]
            block = self._pipeline(frame, geometry).run(frame, settings)
        width, height = self._output_size(geometry)
        return Perception(*array_views(block, width, height), scale, card.version, self._output_camera(geometry),
                          frame.stamp_ns, frame.frame_id)

    def geometry(self, frame: Frame) -> InputGeometry:
        """Return how this frame becomes the network's input."""
        with self._running:
            return self._geometry(frame)

    def load_weights(self, path: str | os.PathLike) -> ModelCard:
        """Serve another version of the same network from the next frame on; return its card.

        The file's probe frames are run through an engine like the one that serves, on the same device and in the same
        precision; only the exchange itself makes a frame wait. The weights served so far are kept for rollback.

        :raises ModelFileError: a file that cannot be read, is of another factory or architecture, or whose probes come
            out wrong; what is served then stays
        """
        candidate = self.prepare_weights(path)
        self.serve(candidate)
        return candidate.card

    def prepare_weights(self, path: str | os.PathLike, version: int | None = None,
                        sha256: str | None = None) -> Candidate:
        """Return another version of the same network, ready to be served; the first half of load_weights.

        :param version: the version that the file must say it is; None for any
        :param sha256: what the file must have, in hex; None for any
        :raises ModelFileError: as for load_weights, or a file of another version or hash
        """
        return read_candidate(path, self._served, self.engine, version, sha256)

    def serve(self, candidate: Candidate) -> None:
        """Serve prepared weights from the next frame on, and keep those served so far for rollback."""
        with self._swapping:
            self._serve(candidate.weights, candidate.engine)

    def rollback(self) -> ModelCard:
        """Serve the weights that were served before the last load_weights; return their card.

        :raises ValueError: there are none
        """
        with self._swapping:
            if self._previous is None:
                raise ValueError('no earlier weights to go back to')
            self._serve(self._previous, self.engine.twin(self._previous.network))
            self._previous = None
        return self.card

    def _serve(self, weights: Weights, twin: Engine) -> None:
        with self._running:
            self.engine.take(twin)
            self._previous, self._served = self._served, weights

    def _geometry(self, frame: Frame) -> InputGeometry:
        key = frame.camera or (frame.width, frame.height)
        if key not in self._geometries:
            self._geometries[key] = input_geometry(key, self.input_rule, self.rectify)
        return _recent(self._geometries, key)

    def _pipeline(self, frame: Frame, geometry: InputGeometry) -> Pipeline:
        # Undistorted cameras share a pipeline if their window is the same: the focal length is in the multiplier.
        lens = geometry.source if geometry.rectifies else None
        key = (frame.layout, lens or replace(geometry, source=None))
        if key not in self._pipelines:
            self._pipelines[key] = self._new_pipeline(geometry, frame.layout)
        return _recent(self._pipelines, key)

    def _new_pipeline(self, geometry: InputGeometry, layout: str) -> Pipeline:
        decoder = Decoder(geometry, self.card, *self._output_size(geometry), self.device)
        if self._stream is None:
            return CpuPipeline(self.engine, geometry, decoder, layout)
        return CudaPipeline(self.engine, geometry, decoder, layout, self._stream)

    def _output_size(self, geometry: InputGeometry) -> tuple[int, int]:
        if self.output == 'input':
            return geometry.source_width, geometry.source_height
        return geometry.content_width, geometry.content_height

    def _output_camera(self, geometry: InputGeometry) -> Camera | None:
        camera = geometry.output_camera
        return camera.scaled(*self._output_size(geometry)) if camera else None


def _input_rule(card: ModelCard, device: torch.device, pixels: int) -> InputRule:
    if pixels and not pixels >= card.input.multiple ** 2:
        raise ValueError(f'input_pixels is {pixels}, expected 0 or at least {card.input.multiple}x{card.input.multiple}')
    return card.input.on(device.type, pixels)


def _a_range(value: float) -> float:
    if not value > 0:
        raise ValueError(f'max_range_m is {value}, expected a positive number')
    return float(value)


def _of_a_factory(card: ModelCard, network: JointNetwork) -> ModelCard:
    return card if card.factory else replace(card, factory=tensor_hash(network.state_dict()))


def _recent(cache: OrderedDict, key: tuple | Camera):
    """Return an entry as the most recent one, and drop the oldest beyond the limit."""
    cache.move_to_end(key)
    while len(cache) > _PIPELINES:
        cache.popitem(last=False)
    return cache[key]

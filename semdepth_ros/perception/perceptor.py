"""Frames in, Perceptions out."""
from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Perception, Scale
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.input_geometry import InputGeometry, input_geometry
from semdepth_ros.model_file import InputRule, ModelCard, tensor_hash
from semdepth_ros.networks import JointNetwork, load_network
from semdepth_ros.perception.candidate import Candidate, Weights, read_candidate
from semdepth_ros.perception.decoding import Decoder
from semdepth_ros.perception.engines.engine import Engine
from semdepth_ros.perception.engines.table import make_engine
from semdepth_ros.perception.output_block import array_views
from semdepth_ros.perception.request import Request, black
from semdepth_ros.perception.runner import Job, Runner, rehearsals

OUTPUTS = ('input', 'network')
_GEOMETRIES = 32  # kept


class Perceptor:
    """Runs one network on frames of any size, layout and camera.

    :param network: in evaluation mode, on the CPU; it is not changed
    :param card: of these weights
    :param device: 'auto', 'cpu', 'cuda' or 'cuda:N', or what else an engine knows
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
        self.engine = engine or make_engine(network, device, precision)
        self.input_rule = _input_rule(card, self.engine, input_pixels)
        self._served = Weights(network, _of_a_factory(card, network))
        self._previous: Weights | None = None
        self._runner = Runner(self.engine, self._decoder)
        self._geometries: OrderedDict[tuple, InputGeometry] = OrderedDict()
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
    def device(self) -> str:
        """What the network runs on, such as 'cuda:0'."""
        return self.engine.device

    @property
    def precision(self) -> str:
        """The type the network computes in, such as 'bfloat16'."""
        return self.engine.precision

    def perceive(self, frame: Frame, scale: Scale | None = None, max_range_m: float | None = None) -> Perception:
        """Return depth, sigma, classes and confidence of a frame. Same frame, same weights, same scale: same bytes.

        Whatever the scale says, depth is not metric for a frame without a camera.

        :param scale: the factor to metres; None for the one that the Perceptor was made with
        :param max_range_m: depth beyond is +inf; likewise
        :raises ValueError: a range that is not positive
        """
        return self.perceive_together([Request(frame, scale, max_range_m)])[0]

    def perceive_together(self, requests: Sequence[Request]) -> list[Perception]:
        """Return what each frame is perceived as, in the same order, all with one version of the weights.

        Frames of one input size run as a batch, as many as pay on this engine. Among other frames, one comes out as it
        does alone up to the precision's rounding; the same requests give the same bytes.

        :raises ValueError: a range that is not positive; no frame has been run then
        """
        with self._running:
            card, jobs, scales = self.card, [], []
            for request in requests:
                job, scale = self._job(request, card)
                jobs.append(job)
                scales.append(scale)
            blocks = self._runner.run(jobs)
        return [self._perception(job, block, scale, card) for job, block, scale in zip(jobs, blocks, scales)]

    def prepare(self, cameras: Sequence[Camera | tuple[int, int]], layouts: Sequence[str] = ('rgb',)) -> None:
        """Make ready for frames of these cameras, each alone and any of them together, so that the first ones wait for
        nothing: weights are laid out, graphs captured, by running black images.

        :param cameras: one for each source of frames, alike or not; (width, height) [px] where only that is known
        :param layouts: keys of semdepth_ros.frame.LAYOUTS that the frames may have
        """
        for layout in layouts:
            with self._running:
                jobs = [self._job(black(camera, layout), self.card)[0] for camera in cameras]
                for together in rehearsals(jobs, self.engine.largest_batch):
                    self._runner.run(together, foreseen=True)

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
        self._geometries.move_to_end(key)
        while len(self._geometries) > _GEOMETRIES:
            self._geometries.popitem(last=False)
        return self._geometries[key]

    def _job(self, request: Request, card: ModelCard) -> tuple[Job, Scale]:
        farthest = self.max_range_m if request.max_range_m is None else _a_range(request.max_range_m)
        geometry = self._geometry(request.frame)
        scale = (self.scale if request.scale is None else request.scale).on(geometry.source)
        settings = [geometry.depth_factor(card.focal_px) * scale.value, card.sigma['floor'], card.sigma['gain'],
                    scale.sigma / scale.value, farthest]
        return Job(request.frame, geometry, settings), scale

    def _perception(self, job: Job, block: Tensor, scale: Scale, card: ModelCard) -> Perception:
        parts = array_views(block, *self._output_size(job.geometry))
        return Perception(*parts, scale, card.version, self._output_camera(job.geometry), job.frame.stamp_ns,
                          job.frame.frame_id, job.input_size)

    def _decoder(self, geometry: InputGeometry) -> Decoder:
        return Decoder(geometry, self.card, *self._output_size(geometry), self.engine.tensor_device)

    def _output_size(self, geometry: InputGeometry) -> tuple[int, int]:
        if self.output == 'input':
            return geometry.source_width, geometry.source_height
        return geometry.content_width, geometry.content_height

    def _output_camera(self, geometry: InputGeometry) -> Camera | None:
        camera = geometry.output_camera
        return camera.scaled(*self._output_size(geometry)) if camera else None


def _input_rule(card: ModelCard, engine: Engine, pixels: int) -> InputRule:
    if pixels and not pixels >= card.input.multiple ** 2:
        raise ValueError(f'input_pixels is {pixels}, expected 0 or at least {card.input.multiple}x{card.input.multiple}')
    return card.input.on(engine.device.partition(':')[0], pixels)


def _a_range(value: float) -> float:
    if not value > 0:
        raise ValueError(f'max_range_m is {value}, expected a positive number')
    return float(value)


def _of_a_factory(card: ModelCard, network: JointNetwork) -> ModelCard:
    return card if card.factory else replace(card, factory=tensor_hash(network.state_dict()))

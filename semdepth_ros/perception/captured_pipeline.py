"""The ways in and out, and the engine between them, as captured graphs."""
from __future__ import annotations

from collections.abc import Callable, Sequence
import math

import numpy as np
import torch
from torch import Tensor

from semdepth_ros.frame import LAYOUTS, Frame
from semdepth_ros.geometry.input_geometry import InputGeometry
from semdepth_ros.networks import Prediction
from semdepth_ros.perception.capture import CudaGraphs
from semdepth_ros.perception.decoding import SETTINGS, Decoder
from semdepth_ros.perception.engines.engine import Engine
from semdepth_ros.perception.intake import network_input
from semdepth_ros.perception.output_block import block_size, tensor_views
from semdepth_ros.perception.pipeline import each

_HEADER = 4 * len(SETTINGS)
_START_SETTINGS = (1.0, 0.05, 1.0, 0.0, 80.0)


class CapturedPipeline:
    """For a frame alone one graph: upload, network input, network, decoding and packing; then one download.

    For frames that go through the engine with others, its beginning and its end are graphs of their own, captured when a
    batch first needs them. The frame's settings travel in front of its pixels, so that they may change without a new
    capture.
    """

    def __init__(self, engine: Engine, geometry: InputGeometry, decoder: Decoder, layout: str, graphs: CudaGraphs):
        self.engine, self.geometry, self.decoder, self.layout, self.graphs = engine, geometry, decoder, layout, graphs
        channels, size = LAYOUTS[layout]
        self.shape = (geometry.source_height, geometry.source_width, channels)
        self.type = torch.uint16 if size == 2 else torch.uint8
        total = _HEADER + size * math.prod(self.shape)
        self.staging = graphs.host_memory(total).zero_()
        self.raw = torch.zeros(total, dtype=torch.uint8, device=graphs.device)
        self.block = torch.zeros(block_size(decoder.width, decoder.height), dtype=torch.uint8, device=graphs.device)
        self.staged_settings = self.staging[:_HEADER].view(torch.float32)
        self.staged_image = self.staging[_HEADER:].view(self.type).view(self.shape).numpy()
        self.staged_settings.copy_(torch.tensor(_START_SETTINGS))
        self.whole, _ = graphs.capture(lambda: self._decode(engine(self._image())))
        self.prediction: Prediction | None = None  # of one image, where the end reads it

    def stage(self, frame: Frame, settings: list[float]) -> None:
        """Lay a frame and its settings where the graphs read them."""
        np.copyto(self.staged_image, frame.image.reshape(self.shape) if frame.image.ndim == 2 else frame.image)
        self.staged_settings.copy_(torch.tensor(settings))

    def part(self, example: Prediction) -> None:
        """Capture beginning and end, unless that is done; not while anything runs.

        :param example: a prediction of one image
        """
        if self.prediction is None:
            prediction = Prediction(tuple(map(torch.zeros_like, example.disparities)),
                                    torch.zeros_like(example.logits), {})
            self.begin, self.image = self.graphs.capture(self._image)
            self.end, _ = self.graphs.capture(lambda: self._decode(prediction))
            self.prediction = prediction

    def outputs(self) -> Tensor:
        """Begin to download the packed outputs, into memory of their own."""
        outputs = self.graphs.host_memory(len(self.block))
        outputs.copy_(self.block, non_blocking=True)
        return outputs

    def _image(self) -> Tensor:
        self.raw.copy_(self.staging, non_blocking=True)
        return network_input(self.raw[_HEADER:].view(self.type).view(self.shape), self.layout, self.geometry)

    def _decode(self, prediction: Prediction) -> None:
        settings = self.raw[:_HEADER].view(torch.float32)
        self.decoder(prediction, settings, tensor_views(self.block, self.decoder.width, self.decoder.height))


class _Batch:
    """The engine on a number of images, as one graph from `images` to what was predicted of each."""

    def __init__(self, engine: Engine, number: int, width: int, height: int, graphs: CudaGraphs):
        self.images = torch.zeros(number, 3, height, width, device=graphs.device).contiguous(
            memory_format=torch.channels_last)
        self.run, prediction = graphs.capture(lambda: engine(self.images))
        self.predictions = list(each(prediction))


class CapturedPasses:
    """Graphs one after the other on one stream, and one wait."""

    def __init__(self, engine: Engine, graphs: CudaGraphs):
        self.engine, self.graphs = engine, graphs
        self._batches: dict[tuple[int, int, int], _Batch] = {}

    def pipeline(self, geometry: InputGeometry, decoder: Decoder, layout: str) -> CapturedPipeline:
        """Return a pipeline for frames of one shape and layout."""
        return CapturedPipeline(self.engine, geometry, decoder, layout, self.graphs)

    def run(self, pipelines: Sequence[CapturedPipeline], frames: Sequence[Frame], settings: Sequence[list[float]]
            ) -> list[Tensor]:
        """Run frames of one input size as one batch; see semdepth_ros.perception.pipeline.Passes."""
        together = self._together(pipelines) if len(frames) > 1 else pipelines[0].whole
        for pipeline, frame, values in zip(pipelines, frames, settings):
            pipeline.stage(frame, values)
        with self.graphs.running():
            together()
            blocks = [pipeline.outputs() for pipeline in pipelines]
            self.graphs.wait()
        return blocks

    def _together(self, pipelines: Sequence[CapturedPipeline]) -> Callable[[], None]:
        """Return what runs pipelines as a batch, everything captured that they need."""
        geometry = pipelines[0].geometry
        key = (len(pipelines), geometry.width, geometry.height)
        if key not in self._batches:
            self._batches[key] = _Batch(self.engine, *key, self.graphs)
        batch = self._batches[key]
        for pipeline in pipelines:
            pipeline.part(batch.predictions[0])

        def run() -> None:
            for pipeline, place in zip(pipelines, batch.images.split(1)):
                pipeline.begin()
                place.copy_(pipeline.image)
            batch.run()
            for pipeline, prediction in zip(pipelines, batch.predictions):
                for mine, theirs in zip(_tensors(pipeline.prediction), _tensors(prediction)):
                    mine.copy_(theirs)
                pipeline.end()

        return run


def _tensors(prediction: Prediction) -> list[Tensor]:
    return [*prediction.disparities, prediction.logits]

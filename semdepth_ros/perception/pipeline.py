"""A camera's way in and a camera's way out around one engine, step after step, on any device that torch knows."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from semdepth_ros.frame import Frame
from semdepth_ros.geometry.input_geometry import InputGeometry
from semdepth_ros.networks import Prediction
from semdepth_ros.perception.decoding import Decoder
from semdepth_ros.perception.engines.engine import Engine
from semdepth_ros.perception.intake import as_tensor, network_input
from semdepth_ros.perception.output_block import block_size, tensor_views


class Passes(Protocol):
    """Makes pipelines, and runs frames through them and the engine between them."""

    def pipeline(self, geometry: InputGeometry, decoder: Decoder, layout: str):
        """Return a pipeline for frames of one shape and layout; it is in one frame's use at a time."""

    def run(self, pipelines: Sequence, frames: Sequence[Frame], settings: Sequence[list[float]]) -> list[Tensor]:
        """Run frames of one input size as one batch.

        :param pipelines: made by this object, one a frame
        :param settings: of each frame, see semdepth_ros.perception.decoding.SETTINGS
        :return: the packed outputs of each, uint8 on the CPU, in memory that no later frame writes to
        """


class Pipeline:
    """The way in and the way out of frames of one shape."""

    def __init__(self, geometry: InputGeometry, decoder: Decoder, layout: str, device: torch.device):
        self.geometry, self.decoder, self.layout, self.device = geometry, decoder, layout, device

    def way_in(self, frame: Frame) -> Tensor:
        """Return the network's input [1, 3, h, w]."""
        return network_input(as_tensor(frame.image).to(self.device), self.layout, self.geometry)

    def way_out(self, prediction: Prediction, settings: list[float]) -> Tensor:
        """Return the packed outputs of a prediction of one image."""
        width, height = self.decoder.width, self.decoder.height
        block = torch.empty(block_size(width, height), dtype=torch.uint8, device=self.device)
        self.decoder(prediction, torch.tensor(settings, device=self.device), tensor_views(block, width, height))
        return block.cpu()


class PlainPasses:
    """Every step started by itself."""

    def __init__(self, engine: Engine):
        self.engine = engine

    def pipeline(self, geometry: InputGeometry, decoder: Decoder, layout: str) -> Pipeline:
        """Return a pipeline for frames of one shape and layout."""
        return Pipeline(geometry, decoder, layout, self.engine.tensor_device)

    @torch.inference_mode()
    def run(self, pipelines: Sequence[Pipeline], frames: Sequence[Frame], settings: Sequence[list[float]]
            ) -> list[Tensor]:
        """Run frames of one input size as one batch; see Passes."""
        images = [pipeline.way_in(frame) for pipeline, frame in zip(pipelines, frames)]
        prediction = self.engine(images[0] if len(images) == 1 else torch.cat(images))
        return [pipeline.way_out(of_one, values)
                for pipeline, of_one, values in zip(pipelines, each(prediction), settings)]


def each(prediction: Prediction) -> Iterator[Prediction]:
    """Return what was predicted of each image of a batch, as views [1, ...]; without extras."""
    for i in range(len(prediction.logits)):
        yield Prediction(tuple(d[i:i + 1] for d in prediction.disparities), prediction.logits[i:i + 1], {})

"""All that happens to a frame between its buffer and its outputs, for frames of one shape: on the CPU, and on CUDA."""
from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from semdepth_ros.frame import LAYOUTS, Frame
from semdepth_ros.geometry.input_geometry import InputGeometry
from semdepth_ros.perception.decoding import SETTINGS, Decoder
from semdepth_ros.perception.engine import Engine
from semdepth_ros.perception.intake import as_tensor, network_input
from semdepth_ros.perception.output_block import block_size, tensor_views

_WARM_UPS = 3


class Pipeline(Protocol):
    """Runs frames of one shape."""

    def run(self, frame: Frame, settings: list[float]) -> Tensor:
        """Return the packed outputs of a frame, uint8 on the CPU, in memory that no later frame writes to.

        :param settings: see semdepth_ros.perception.decoding.SETTINGS
        """


class CpuPipeline:
    """The steps one after the other."""

    def __init__(self, engine: Engine, geometry: InputGeometry, decoder: Decoder, layout: str):
        self.engine, self.geometry, self.decoder, self.layout = engine, geometry, decoder, layout

    @torch.inference_mode()
    def run(self, frame: Frame, settings: list[float]) -> Tensor:
        """Return the packed outputs of a frame."""
        image = network_input(as_tensor(frame.image), self.layout, self.geometry)
        prediction = self.engine(image)
        width, height = self.decoder.width, self.decoder.height
        block = torch.empty(block_size(width, height), dtype=torch.uint8)
        self.decoder(prediction, torch.tensor(settings), tensor_views(block, width, height))
        return block


class CudaPipeline:
    """One captured graph: upload, network input, network, decoding and packing; then one download and one wait.

    The frame's settings travel in front of its pixels, so that they may change without a new capture.
    """

    def __init__(self, engine: Engine, geometry: InputGeometry, decoder: Decoder, layout: str,
                 stream: torch.cuda.Stream):
        self.engine, self.geometry, self.decoder, self.layout, self.stream = engine, geometry, decoder, layout, stream
        channels, size = LAYOUTS[layout]
        self.shape = (geometry.source_height, geometry.source_width, channels)
        self.type = torch.uint16 if size == 2 else torch.uint8
        header = 4 * len(SETTINGS)
        total = header + size * math.prod(self.shape)
        with torch.cuda.device(engine.device):  # whose driver pins the memory
            self.staging = torch.zeros(total, dtype=torch.uint8, pin_memory=True)
        self.raw = torch.zeros(total, dtype=torch.uint8, device=engine.device)
        self.block = torch.zeros(block_size(decoder.width, decoder.height), dtype=torch.uint8, device=engine.device)
        self.staged_settings = self.staging[:header].view(torch.float32)
        self.staged_image = self.staging[header:].view(self.type).view(self.shape).numpy()
        self.staged_settings.copy_(torch.tensor([1.0, 0.05, 1.0, 0.0, 80.0]))
        self.graph = self._captured(header)

    def run(self, frame: Frame, settings: list[float]) -> Tensor:
        """Return the packed outputs of a frame in pinned memory of its own."""
        np.copyto(self.staged_image, frame.image.reshape(self.shape) if frame.image.ndim == 2 else frame.image)
        self.staged_settings.copy_(torch.tensor(settings))
        with torch.inference_mode(), torch.cuda.device(self.engine.device), torch.cuda.stream(self.stream):
            # Pinned blocks come from torch's cache of them and go back to it with the Perception.
            outputs = torch.empty(self.block.shape, dtype=torch.uint8, pin_memory=True)
            self.graph.replay()
            outputs.copy_(self.block, non_blocking=True)
            self.stream.synchronize()
        return outputs

    def _captured(self, header: int) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        benchmark = torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=True)
        with torch.inference_mode(), benchmark, torch.cuda.device(self.engine.device):
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                for _ in range(_WARM_UPS):
                    self._steps(header)
            self.stream.synchronize()
            with torch.cuda.graph(graph, stream=self.stream, capture_error_mode='thread_local'):
                self._steps(header)
        return graph

    def _steps(self, header: int) -> None:
        self.raw.copy_(self.staging, non_blocking=True)
        settings = self.raw[:header].view(torch.float32)
        image = self.raw[header:].view(self.type).view(self.shape)
        prediction = self.engine(network_input(image, self.layout, self.geometry))
        self.decoder(prediction, settings, tensor_views(self.block, self.decoder.width, self.decoder.height))

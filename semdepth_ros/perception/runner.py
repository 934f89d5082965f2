"""Frames of any shapes through one engine: as batches where that pays, each by a pipeline of its shape."""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
import time

from torch import Tensor

from semdepth_ros.frame import Frame
from semdepth_ros.geometry.input_geometry import InputGeometry
from semdepth_ros.perception.capture import CudaGraphs
from semdepth_ros.perception.captured_pipeline import CapturedPasses
from semdepth_ros.perception.decoding import Decoder
from semdepth_ros.perception.device import LOGGER
from semdepth_ros.perception.engines.engine import IN_PLACE, Engine
from semdepth_ros.perception.pipeline import Passes, PlainPasses

_PIPELINES = 32  # kept, one for each layout and distorted lens or undistorted window; on CUDA making one is a capture
Largest = Callable[[int, int], int]  # how many images of a width and height run well together


@dataclass(frozen=True)
class Job:
    """A frame, how it becomes the network's input, and its settings (semdepth_ros.perception.decoding.SETTINGS)."""

    frame: Frame
    geometry: InputGeometry
    settings: list[float]

    @property
    def input_size(self) -> tuple[int, int]:
        """Width and height of the network's input [px]."""
        return self.geometry.width, self.geometry.height


class Runner:
    """Runs jobs; makes what they need when it is first needed. For one thread at a time.

    :param decoder: returns the Decoder of a geometry
    :param passes: how pipelines run; None for captured graphs where the engine can be captured
    """

    def __init__(self, engine: Engine, decoder: Callable[[InputGeometry], Decoder], passes: Passes | None = None):
        self._engine, self._decoder, self._passes = engine, decoder, passes or _passes(engine)
        self._pipelines: OrderedDict[tuple, object] = OrderedDict()
        self._known: set[tuple[int, int, int]] = set()  # batches that have been run: number, width, height

    def run(self, jobs: Sequence[Job], foreseen: bool = False) -> list[Tensor]:
        """Return the packed outputs of every job, uint8 on the CPU, in memory that no later frame writes to.

        Those of one input size run together, up to the engine's largest batch. Same jobs, same weights: same bytes.

        :param foreseen: nothing is said of what has to be made ready
        """
        blocks: dict[int, Tensor] = {}
        for places in batches(jobs, self._engine.largest_batch):
            batch, start = [jobs[place] for place in places], time.perf_counter()
            pipelines, is_new = self._pipelines_of(batch)
            outputs = self._passes.run(pipelines, [job.frame for job in batch], [job.settings for job in batch])
            blocks |= zip(places, outputs)
            if is_new and not foreseen:
                _say_unforeseen(batch, time.perf_counter() - start)
        return [blocks[place] for place in range(len(jobs))]

    def _pipelines_of(self, batch: list[Job]) -> tuple[list, bool]:
        """Return a pipeline for each job, no two the same, and whether the batch asks for anything new."""
        size = (len(batch), *batch[0].input_size)
        is_new, taken, pipelines = size not in self._known, {}, []
        self._known.add(size)
        for job in batch:
            shape = _shape(job)
            key = (*shape, taken.setdefault(shape, 0))
            taken[shape] += 1
            if key not in self._pipelines:
                self._pipelines[key] = self._passes.pipeline(job.geometry, self._decoder(job.geometry),
                                                             job.frame.layout)
                is_new = True
            self._pipelines.move_to_end(key)
            pipelines.append(self._pipelines[key])
        while len(self._pipelines) > _PIPELINES:
            self._pipelines.popitem(last=False)
        return pipelines, is_new


def batches(jobs: Sequence[Job], largest: Largest) -> Iterator[list[int]]:
    """Yield the places of jobs that run together: of one input size, in the jobs' order, at most so many."""
    sizes: dict[tuple[int, int], list[int]] = {}
    for place, job in enumerate(jobs):
        sizes.setdefault(job.input_size, []).append(place)
    for size, places in sizes.items():
        most = largest(*size)
        for start in range(0, len(places), most):
            yield places[start:start + most]


def rehearsals(jobs: Sequence[Job], largest: Largest) -> Iterator[list[Job]]:
    """Yield lists of jobs that together meet every batch size and every pipeline that any of these jobs can lead to."""
    for job in jobs:
        yield [job]
    for places in batches(jobs, lambda width, height: len(jobs)):
        shapes = list(dict.fromkeys(_shape(jobs[place]) for place in places))
        alike = sorted((jobs[place] for place in places), key=lambda job: shapes.index(_shape(job)))
        most = min(len(alike), largest(*alike[0].input_size))
        yield from (alike[:number] for number in range(2, most + 1))
        yield from (alike[start:start + most] for start in range(1, len(alike) - most + 1))


def _shape(job: Job) -> tuple:
    """Return what jobs have in common that a pipeline suits.

    Undistorted cameras share it if their window is the same: the focal length is in the settings.
    """
    lens = job.geometry.source if job.geometry.rectifies else None
    return job.frame.layout, lens or replace(job.geometry, source=None)


def _passes(engine: Engine) -> Passes:
    if engine.capturable and engine.exchange == IN_PLACE:
        return CapturedPasses(engine, CudaGraphs(engine.tensor_device))
    return PlainPasses(engine)


def _say_unforeseen(batch: list[Job], took_s: float) -> None:
    shapes = ', '.join(dict.fromkeys(f'{job.frame.width}x{job.frame.height} {job.frame.layout}' for job in batch))
    width, height = batch[0].input_size
    together = f', {len(batch)} together' if len(batch) > 1 else ''
    LOGGER.info(f'not foreseen: {shapes} (input {width}x{height}{together}); made ready and run in {took_s:.2f} s')

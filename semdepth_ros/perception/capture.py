"""Work on a CUDA device that is recorded once and started as a whole ever after."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor

_WARM_UPS = 3
T = TypeVar('T')


class CudaGraphs:
    """Records steps as CUDA graphs, all on one stream, in whose order they are replayed.

    Steps read and write tensors that stay where they are; from Python's side a replay takes no arguments.
    """

    def __init__(self, device: torch.device):
        self.device, self.stream = device, torch.cuda.Stream(device, priority=-1)

    def capture(self, steps: Callable[[], T]) -> tuple[Callable[[], None], T]:
        """Return what replays steps, to be called within running(), and the tensors that each replay writes anew."""
        graph = torch.cuda.CUDAGraph()
        benchmark = torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=True)
        with torch.inference_mode(), benchmark, torch.cuda.device(self.device):
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                for _ in range(_WARM_UPS):
                    steps()
            self.stream.synchronize()
            with torch.cuda.graph(graph, stream=self.stream, capture_error_mode='thread_local'):
                results = steps()
        return graph.replay, results

    @contextmanager
    def running(self) -> Iterator[None]:
        """What is started within runs on the stream, one after the other, without gradients."""
        with torch.inference_mode(), torch.cuda.device(self.device), torch.cuda.stream(self.stream):
            yield

    def wait(self) -> None:
        """Wait for all that has been started."""
        self.stream.synchronize()

    def host_memory(self, size: int) -> Tensor:
        """Return uint8 [size] on the CPU that the device reads and writes by itself.

        It comes from torch's cache of such blocks, and goes back to it when nobody has it any more.
        """
        with torch.cuda.device(self.device):  # whose driver pins the memory
            return torch.empty(size, dtype=torch.uint8, pin_memory=True)

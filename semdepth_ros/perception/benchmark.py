"""How long the network takes, and every stage of a frame around it, on this machine."""
from __future__ import annotations

from collections.abc import Callable, Iterable
import copy
from dataclasses import replace
import os
from pathlib import Path
import tempfile
import time

import numpy as np
import torch
from torch import Tensor

from semdepth_ros.frame import Frame
from semdepth_ros.model_file import tensor_hash
from semdepth_ros.networks import JointNetwork, save_network
from semdepth_ros.perception.capture import CudaGraphs
from semdepth_ros.perception.decoding import Decoder
from semdepth_ros.perception.engines.engine import Engine
from semdepth_ros.perception.intake import as_tensor, network_input
from semdepth_ros.perception.output_block import block_size, tensor_views
from semdepth_ros.perception.perceptor import Perceptor
from semdepth_ros.processor import bfloat16_flag

_WARM_UPS = 10
Progress = Callable[[int, int], None]


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """Return p50, p95 and p99, rounded to a microsecond where values are in ms."""
    return {f'p{p}': round(float(v), 3) for p, v in zip((50, 95, 99), np.percentile(list(values), (50, 95, 99)))}


def machine(device: torch.device) -> dict:
    """Return what the figures depend on: processor, cores, torch, threads, load, and the CUDA device if used."""
    cores = len(os.sched_getaffinity(0))
    facts = {'processor': _processor(), 'cores': cores, 'bfloat16': bfloat16_flag() or 'not in hardware',
             'vector': torch.backends.cpu.get_cpu_capability(), 'torch': torch.__version__,
             'threads': torch.get_num_threads(), 'load_1min': round(os.getloadavg()[0], 2)}
    if device.type == 'cuda':
        facts |= {'cuda_device': torch.cuda.get_device_name(device), 'cuda': torch.version.cuda}
    return facts


def time_network(engine: Engine, network: JointNetwork, width: int, height: int, frames: int,
                 progress: Progress = lambda done, total: None) -> dict:
    """Time an engine against the same network in eager float32, in turns, with the input in place [ms].

    :param network: the engine's, as it was loaded; in turns, so that a busy machine is busy for both
    :param width, height: of the network's input [px], multiples of 32
    """
    device = engine.tensor_device
    image = torch.rand(1, 3, height, width, device=device).contiguous(memory_format=torch.channels_last)
    eager = copy.deepcopy(network).to(device).eval()
    eager.returned_scales, plain = 2, image.contiguous()
    fast = CudaGraphs(device).capture(lambda: engine(image))[0] if engine.capturable else lambda: engine(image)
    times = {'engine': [], 'eager_float32': []}
    with torch.inference_mode():
        for i in range(_WARM_UPS + frames):
            for name, run in (('engine', fast), ('eager_float32', lambda: eager(plain))):
                taken = _timed(run, device)
                if i >= _WARM_UPS:
                    times[name].append(taken)
            progress(max(0, i + 1 - _WARM_UPS), frames)
    ratios = np.array(times['engine']) / np.array(times['eager_float32'])
    return {'size': [width, height], 'precision': engine.precision,
            **{name: percentiles(values) for name, values in times.items()},
            'engine_over_eager': round(float(np.median(ratios)), 3)}


def time_stages(perceptor: Perceptor, frame: Frame, frames: int,
                progress: Progress = lambda done, total: None) -> dict:
    """Time a frame's way through a Perceptor: whole, and stage by stage with a wait after each [ms].

    On CUDA the stages run one by one as they do not in service, where they are one captured graph: `whole` is less than
    their sum.
    """
    device, geometry = perceptor.engine.tensor_device, perceptor.geometry(frame)
    network_size = [geometry.width, geometry.height]
    decoder = Decoder(geometry, perceptor.card, frame.width, frame.height, device)
    settings = torch.tensor([1.0, 0.05, 1.0, 0.0, perceptor.max_range_m], device=device)
    times: dict[str, list[float]] = {}
    for i in range(_WARM_UPS + frames):
        taken = {'whole': _timed(lambda: perceptor.perceive(frame), device)}
        with torch.inference_mode():
            taken |= _stages(perceptor.engine, decoder, frame, settings)
        if i >= _WARM_UPS:
            for name, value in taken.items():
                times.setdefault(name, []).append(value)
        progress(max(0, i + 1 - _WARM_UPS), frames)
    return {'size': [frame.width, frame.height], 'layout': frame.layout, 'network_size': network_size,
            **{name: percentiles(values) for name, values in times.items()}}


def time_swaps(perceptor: Perceptor, network: JointNetwork, exchanges: int = 10) -> dict:
    """Time an exchange of weights: reading, checking and trying them beside the running ones, and the change itself [ms].

    Only the change itself keeps a frame waiting. Afterwards the Perceptor serves the same weights as before.

    :param network: the Perceptor's, as it was loaded
    """
    device, card = perceptor.engine.tensor_device, perceptor.card
    height, width = (int(np.sqrt(card.input.pixels / 3)) // 32 * 32 or 32), int(np.sqrt(card.input.pixels * 3)) // 32 * 32
    probes = [np.random.default_rng(i).integers(0, 256, (height, width, 3), dtype=np.uint8) for i in range(2)]
    times: dict[str, list[float]] = {'prepare': [], 'change': []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'next.safetensors'
        save_network(path, network, replace(card, factory=card.factory or tensor_hash(network.state_dict())), probes)
        for _ in range(exchanges):
            candidates = []
            times['prepare'].append(_timed(lambda: candidates.append(perceptor.prepare_weights(path)), device))
            times['change'].append(_timed(lambda: perceptor.serve(candidates[0]), device))
    return {name: percentiles(values) for name, values in times.items()}


def _stages(engine: Engine, decoder: Decoder, frame: Frame, settings: Tensor) -> dict[str, float]:
    device, results, times = engine.tensor_device, {}, {}

    def step(name: str, run: Callable[[], object]) -> None:
        times[name] = _timed(lambda: results.__setitem__(name, run()), device)

    def decode() -> Tensor:
        block = torch.empty(block_size(decoder.width, decoder.height), dtype=torch.uint8, device=device)
        decoder(results['network'], settings, tensor_views(block, decoder.width, decoder.height))
        return block

    step('upload', lambda: as_tensor(frame.image).to(device))
    step('input', lambda: network_input(results['upload'], frame.layout, decoder.geometry))
    step('network', lambda: engine(results['input']))
    step('decode', decode)
    step('download', lambda: results['decode'].to('cpu'))
    return times


def _timed(run: Callable[[], object], device: torch.device) -> float:
    """Return how long run takes, what it has started on the device included [ms]."""
    start = time.perf_counter()
    run()
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
    return 1e3 * (time.perf_counter() - start)


def _processor() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        return 'unknown'
    names = [line.partition(':')[2].strip() for line in lines if line.startswith(('model name', 'Model', 'Hardware'))]
    return names[0] if names else 'unknown'

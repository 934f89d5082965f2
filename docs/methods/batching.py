"""What frames cost together over one after the other, on one CPU thread: python docs/methods/batching.py [model] [rounds].

CPU times, minima of interleaved runs, so that other processes do not enter.
"""
from __future__ import annotations

import sys
import time

import numpy as np
import torch

from semdepth_ros.frame import Frame
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.networks import load_network
from semdepth_ros.perception import Perceptor, Request
from semdepth_ros.perception.device import choose_precision
from semdepth_ros.perception.engines.folded import FoldedEngine

CPU, NUMBERS = torch.device('cpu'), (1, 2, 4)
INPUTS = (0, 640 * 192)  # budgets [px]; 0 is the model's own


def main(model: str = 'default', rounds: str = '15') -> None:
    """Print a line for each precision and input."""
    torch.set_num_threads(1)
    network, card = load_network(model)
    image = np.random.default_rng(0).integers(0, 256, (375, 1242, 3), dtype=np.uint8)
    requests = [Request(Frame(image, 'rgb', Camera.from_field_of_view(1242, 375, 80)))] * max(NUMBERS)
    precision = choose_precision(CPU)
    for pixels in INPUTS:
        perceptor = Perceptor(network, card, engine=FoldedEngine(network, CPU, precision, max(NUMBERS)),
                              input_pixels=pixels)
        width, height = perceptor.perceive(requests[0].frame).input_size
        images = {n: torch.rand(n, 3, height, width).contiguous(memory_format=torch.channels_last) for n in NUMBERS}
        runs = {('network', n): lambda n=n: perceptor.engine(images[n]) for n in NUMBERS}
        runs |= {('frame', n): lambda n=n: perceptor.perceive_together(requests[:n]) for n in NUMBERS}
        best = {key: float('inf') for key in runs}
        for round_ in range(2 + int(rounds)):
            for (what, number), run in runs.items():
                for _ in range(max(NUMBERS) // number):
                    start = time.thread_time()
                    run()
                    best[what, number] = min(best[what, number], time.thread_time() - start)
        for what in ('network', 'frame'):
            one = best[what, 1]
            print(f'{precision}, {width}x{height}, {what}: {1e3 * one:.1f} ms; ' + ', '.join(
                f'{n} together {1e3 * best[what, n]:.1f} ms, {best[what, n] / one / n:.2f} of one by one'
                for n in NUMBERS[1:]), flush=True)


if __name__ == '__main__':
    main(*sys.argv[1:])

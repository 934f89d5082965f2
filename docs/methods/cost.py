"""Say what each guidance costs: python docs/methods/cost.py [WIDTH HEIGHT]

Parameters and multiply-additions of the network that gives depth and classes, and the least of 60 runs in turns on one
thread of this machine: the thread's own time, so that other programs count less.
"""
from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from semdepth_ros.networks import build_network  # noqa: E402
from semdepth_ros.perception.engines.folded import FoldedEngine  # noqa: E402

GUIDANCES = {'plain': 'plain', 'modulation': 'modulation', 'attention': 'attention', 'edge_points': 'edge_points',
             'attention, edge_points': ['attention', 'edge_points']}
PRECISIONS = torch.float32, torch.bfloat16
RUNS = 60


@torch.inference_mode()
def main(width: int = 256, height: int = 96) -> None:
    """Print a table in Markdown."""
    torch.set_num_threads(1)
    image, engines, lines = torch.rand(1, 3, height, width), {}, {}
    for name, guidance in GUIDANCES.items():
        network = build_network({'encoder': 'efficientnet_lite0', 'guidance': guidance}).eval()
        network.returned_scales = 2
        # the kernels that store no matrix are not counted
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            network(image)
        parameters = sum(p.numel() for p in network.guidance.parameters())
        lines[name] = f'| {name} | {parameters:,} | {counter.get_total_flops() / 2e6:.0f} M |'
        for precision in PRECISIONS:
            engines[name, precision] = FoldedEngine(network, torch.device('cpu'), precision)
    print_table(f'| {width}x{height} | parameters of guidance | multiply-additions |', lines, least_s(engines, image, RUNS))


def least_s(engines: dict, image: torch.Tensor, runs: int) -> dict:
    """Return the least time of so many runs in turns of each engine, of this thread alone [s]."""
    best = dict.fromkeys(engines, float('inf'))
    for _ in range(runs):
        for key, engine in engines.items():
            began = time.thread_time()
            engine(image)
            best[key] = min(best[key], time.thread_time() - began)
    return best


def print_table(head: str, lines: dict[str, str], best_s: dict) -> None:
    """Print lines by their names, each with the times of both precisions."""
    print(f'{head} float32 | bfloat16 |')
    print('|---' * (head.count('|') + 1) + '|')
    for name, line in lines.items():
        print(line, ' | '.join(f'{1e3 * best_s[name, precision]:.1f} ms' for precision in PRECISIONS), '|')


if __name__ == '__main__':
    main(*map(int, sys.argv[1:]))

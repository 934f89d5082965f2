"""Say what PackNet costs beside other depth networks: python docs/methods/packing_cost.py [WIDTH HEIGHT]

Parameters and multiply-additions of the network that gives depth and classes, all with the small semantic decoder, and the
least of RUNS runs in turns on one thread of this machine: the thread's own time, so that other programs count less.
"""
from __future__ import annotations

import sys
from pathlib import Path

import torch
from cost import PRECISIONS, least_s, print_table
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from semdepth_ros.networks import build_network  # noqa: E402
from semdepth_ros.perception.engines.folded import FoldedEngine  # noqa: E402

ENCODERS = 'small', 'resnet18', 'packnet_slim', 'packnet'
RUNS = 15


@torch.inference_mode()
def main(width: int = 256, height: int = 96) -> None:
    """Print a table in Markdown."""
    torch.set_num_threads(1)
    image, engines, lines = torch.rand(1, 3, height, width), {}, {}
    for name in ENCODERS:
        network = build_network({'encoder': name, 'semantic_decoder': 'small'}).eval()
        network.returned_scales = 2
        with FlopCounterMode(display=False) as counter:
            network(image)
        millions = [sum(p.numel() for p in part.parameters()) / 1e6 for part in (network.encoder, network.depth_decoder)]
        lines[name] = f'| `{name}` | {millions[0]:.2f} M | {millions[1]:.2f} M | {counter.get_total_flops() / 2e9:.2f} G |'
        for precision in PRECISIONS:
            engines[name, precision] = FoldedEngine(network, torch.device('cpu'), precision)
    print_table(f'| {width}x{height} | encoder | depth decoder | multiply-additions |', lines, least_s(engines, image, RUNS))


if __name__ == '__main__':
    main(*map(int, sys.argv[1:]))

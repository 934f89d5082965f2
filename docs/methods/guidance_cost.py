"""Print what guidances cost, and how wide their kernels start: python docs/methods/guidance_cost.py"""
from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / 'test')]
from semdepth_ros.data import open_data  # noqa: E402
from semdepth_ros.networks import build_network  # noqa: E402
from semdepth_ros.networks.pixel_adaptive_convolution import PixelAdaptiveConvolution  # noqa: E402
from semdepth_ros.perception.engines.folded import FoldedEngine  # noqa: E402
from semdepth_ros.training.validation import validation_frames  # noqa: E402
from test_pixel_adaptive_convolution import Allocations  # noqa: E402

SEGMENTER = {'kind': 'model', 'architecture': {'encoder': 'small'}}
KINDS = {'plain': 'plain', 'concatenation': {'kind': 'concatenation', 'segmenter': SEGMENTER},
         'pixel_adaptive': {'kind': 'pixel_adaptive', 'segmenter': SEGMENTER}}
WIDTH, HEIGHT, ROUNDS = 256, 96, 60


def costs() -> None:
    """Print parameters and multiplications at 256x96, and the least processor time of many runs, the kinds taking turns."""
    image = torch.rand(1, 3, HEIGHT, WIDTH)
    networks = {kind: build_network({'encoder': 'small', 'guidance': guidance}).eval()
                for kind, guidance in KINDS.items()}
    runs = {(kind, kept): FoldedEngine(network, torch.device('cpu'), kept)
            for kind, network in networks.items() for kept in (torch.float32, torch.bfloat16)}
    fastest = dict.fromkeys(runs, float('inf'))
    for turn in range(ROUNDS):
        for key, engine in runs.items():
            start = time.thread_time()
            engine(image)
            fastest[key] = min(fastest[key], time.thread_time() - start) if turn else fastest[key]
    for kind, network in networks.items():
        network.returned_scales = 2
        with FlopCounterMode(display=False) as counted, torch.no_grad():
            network(image)
        own = {name: p.numel() for name, p in network.guidance.named_parameters()}
        trained = sum(n for name, n in own.items() if not name.startswith('segmenter.'))
        print(f'{kind:15} {trained / 1e6:.2f} M trained, {(sum(own.values()) - trained) / 1e6:.2f} M frozen, '
              f'{counted.get_total_flops() / 2e9:.2f} GMAC, '
              + ', '.join(f'{1e3 * fastest[kind, kept]:.1f} ms {kept}' for kept in (torch.float32, torch.bfloat16)))


def memory(height: int, width: int, channels: int) -> None:
    """Print what the operator holds at the most beside its inputs and weights, single precision, one image."""
    operator = PixelAdaptiveConvolution(channels, channels, 32)
    features, guidance = (torch.rand(1, c, height, width, requires_grad=True) for c in (channels, 32))
    with Allocations() as training:
        operator(features, guidance).sum().backward()
    with torch.no_grad(), Allocations() as inference:
        operator(features.detach(), guidance.detach())
    print(f'{channels} x {height} x {width}: training {training.most / 1e6:.1f} MB, '
          f'inference {inference.most / 1e6:.1f} MB, unfolded features alone {9 * features.nbytes / 1e6:.1f} MB')


@torch.no_grad()
def kernels() -> None:
    """Print how much neighbours count before any training, on rendered frames with the packaged model as segmenter."""
    frames = validation_frames(open_data('world:day:900:8'), (WIDTH, HEIGHT), 4)
    network = build_network({'encoder': 'small', 'guidance': {'kind': 'pixel_adaptive', 'segmenter': 'default'}}).train()
    image = network.normalisation(torch.stack([frame.image for frame in frames]).float() / 255)
    guidance, pyramid = network.guidance, network.guidance.segmenter(image)
    for level, source in guidance.sources.items():
        f, operator = guidance.mappings[str(level)](pyramid[source]), guidance.operators[str(level)]
        around = F.unfold(F.pad(f, (1, 1, 1, 1), mode='replicate'), 3).unflatten(1, (f.shape[1], 9))  # [B, D, 9, H W]
        apart = (around - f.flatten(2)[:, :, None]).square().sum(1)
        kernel = torch.exp(-apart / (2 * (2 * operator.log_sigma).exp()))[:, [0, 1, 2, 3, 5, 6, 7, 8]].flatten()
        print(f'stride {2 << level}: K of neighbours has the median {kernel.median():.2f}, its lowest hundredth '
              f'{kernel.quantile(0.01):.2f}')


if __name__ == '__main__':
    torch.set_num_threads(1)
    torch.manual_seed(0)
    memory(48, 128, 32)       # the finest guided level of the small decoders at 256x96
    memory(96, 320, 32)       # level 1 of Monodepth2's decoder at 640x192
    costs()
    kernels()

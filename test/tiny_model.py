"""Model files with random weights, small enough to run in milliseconds."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from semdepth_ros.model_file import InputRule, ModelCard
from semdepth_ros.networks import build_network, save_network

PROBES = [np.random.default_rng(i).integers(0, 256, (64, 96, 3), dtype=np.uint8) for i in range(2)]


def write_models(folder: Path, versions: int = 3) -> list[Path]:
    """Return the files of a factory model and of versions learned from it, v0.safetensors and so on, newest last.

    Each version says other depths and classes than the one before.
    """
    torch.manual_seed(0)
    network = build_network({'encoder': 'small'})
    card = ModelCard(network.architecture, name='tiny', focal_px=100.0, input=InputRule(pixels=96 * 64))
    paths = []
    for version in range(versions):
        paths.append(folder / f'v{version}.safetensors')
        card = save_network(paths[-1], network, replace(card, version=version, parent=version - 1 if version else None),
                            PROBES)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.02 * torch.randn_like(parameter))
    return paths

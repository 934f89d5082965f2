"""A model file with random weights: small, quick, the same every time."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from semdepth_ros.model_file import InputRule, ModelCard, save_model
from semdepth_ros.networks import build_network
from semdepth_ros.networks.probes import make_probes


def write_random_model(path: Path, width: int = 128, height: int = 64) -> Path:
    """Write a model whose input has this size [px]."""
    torch.manual_seed(0)
    network = build_network({'encoder': 'small'}).eval()
    network.returned_scales = 4
    images = [np.random.default_rng(i).random((height, width, 3), np.float32) for i in range(2)]
    card = ModelCard(architecture=network.architecture, focal_px=float(width), name='random',
                     input=InputRule(pixels=width * height), depth_range_m=tuple(network.architecture['depth_range']))
    save_model(path, network.state_dict() | make_probes(network, images), card)
    return path

"""What the default model gives for three frames, stored; with new weights: python test/reference_outputs.py"""
from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from semdepth_ros.model_file import find_model
from semdepth_ros.networks import load_network

FILE = Path(__file__).with_name('reference_outputs.safetensors')
SIZES = ((64, 32), (96, 64), (64, 96))  # (width, height)


def frame(width: int, height: int) -> np.ndarray:
    """Return an rgb image uint8 [h, w, 3], made of whole numbers alone: a sky, a ground and a row of blocks on it."""
    v, u = np.mgrid[:height, :width]
    below = v > height // 2
    blocks = (np.abs(v - height // 2) < height // 6) & (u // 8 % 3 == 0)
    grey = np.where(below, 90 + v * 60 // height, 200 - v * 40 // height)
    image = grey[..., None] + np.array([0, 5, 20]) * ~below[..., None]
    image = np.where(blocks[..., None], np.stack([40 + u // 8 % 5 * 30, 60 + v % 7 * 5, 90 + u % 4 * 10], -1), image)
    return image.astype(np.uint8)


@torch.no_grad()
def outputs() -> dict[str, Tensor]:
    """Return float32 outputs by name: disparities of all scales, and class scores at every eighth pixel."""
    network, _ = load_network('default')
    tensors = {}
    for i, size in enumerate(SIZES):
        image = torch.from_numpy(frame(*size)).permute(2, 0, 1)[None].float() / 255
        prediction = network(image, pairs=torch.cat((image, image.flip(3)), 1))
        for scale, disparity in enumerate(prediction.disparities):
            tensors[f'{i}.disparity.{scale}'] = disparity.clone()
        tensors[f'{i}.logits'] = prediction.logits[..., ::8, ::8].clone()
        tensors[f'{i}.motion'] = torch.cat((prediction.extras['axis_angle'], prediction.extras['translation']), 1)
    return tensors


def weights_hash() -> str:
    """Return the SHA-256 of the default model's file."""
    return hashlib.sha256(find_model('default').read_bytes()).hexdigest()


def stored() -> tuple[dict[str, Tensor], str]:
    """Return the stored outputs, and the hash of the weights that gave them."""
    with safe_open(FILE, 'pt') as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()['weights']


if __name__ == '__main__':
    save_file(outputs(), FILE, {'weights': weights_hash()})

"""Encoders out of timm and transformers, where those packages are installed."""
from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from semdepth_ros.networks.resnet import initialise
from semdepth_ros.networks.small import conv_bn_relu

STRIDES = (2, 4, 8, 16, 32)
STEM_WIDTH = 32


class LibraryEncoder(nn.Module):
    """A library's backbone as an encoder: the last feature map of each stride from 2 to 32.

    Where the backbone starts at stride 4, a 3x3 stem of our own gives the features at stride 2. Strides and channels
    are measured on a small image, not believed; parameters on which no feature depends are frozen, because
    DistributedDataParallel stumbles over them.

    :param backbone: the library's module
    :param read: (backbone, normalised image) to its feature maps, in any order
    :raises ValueError: a backbone that does not run on images of any size, or whose feature maps lack a stride from 4
        to 32
    """

    def __init__(self, backbone: nn.Module, read: Callable[[nn.Module, Tensor], list[Tensor]]):
        super().__init__()
        self.backbone = backbone
        backbone.foldable = False
        self.read = read
        found = self._measure()
        missing = [stride for stride in STRIDES[1:] if stride not in found]
        if missing:
            raise ValueError(f'encoder has features at strides {sorted(found)}, expected strides 4, 8, 16 and 32')
        self.stem = None if 2 in found else conv_bn_relu(3, STEM_WIDTH, 2)
        if self.stem is not None:
            initialise(self.stem)
        self.channels = (found.get(2, STEM_WIDTH), *(found[stride] for stride in STRIDES[1:]))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return features at strides 2, 4, 8, 16 and 32 of a normalised image [B, 3, H, W]."""
        found = self._by_stride(x)
        if self.stem is not None:
            found[2] = self.stem(x)
        return [found[stride] for stride in STRIDES]

    def _by_stride(self, x: Tensor) -> dict[int, Tensor]:
        return by_stride(self.read(self.backbone, x), x)

    def _measure(self) -> dict[int, int]:
        """Return channels by stride, and freeze what no feature depends on."""
        training = self.backbone.training
        self.backbone.eval()
        try:
            found = {s: m for s, m in self._by_stride(torch.zeros(1, 3, 64, 96)).items() if s in STRIDES}
        except (RuntimeError, ValueError) as error:
            raise ValueError(f'encoder does not run on an image of 96x64: {first_line(error)}') from error
        if found:
            sum(m.sum() for m in found.values()).backward()
        for parameter in self.backbone.parameters():
            parameter.requires_grad_(parameter.grad is not None)
            parameter.grad = None
        self.backbone.train(training)
        return {stride: m.shape[1] for stride, m in found.items()}


def timm_encoder(name: str, config: dict | None, pretrained: bool) -> tuple[LibraryEncoder, None]:
    """Return a timm model's features as an encoder; pretrained fetches its published weights.

    :raises ValueError: timm is not installed, or has no such model
    """
    timm = import_library('timm', f'encoder timm:{name}')
    try:
        backbone = timm.create_model(name, features_only=True, pretrained=pretrained)
    except (RuntimeError, OSError, ValueError) as error:
        raise ValueError(f'timm cannot make {name!r}: {first_line(error)}') from error
    return LibraryEncoder(backbone, _read_timm), None


def transformers_encoder(name: str, config: dict | None, pretrained: bool) -> tuple[LibraryEncoder, dict]:
    """Return a transformers vision model's hidden states as an encoder, and its configuration.

    :param name: a name on the Hugging Face hub, or a folder with a config.json
    :param config: the configuration, if known: the hub is then not asked for it, so that a model file needs no network
    :param pretrained: fetch the published weights (safetensors only)
    :raises ValueError: transformers is not installed, or knows no such model
    """
    library = import_library('transformers', f'encoder transformers:{name}')
    try:
        if pretrained:
            backbone = library.AutoModel.from_pretrained(name, use_safetensors=True)
        else:
            backbone = library.AutoModel.from_config(configuration(library, name, config))
    except (RuntimeError, OSError, ValueError, KeyError) as error:
        raise ValueError(f'transformers cannot make {name!r}: {first_line(error)}') from error
    config = json.loads(backbone.config.to_json_string(use_diff=False))
    return LibraryEncoder(backbone, _read_transformers), config

def by_stride(maps: Iterable[Tensor], image: Tensor) -> dict[int, Tensor]:
    """Return those of a network's outputs that are maps of the whole image, by stride; of several the last."""
    maps, (height, width) = [m for m in maps if m.dim() == 4], image.shape[-2:]
    return {height // m.shape[2]: m for m in maps if m.shape[2] * width == m.shape[3] * height}


def configuration(library: ModuleType, name: str, config: dict | None) -> Any:
    """Return a transformers configuration by name, or out of its plain values, without asking a hub."""
    if config is None:
        return library.AutoConfig.from_pretrained(name)
    return library.AutoConfig.for_model(config['model_type'], **{k: v for k, v in config.items() if k != 'model_type'})


def import_library(package: str, wanted: str) -> ModuleType:
    """Return the package; raise ValueError, saying what is wanted of it, where it is not installed."""
    try:
        return import_module(package)
    except ImportError as error:
        raise ValueError(f'{wanted} needs the package {package}: pip install {package}') from error


def first_line(error: Exception) -> str:
    """Return what an error says, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


LIBRARIES = {'timm': timm_encoder, 'transformers': transformers_encoder}


def _read_timm(backbone: nn.Module, x: Tensor) -> list[Tensor]:
    return backbone(x)


def _read_transformers(backbone: nn.Module, x: Tensor) -> list[Tensor]:
    output = backbone(pixel_values=x, output_hidden_states=True)
    return getattr(output, 'reshaped_hidden_states', None) or output.hidden_states

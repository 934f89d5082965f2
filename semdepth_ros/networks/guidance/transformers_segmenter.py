"""Published segmentation networks out of transformers, where that package is installed."""
from __future__ import annotations

import json
import logging
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from torch import Tensor, nn

from semdepth_ros.networks.library_encoders import by_stride, configuration, first_line, import_library
from semdepth_ros.networks.normalisation import MEAN, STD

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
STRIDES = (1, 2, 4, 8, 16, 32)
_LOG = logging.getLogger(__name__)


class TransformersSegmenter(nn.Module):
    """A segmentation network of transformers: at every stride of its hidden states these and its class scores.

    The scores are averaged or repeated to the size of the stride: hidden states of an encoder alone know little of
    classes where they are fine (form ours). Strides and channels are measured on a small image.

    :param config: the network's configuration, as plain values
    :param mean, std: what it expects images, rgb in 0..1, to be normalised by
    :param network: None makes one with fresh weights, without asking a hub
    :raises ValueError: transformers is not installed, cannot make the network, or that gives no scores or no maps of
        features

    `channels`, `description` and `least_side` as in JointSegmenter.
    """

    def __init__(self, config: dict[str, Any], mean: list[float], std: list[float], network: nn.Module | None = None):
        super().__init__()
        self.network = _fresh(config) if network is None else network
        self.network.foldable = False
        for name, values in (('mean', mean), ('std', std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).view(1, 3, 1, 1), persistent=False)
        self.description = {'kind': 'transformers', 'config': config, 'mean': list(mean), 'std': list(std)}
        self.least_side = STRIDES[-1]
        self.network.eval()
        try:
            with torch.no_grad():
                found = self(torch.zeros(1, 3, 64, 96))
        except (RuntimeError, ValueError, TypeError, AttributeError) as error:
            raise ValueError(f'it does not run on an image of 96x64: {first_line(error)}') from error
        if not found:
            raise ValueError(f'it gives no maps of features at strides {list(STRIDES)}')
        self.channels = {stride: features.shape[1] for stride, features in found.items()}

    def forward(self, image: Tensor) -> dict[int, Tensor]:
        """Return the features by stride of an image [B, 3, H, W] that JointNetwork has normalised."""
        output = self.network(pixel_values=(image * STD + MEAN - self.mean) / self.std, output_hidden_states=True)
        maps = by_stride(getattr(output, 'reshaped_hidden_states', None) or output.hidden_states, image)
        return {stride: torch.cat((maps[stride], F.interpolate(output.logits, maps[stride].shape[-2:], mode='area')), 1)
                for stride in STRIDES if stride in maps}


def published_segmenter(name: str) -> TransformersSegmenter:
    """Return a published segmentation network with its weights (safetensors only).

    :param name: a name on the Hugging Face hub, or a folder
    :raises ValueError: transformers is not installed, knows no such network, or its weights are damaged or not whole
    """
    wanted = f'segmenter transformers:{name}'
    library = import_library('transformers', wanted)
    try:
        network, loaded = library.AutoModelForSemanticSegmentation.from_pretrained(
            name, use_safetensors=True, output_loading_info=True)
    except (RuntimeError, OSError, ValueError, KeyError, SafetensorError) as error:
        raise ValueError(f'{wanted} cannot be read: {first_line(error)}') from error
    missing = sorted(loaded['missing_keys'])
    if missing:
        raise ValueError(f'{wanted} has no weights for {missing[0]} and {len(missing) - 1} others, expected a network '
                         f'that was trained to segment')
    config = json.loads(network.config.to_json_string(use_diff=False))
    try:
        return TransformersSegmenter(config, *_normalisation(name), network.float())
    except ValueError as error:
        raise ValueError(f'{wanted} cannot guide: {error}') from error


def _fresh(config: dict[str, Any]) -> nn.Module:
    library = import_library('transformers', 'a segmenter')
    try:
        return library.AutoModelForSemanticSegmentation.from_config(configuration(library, '', config))
    except (RuntimeError, OSError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f'transformers cannot make it: {first_line(error)}') from error


def _normalisation(name: str) -> tuple[list[float], list[float]]:
    """Return the mean and standard deviation that the network's image processor takes; ImageNet's if it names none."""
    from transformers.image_processing_base import ImageProcessingMixin
    try:
        said = ImageProcessingMixin.get_image_processor_dict(name)[0]
        return list(said['image_mean']), list(said['image_std'])
    except (OSError, KeyError):
        _LOG.warning("transformers:%s does not say how it normalises images: ImageNet's mean and deviation are taken",
                     name)
        return list(IMAGENET_MEAN), list(IMAGENET_STD)

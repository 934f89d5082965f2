"""Probe frames: images in a model file with the outputs they gave, run again wherever the file is about to serve."""
from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
import torch
from torch import Tensor, nn

from semdepth_ros.model_file import PROBE, ModelFileError
from semdepth_ros.networks.prediction import Prediction

COUNT = 2
FARTHEST = 1e-3
_TYPES = [torch.uint8, torch.float16, torch.uint8]
Predict = Callable[[Tensor], Prediction]


def make_probes(predict: Predict, images: Collection[np.ndarray | Tensor]) -> dict[str, Tensor]:
    """Return two probe frames with their outputs, as tensors for a model file.

    `probe.0.image` uint8 [h, w, 3] rgb, `probe.0.disparity` float16 [h, w], `probe.0.labels` uint8 [h, w], and
    `probe.1` likewise.

    :param predict: a network in evaluation mode, or anything that maps images [1, 3, h, w] in 0..1 to a Prediction
    :param images: two of uint8 [h, w, 3] rgb, at network size
    """
    if len(images) != COUNT:
        raise ValueError(f'{len(images)} probe images were given, expected {COUNT}')
    tensors = {}
    for i, image in enumerate(images):
        image = torch.as_tensor(image)
        disparity, labels = _run(predict, image)
        tensors |= {f'{PROBE}{i}.image': image, f'{PROBE}{i}.disparity': disparity.half(), f'{PROBE}{i}.labels': labels}
    return tensors


def check_probes(predict: Predict, tensors: dict[str, Tensor], tolerance: float = 0.05) -> None:
    """Run a model file's probe frames and compare with the outputs it was saved with.

    :param predict: as for make_probes; an engine that is about to serve these weights
    :param tensors: of read_model
    :param tolerance: largest mean relative difference of disparity, and largest share of pixels of another class
    :raises ModelFileError: probes that are missing or of another form, or outputs that differ more
    """
    for i in range(COUNT):
        parts = [tensors.get(f'{PROBE}{i}.{part}') for part in ('image', 'disparity', 'labels')]
        if any(part is None for part in parts):
            raise ModelFileError(f'probe frame {i} is missing')
        _check_form(i, *parts)
        image, disparity, labels = parts
        now_disparity, now_labels = _run(predict, image)
        apart = ((now_disparity + FARTHEST) / (disparity.float() + FARTHEST)).log().abs().mean().item()
        other = (now_labels != labels).float().mean().item()
        if not (apart <= tolerance and other <= tolerance):
            raise ModelFileError(f'probe frame {i} differs by {apart:.3g} in disparity and {other:.3g} in classes, '
                                 f'expected at most {tolerance}')


def _check_form(i: int, image: Tensor, disparity: Tensor, labels: Tensor) -> None:
    types = [tensor.dtype for tensor in (image, disparity, labels)]
    if types != _TYPES:
        raise ModelFileError(f'probe frame {i} has types {types}, expected {_TYPES}')
    shapes = [list(tensor.shape) for tensor in (image, disparity, labels)]
    if shapes != [[*labels.shape, 3], list(labels.shape), list(labels.shape)] or labels.dim() != 2:
        raise ModelFileError(f'probe frame {i} has shapes {shapes}, expected [h, w, 3], [h, w] and [h, w]')


@torch.inference_mode()
def _run(predict: Predict, image: Tensor) -> tuple[Tensor, Tensor]:
    batch = image.permute(2, 0, 1)[None].float() / 255
    if isinstance(predict, nn.Module):
        weight = next(predict.parameters())
        batch = batch.to(weight.device, weight.dtype)
    prediction = predict(batch)
    disparity = prediction.disparities[0][0, 0].float().cpu()
    return disparity.clone(), prediction.logits[0].argmax(0).to(torch.uint8).cpu()

"""What a network says of a frame, its classes having no say in depth but through the network."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from semdepth_ros.classes import UNLABELLED
from semdepth_ros.data.sample import Sample
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.input_geometry import InputGeometry, input_geometry
from semdepth_ros.model_file import ModelCard, tensor_hash
from semdepth_ros.networks import JointNetwork, inverse_depth, load_network
from semdepth_ros.perception.device import choose_device


@dataclass(frozen=True)
class NetworkOutput:
    """Depth float32 [H, W] m, positive; labels uint8 [H, W]; and their camera."""

    depth: np.ndarray
    labels: np.ndarray
    camera: Camera | None


class DepthPerceptor:
    """A network at single precision, on undistorted samples of any size.

    As Perceptor, but depth stays what the network says where its classes say sky: arms whose classes were learned badly
    would otherwise have holes in depth.

    :param network: in evaluation mode
    :param given_labels: whether a guidance by labels is given the sample's true ones instead of the prediction
    """

    def __init__(self, network: JointNetwork, card: ModelCard, device: torch.device, given_labels: bool = False):
        self.network, self.card, self.device, self.given_labels = network.eval().to(device), card, device, given_labels
        self.network.returned_scales = 2

    @torch.inference_mode()
    def perceive(self, sample: Sample) -> NetworkOutput:
        """Return depth and classes at the image's size.

        :raises ValueError: true labels are to be given and the sample has none
        """
        height, width = sample.image.shape[:2]
        geometry = input_geometry(sample.camera or (width, height), self.card.input, rectify=False)
        image = torch.from_numpy(sample.image).to(self.device).permute(2, 0, 1)[None]
        prediction = self.network(geometry.to_network(image).float() / 255, labels=self._labels(sample, geometry))
        inverse = inverse_depth(prediction.disparities, *self.card.depth_range_m)[0]
        depth = geometry.depth_factor(self.card.focal_px) / geometry.from_network(inverse)
        index = prediction.logits.argmax(dim=1, keepdim=True).to(torch.uint8)
        ids = torch.tensor([c.train_id for c in self.card.classes], dtype=torch.uint8, device=self.device)
        labels = ids[geometry.from_network(index, 'nearest').long()]
        return NetworkOutput(depth[0, 0].cpu().numpy(), labels[0, 0].cpu().numpy(), sample.camera)

    def _labels(self, sample: Sample, geometry: InputGeometry) -> Tensor | None:
        if not self.given_labels:
            return None
        if sample.labels is None:
            raise ValueError(f'frame {sample.name} has no true labels to give to the network')
        labels = torch.from_numpy(sample.labels)[None, None].to(self.device)
        return geometry.window.labels(labels, UNLABELLED)[:, 0]


def perceiver(model: str | Path, device: str) -> tuple[Callable[[Sample], NetworkOutput], dict[str, str]]:
    """Return what perceives samples with a model file, and what a list of flagged images says of the model.

    :raises ModelFileError: whatever is wrong with the file, in one line
    """
    network, card = load_network(model)
    weights = tensor_hash(network.state_dict())
    return DepthPerceptor(network, card, choose_device(device)).perceive, {'name': card.name, 'weights': weights}

"""What the factory weights say of a frame: the learner's fixed point."""
from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from semdepth_ros.adaptation.network_frame import NetworkFrame
from semdepth_ros.classes import UNLABELLED
from semdepth_ros.model_card import ModelCard
from semdepth_ros.networks import JointNetwork, inverse_depth
from semdepth_ros.perception.decoding import most_probable


@dataclass(frozen=True)
class Seen:
    """One frame as a network sees it.

    :param depth: along Z in the network's own metres, float32 [H, W]
    :param labels: train ids, uint8 [H, W]
    :param features: pooled features of all the encoder's levels; the product of two is their mean cosine, float32 [C]
    """

    depth: np.ndarray
    labels: np.ndarray
    features: np.ndarray


class Classes:
    """What a card's classes mean to the learner."""

    def __init__(self, card: ModelCard):
        ids = [c.train_id for c in card.classes]
        self.train_ids = np.array(ids, dtype=np.uint8)
        self.movable = tuple(c.train_id for c in card.classes if c.movable)
        self.sky = tuple(c.train_id for c in card.classes if c.name == 'sky')
        self.ground = tuple(c.train_id for c in card.classes if c.ground)
        self.road = tuple(c.train_id for c in card.classes if c.name == 'road') or self.ground
        self.weak = self.movable + self.sky + (UNLABELLED,)


class FactoryModel:
    """The factory weights on the CPU or another device; they never change.

    :param network: in evaluation mode; it is copied
    """

    def __init__(self, network: JointNetwork, card: ModelCard, device: torch.device | str = 'cpu'):
        self.network = copy.deepcopy(network).eval().requires_grad_(False).to(device)
        self.card, self.device, self.classes = card, torch.device(device), Classes(card)
        self._features: list[Tensor] = []
        self.network.encoder.register_forward_hook(self._keep)

    def look(self, frame: NetworkFrame) -> Seen:
        """Return what the factory weights see."""
        depth, logits = self.predict(frame.image[None], frame.camera.fx)
        pooled = [F.normalize(level.float().mean((2, 3)), dim=1)[0] for level in self._features]
        features = torch.cat(pooled) / len(pooled) ** 0.5
        labels = self.classes.train_ids[most_probable(logits.float().contiguous())[0][0].cpu().numpy()]
        return Seen(depth[0, 0].cpu().numpy(), labels, features.cpu().numpy())

    @torch.no_grad()
    def predict(self, images: Tensor, focal_px: float) -> tuple[Tensor, Tensor]:
        """Return depth [B, 1, H, W] and class scores [B, C, H, W] of images, uint8 [B, 3, H, W]."""
        return predict(self.network, images, focal_px / self.card.focal_px)

    def _keep(self, module, inputs, features) -> None:
        self._features = list(features)


@torch.no_grad()
def predict(network: JointNetwork, images: Tensor, depth_factor: float) -> tuple[Tensor, Tensor]:
    """Return depth [B, 1, H, W] m and class scores [B, C, H, W] of images, uint8 [B, 3, H, W], on the network's device.

    :param depth_factor: focal length of these images over the one that the network was trained for
    """
    scales, network.returned_scales = network.returned_scales, 2
    try:
        prediction = network(images.to(device_of(network)).float() / 255)
    finally:
        network.returned_scales = scales
    inverse, _ = inverse_depth(prediction.disparities, *network.architecture['depth_range'])
    return depth_factor / inverse, prediction.logits


def device_of(network: JointNetwork) -> torch.device:
    """Return where a network's weights lie."""
    return next(network.parameters()).device

"""From what the network returns to depth, sigma, labels and confidence at the output's size."""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import torch
from torch import Tensor

from semdepth_ros.classes import UNLABELLED
from semdepth_ros.geometry.input_geometry import InputGeometry, resized
from semdepth_ros.model_file import ModelCard
from semdepth_ros.networks import Prediction, inverse_depth

# What may change from frame to frame, as a float32 tensor in this order.
SETTINGS = ('depth_multiplier', 'sigma_floor', 'sigma_gain', 'scale_sigma', 'max_range_m')


@dataclass(frozen=True)
class Decoded:
    """The parts of a Perception as tensors [H, W]: float32, float32, uint8, uint8."""

    depth: Tensor
    sigma: Tensor
    labels: Tensor
    confidence: Tensor


class Decoder:
    """Turns predictions of one geometry into outputs of one size.

    :param geometry: of the network's input
    :param card: classes and depth range; focal length, sigma and scale come with each frame's settings
    :param width, height: of the outputs [px]
    """

    def __init__(self, geometry: InputGeometry, card: ModelCard, width: int, height: int, device: torch.device):
        self.geometry, self.width, self.height = geometry, width, height
        self.depth_range_m = card.depth_range_m
        ids = [c.train_id for c in card.classes]
        # As long as there are indices in uint8: where a score is not a number, neither is the index one of a class.
        table = torch.tensor(ids + [UNLABELLED] * (256 - len(ids)), dtype=torch.uint8, device=device)
        self.train_ids = None if ids == list(range(len(ids))) else table
        self.sky = [c.train_id for c in card.classes if c.name == 'sky']
        self.unseen = self._unseen(device)

    def __call__(self, prediction: Prediction, settings: Tensor, into: Decoded) -> None:
        """Decode a prediction of one image.

        Inverse depth is interpolated: that of a plane is linear over the image. Labels and confidence take the nearest
        network pixel. sigma / depth = floor + gain * |ln d0 - ln d1|, see networks.inverse_depth, and in quadrature the
        relative sigma of the scale (form ours).

        :param settings: float32 [5], see SETTINGS
        :param into: where the outputs are written
        """
        multiplier, floor, gain, scale_sigma, max_range = settings.unbind()
        labels, confidence = self._classes(prediction.logits)
        into.labels.copy_(labels)
        into.confidence.copy_(confidence)
        inverse, disagreement = inverse_depth(prediction.disparities, *self.depth_range_m)
        self._enlarge(inverse, into.depth)
        self._enlarge(torch.hypot(floor + gain * disagreement, scale_sigma), into.sigma)
        torch.div(multiplier, into.depth, out=into.depth)
        into.sigma.mul_(into.depth)
        within = into.depth <= max_range
        for sky in self.sky:
            within &= into.labels != sky
        # x / 0 is infinity and 0 / 0 is NaN; on the CPU filling by a mask takes ten times as long.
        within = within.float()
        into.depth.div_(within)
        into.sigma.mul_(within).div_(within)
        if self.unseen is not None:
            into.depth.masked_fill_(self.unseen, torch.nan)
            into.sigma.masked_fill_(self.unseen, torch.nan)
            into.labels.masked_fill_(self.unseen, UNLABELLED)
            into.confidence.masked_fill_(self.unseen, 0)

    def _classes(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return train ids and 255 x probability, both uint8 [H, W]; unlabelled and 0 where a score is not a number."""
        index, probability = most_probable(self.geometry.content(logits).contiguous().float())
        labels = index if self.train_ids is None else self.train_ids[index.long()]
        labels = labels.masked_fill(probability.isnan(), UNLABELLED)
        confidence = (probability.nan_to_num_() * 255).round_().clamp_(max=255).to(torch.uint8)
        both = resized(torch.stack((labels, confidence), dim=1), self.width, self.height, 'nearest')
        return both[0, 0], both[0, 1]

    def _enlarge(self, tensor: Tensor, into: Tensor) -> None:
        """Write a network-sized tensor [1, 1, h, w] to an output [H, W], bilinear; OpenCV takes a quarter of the time."""
        content = self.geometry.content(tensor)
        if into.device.type == 'cpu':
            cv2.resize(content[0, 0].contiguous().numpy(), (self.width, self.height), dst=into.numpy(),
                       interpolation=cv2.INTER_LINEAR)
        else:
            into.copy_(resized(content, self.width, self.height, 'bilinear')[0, 0])

    def _unseen(self, device: torch.device) -> Tensor | None:
        """Return the output pixels that a rectified image does not show, None where all are shown."""
        if not self.geometry.rectifies:
            return None
        seen = torch.from_numpy(self.geometry.seen.astype('uint8'))[None, None]
        unseen = resized(self.geometry.content(seen), self.width, self.height, 'nearest')[0, 0] == 0
        return unseen.to(device) if unseen.any() else None


def most_probable(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return the most probable class and its probability.

    Kernels find a maximum many times faster than its place, so the class travels in the last bits of the probability.

    :param logits: [B, C, H, W], float32, contiguous
    :return: uint8 [B, H, W]; float32 [B, H, W], exact to 2^-(23 - bits of C)
    """
    classes = logits.shape[1]
    mask = (1 << (classes - 1).bit_length()) - 1
    # Of equal probabilities the lower class wins, as with argmax: it has the higher code.
    codes = mask - torch.arange(classes, dtype=torch.int32, device=logits.device)
    coded = logits.softmax(dim=1).view(torch.int32)
    coded.bitwise_and_(~mask).bitwise_or_(codes[:, None, None])
    best = coded.view(torch.float32).amax(dim=1)
    bits = best.view(torch.int32)
    return (mask - (bits & mask)).to(torch.uint8), (bits & ~mask).view(torch.float32)

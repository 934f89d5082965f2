"""A bounded memory of the drive: few triplets that differ, as JPEG."""
from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from semdepth_ros.adaptation.settings import Memory
from semdepth_ros.adaptation.triplet import Triplet
from semdepth_ros.geometry.camera import Camera


@dataclass(frozen=True)
class Stored:
    """A triplet in little room.

    :param triplet: its images, depth and labels are empty
    :param images: target, previous, next as JPEG
    :param depth: factory depth, float16 [H, W]
    :param labels: as PNG
    """

    triplet: Triplet
    images: tuple[bytes, ...]
    depth: np.ndarray
    labels: bytes

    @property
    def bytes(self) -> int:
        """The memory that it takes, nearly."""
        return sum(map(len, self.images)) + self.depth.nbytes + len(self.labels) + self.triplet.features.nbytes


class ReplayMemory:
    """Triplets of the cameras seen so far; the rule that keeps them different is CoVIO's (Vödisch et al. 2023).

    A triplet is kept if the features of none kept of its camera are as similar; where the memory is full, the one that
    resembles the others most makes room.
    """

    def __init__(self, settings: Memory):
        self.settings = settings
        self._kept: dict[Camera, list[Stored]] = {}

    def __len__(self) -> int:
        """Return how many triplets are kept, of all cameras."""
        return sum(map(len, self._kept.values()))

    @property
    def bytes(self) -> int:
        """The memory that they take, nearly."""
        return sum(stored.bytes for kept in self._kept.values() for stored in kept)

    def of(self, camera: Camera) -> int:
        """Return how many are kept of a camera."""
        return len(self._kept.get(camera, ()))

    def offer(self, triplet: Triplet) -> bool:
        """Keep a triplet if it is new; return whether."""
        kept = self._kept.setdefault(triplet.camera, [])
        if not self.settings.triplets:
            return False
        if kept and max(float(s.triplet.features @ triplet.features) for s in kept) >= self.settings.similar:
            return False
        kept.append(pack(triplet, self.settings.jpeg_quality))
        while len(kept) > self.settings.triplets:
            features = np.stack([s.triplet.features for s in kept])
            del kept[int((features @ features.T).sum(axis=1)[:-1].argmax())]
        while len(self) > self.settings.triplets:                   # other cameras make room first
            others = [c for c in self._kept if c != triplet.camera and self._kept[c]]
            del self._kept[others[0]][0]
        return True

    def draw(self, camera: Camera, count: int, rng: np.random.Generator) -> list[Triplet]:
        """Return different triplets of a camera, fewer where there are fewer."""
        kept = self._kept.get(camera, [])
        if not kept or not count:
            return []
        return [unpack(kept[i]) for i in rng.choice(len(kept), min(count, len(kept)), replace=False)]

    def first(self, camera: Camera, count: int) -> list[Triplet]:
        """Return the oldest triplets of a camera."""
        return [unpack(stored) for stored in self._kept.get(camera, [])[:count]]


def pack(triplet: Triplet, quality: int = 95) -> Stored:
    """Return a triplet in little room; exact depth is not kept."""
    images = tuple(cv2.imencode('.jpg', np.ascontiguousarray(image.permute(1, 2, 0).numpy()[..., ::-1]),
                                [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes() for image in triplet.images)
    empty = np.zeros((0, 0), np.float32)
    bare = replace(triplet, images=torch.zeros(0, dtype=torch.uint8), factory_depth=empty,
                   labels=empty.astype(np.uint8))
    labels = cv2.imencode('.png', triplet.labels)[1].tobytes()
    return Stored(bare, images, triplet.factory_depth.astype(np.float16), labels)


def unpack(stored: Stored) -> Triplet:
    """Return the triplet, its images as JPEG left them."""
    images = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1] for data in stored.images]
    labels = cv2.imdecode(np.frombuffer(stored.labels, np.uint8), cv2.IMREAD_GRAYSCALE)
    return replace(stored.triplet, images=torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2).copy()),
                   factory_depth=stored.depth.astype(np.float32), labels=labels)

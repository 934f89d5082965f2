"""Frames in the memory of the device that trains, and triplets cut there: nothing is read or copied while it trains."""
from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from semdepth_ros.classes import UNLABELLED
from semdepth_ros.data import covered
from semdepth_ros.data.sample import Sample
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.window_batch import WindowBatch, numbers_of
from semdepth_ros.training.batch import TripletBatch
from semdepth_ros.training.recipe import RecipeError
from semdepth_ros.training.triplets import TripletDataset, TripletSource, depth_of, distance, labels_of, rectified

READERS = 16


class Drawn(NamedTuple):
    """Draws of triplets whose frames lie in a store, B of them where they are collated.

    :param group, frames: which group of equal size, and target, previous and next in it, int64 [B], [B, 3]
    :param window: numbers of geometry.window_batch, float32 [B, 9]
    :param size: of the input (width, height) [px], int64 [B, 2]; the same for the whole batch
    :param intrinsics, distance, colour, origin: as in TripletBatch
    """

    group: Tensor
    frames: Tensor
    window: Tensor
    size: Tensor
    intrinsics: Tensor
    distance: Tensor
    colour: Tensor
    origin: Tensor


@dataclass
class _Group:
    """Frames of one size [H, W]: what is read of them, by frame."""

    images: list[Tensor] | Tensor = field(default_factory=list)         # uint8 [N, 3, H, W]
    labels: list[Tensor] | Tensor = field(default_factory=list)         # uint8 [N, H, W]
    confidence: list[Tensor] | Tensor = field(default_factory=list)     # uint8 [N, H, W]
    seen: list[Tensor] | Tensor = field(default_factory=list)           # bool [N, H, W]
    depth: list[Tensor] | Tensor = field(default_factory=list)          # float16 [N, H, W] m


class FrameStore:
    """The frames of training sources on the device that trains.

    Depth is kept in half precision: to 0.05 %.

    :param sources: all their frames are read, by several threads
    :param needs: the optional fields of TripletBatch that are wanted
    :param progress: goes over what is iterated and says how far it is
    :raises RecipeError: a frame has no camera, or the device has no room for them all
    """

    def __init__(self, sources: list[TripletSource], needs: frozenset[str], device: torch.device,
                 progress: Callable[[Iterable], Iterable] = iter):
        self.needs, self.device = needs, device
        self.places: dict[tuple[int, int, int], tuple[int, int]] = {}    # source, sequence, frame: group, number
        self.cameras: dict[tuple[int, int, int], Camera] = {}
        self.poses: dict[tuple[int, int, int], np.ndarray | None] = {}
        groups: dict[tuple[int, int], _Group] = {}
        keys = [(s, q, f) for s, source in enumerate(sources) for q, sequence in enumerate(source.sequences)
                for f in range(len(sequence))]
        with ThreadPoolExecutor(READERS) as readers:
            read = readers.map(lambda key: _read(sources[key[0]], key[1], key[2], needs), keys)
            for key, (camera, pose, parts) in zip(progress(keys), read):
                size = tuple(parts['labels'].shape)
                group = groups.setdefault(size, _Group())
                self.places[key] = (list(groups).index(size), len(group.images))
                self.cameras[key], self.poses[key] = camera, pose
                for name, tensor in parts.items():
                    getattr(group, name).append(tensor)
        self._groups = [self._moved(group) for group in groups.values()]

    def _moved(self, group: _Group) -> _Group:
        for name, parts in vars(group).items():
            if not parts:
                continue
            size = len(parts) * parts[0].nbytes
            try:
                whole = torch.empty(len(parts), *parts[0].shape, dtype=parts[0].dtype, device=self.device)
            except (torch.OutOfMemoryError, RuntimeError):
                raise RecipeError(f'cache is device, but {self.device} has no room for {size / 1e9:.1f} GB of {name}: '
                                  f'set cache to ram or none') from None
            for i in range(len(parts)):
                whole[i].copy_(parts[i])
                parts[i] = None
            setattr(group, name, whole)
        return group

    def cut(self, drawn: Drawn) -> TripletBatch:
        """Return the batch of these draws; `colour` stays where it was drawn, since what it says is decided there."""
        width, height = drawn.size[0].tolist()
        groups = drawn.group.tolist()
        pieces, places = [], []
        for number in sorted(set(groups)):
            place = torch.tensor([i for i, g in enumerate(groups) if g == number])
            pieces.append(self._cut_group(self._groups[number], drawn.frames[place], drawn.window[place],
                                          (width, height)))
            places.append(place)
        back = torch.argsort(torch.cat(places)).to(self.device)
        images, labels, confidence, seen, depth = (
            None if parts[0] is None else torch.cat(parts)[back] for parts in zip(*pieces))
        intrinsics, travelled, origin = (tensor.to(self.device, non_blocking=True)
                                         for tensor in (drawn.intrinsics, drawn.distance, drawn.origin))
        return TripletBatch(images, intrinsics, travelled, labels, confidence, seen, drawn.colour, origin, depth)

    def _cut_group(self, group: _Group, frames: Tensor, window: Tensor, size: tuple[int, int]) -> tuple:
        frames, window = frames.to(self.device), window.to(self.device)
        windows, target = WindowBatch(window, size), frames[:, 0]
        images = torch.stack([windows.images(group.images[frames[:, i]]) for i in range(3)], dim=1)
        depth = windows.labels(group.depth[target].float(), torch.nan) if 'depth' in self.needs else None
        return (images, windows.labels(group.labels[target], UNLABELLED),
                windows.labels(group.confidence[target], UNLABELLED).float() / 255,
                windows.labels(group.seen[target], False), depth)


class DrawDataset(Dataset):
    """The draws of a TripletDataset whose frames lie in a store, as small tensors: items of Drawn."""

    def __init__(self, triplets: TripletDataset, store: FrameStore):
        self.triplets, self.places, self.cameras, self.poses = triplets, store.places, store.cameras, store.poses
        self._source_of = {id(source): number for number, source in enumerate(triplets.sources)}

    def __len__(self) -> int:
        return len(self.triplets)

    def __getitem__(self, number: int) -> Drawn:
        """Draw one triplet."""
        draw = self.triplets.draw(number, lambda source, *frame: self.cameras[self._source_of[id(source)], *frame])
        keys = [(draw.source, draw.sequence, frame) for frame in draw.frames]
        if any(self.cameras[key] != self.cameras[keys[0]] for key in keys):     # as TripletDataset has it
            keys = keys[:1] * 3
        window, poses = draw.window, [self.poses[key] for key in keys]
        camera = window.camera(self.cameras[keys[0]])
        return Drawn(
            group=torch.tensor(self.places[keys[0]][0]), frames=torch.tensor([self.places[key][1] for key in keys]),
            window=torch.tensor(numbers_of(window)), size=torch.tensor([camera.width, camera.height]),
            intrinsics=torch.from_numpy(camera.matrix.astype(np.float32)),
            distance=torch.tensor([distance(poses[1], poses[0]), distance(poses[0], poses[2])]),
            colour=torch.from_numpy(draw.colour), origin=torch.tensor(draw[:4]))


def _read(source: TripletSource, sequence: int, frame: int, needs: frozenset[str]
          ) -> tuple[Camera, np.ndarray | None, dict[str, Tensor]]:
    taken: Sample = source.sequences[sequence][frame]
    sample = rectified(taken)
    labels, confidence = labels_of(sample, source.entry.labels)
    parts = {'images': np.ascontiguousarray(sample.image.transpose(2, 0, 1)), 'labels': labels,
             'confidence': confidence, 'seen': covered(taken.camera) > 0}
    if 'depth' in needs:
        parts['depth'] = depth_of(sample).astype(np.float16)
    return sample.camera, sample.pose, {name: torch.from_numpy(array) for name, array in parts.items()}

"""Frames that hold the weights: drives through the rendered world under this very camera, with exact depth."""
from __future__ import annotations

import hashlib
import io
import os
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from semdepth_ros.adaptation.factory import FactoryModel
from semdepth_ros.adaptation.network_frame import NetworkFrame
from semdepth_ros.adaptation.triplet import Triplet
from semdepth_ros.geometry.camera import Camera

USUAL_HEIGHT_M = 1.65
LEAST_TRAVEL_M, MOST_TRAVEL_M = 0.3, 1.5
KNOWS_THE_WORLD = 0.25  # Abs Rel, every frame median-scaled, up to which a network is taken to know the world
_SEED, _FRAMES, _RAYS, _VERSION = 90_000, 120, 2, 1
_PRESETS = ('day', 'day', 'dusk', 'day', 'fog', 'day', 'glare', 'night')


def world_anchors(camera: Camera, seen: torch.Tensor, count: int, factory: FactoryModel,
                  cache: str | os.PathLike | None = None) -> list[Triplet]:
    """Return triplets of the rendered world as this camera's input would show it.

    They are a function of the camera and their number alone: the same seeds again render the same frames, so that none
    need travel with a model. What was rendered is kept in cache.

    :param camera: of the network's input; its height_m is that of the drive, else USUAL_HEIGHT_M
    :param seen: where the input shows the image, bool [H, W]
    :param cache: folder; None keeps nothing
    """
    rendered = _cached(camera, count, cache)
    triplets = []
    for number, (images, depth, motions) in enumerate(zip(*rendered)):
        images = torch.from_numpy(images)
        frame = NetworkFrame(images[0], seen, camera, camera, 0)
        look = factory.look(frame)
        distance = np.linalg.norm(motions[:, :3, 3], axis=1).astype(np.float32)
        triplets.append(Triplet(images, camera, seen, motions, distance, look.depth, look.labels, look.features,
                                np.where(seen.numpy(), depth, np.nan).astype(np.float32), number))
    return triplets


def knows_the_world(anchors: list[Triplet]) -> bool:
    """Return whether the factory weights see these frames well enough to be judged by their exact depth."""
    return bool(anchors) and float(np.mean([abs_rel(t.factory_depth, t.depth) for t in anchors])) <= KNOWS_THE_WORLD


def abs_rel(depth: np.ndarray, truth: np.ndarray, farthest_m: float = 80.0) -> float:
    """Return mean |d - d*| / d* of depth [H, W] scaled by the medians; NaN without truth.

    The scale is taken out, because a trial bounds it by itself.
    """
    with np.errstate(invalid='ignore'):
        mask = (truth > 1e-3) & (truth < farthest_m) & np.isfinite(depth)
    if not mask.any():
        return float('nan')
    d, t = depth[mask].astype(np.float64), truth[mask].astype(np.float64)
    return float(np.mean(np.abs(d * (np.median(t) / np.median(d)) - t) / t))


def _cached(camera: Camera, count: int, cache: str | os.PathLike | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if cache is None:
        return _rendered(camera, count)
    known = {key: value for key, value in asdict(camera).items()} | {'count': count, 'version': _VERSION}
    path = Path(cache) / f'anchors_{hashlib.sha256(repr(sorted(known.items())).encode()).hexdigest()[:16]}.npz'
    try:
        with np.load(path) as kept:
            return kept['images'], kept['depth'].astype(np.float32), kept['motions']
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass
    images, depth, motions = _rendered(camera, count)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=images, depth=depth, motions=motions)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'{path.name}.{os.getpid()}')
    partial.write_bytes(buffer.getvalue())
    os.replace(partial, path)
    return images, depth, motions


def _rendered(camera: Camera, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return images uint8 [N, 3, 3, H, W], depth float32 [N, H, W] and motions float32 [N, 2, 4, 4]."""
    from semdepth_ros.world import Drive
    if camera.height_m is None:
        camera = replace(camera, height_m=USUAL_HEIGHT_M)
    images, depths, motions = [], [], []
    for number in range(count):
        drive = Drive(_PRESETS[number % len(_PRESETS)], _SEED + number, _FRAMES, camera, split='train', rays=_RAYS)
        middle = _moving(drive, number)
        target, previous, following = drive.render([middle, middle - 1, middle + 1])
        images.append(np.stack([f.image.transpose(2, 0, 1) for f in (target, previous, following)]))
        depths.append(target.depth)
        motions.append(np.stack([np.linalg.inv(f.pose) @ target.pose for f in (previous, following)]))
    size = (camera.height, camera.width)
    return (np.array(images, np.uint8).reshape(-1, 3, 3, *size), np.array(depths, np.float32).reshape(-1, *size),
            np.array(motions, np.float32).reshape(-1, 2, 4, 4))


def _moving(drive, number: int) -> int:
    """Return a frame of a drive on both sides of which the camera moves, the same every time."""
    order = np.random.default_rng([_SEED, number]).permutation(np.arange(1, len(drive) - 1))
    places = {}

    def place(i: int) -> np.ndarray:
        if i not in places:
            places[i] = drive.pose(i)[:3, 3]
        return places[i]

    for middle in order.tolist():
        steps = [float(np.linalg.norm(place(middle + k) - place(middle))) for k in (-1, 1)]
        if LEAST_TRAVEL_M <= min(steps) and max(steps) <= MOST_TRAVEL_M:
            return middle
    return int(order[0])

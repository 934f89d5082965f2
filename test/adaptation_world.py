"""A long corridor of textured planes, and a network that knows it, but bent: what a learner can mend in seconds."""
from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from plane_world import BUILDING, HALF_WIDTH_M, HEIGHT_M, ROAD, WALL
from torch import Tensor, nn

from semdepth_ros.adaptation import Adapter, AdapterSettings
from semdepth_ros.adaptation.network_frame import NetworkFrame
from semdepth_ros.adaptation.triplet import Triplet
from semdepth_ros.frame import Frame
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.model_file import InputRule, ModelCard, tensor_hash
from semdepth_ros.networks import JointNetwork
from semdepth_ros.networks.guidance.guide import Semantics
from semdepth_ros.networks.guidance.plain import Plain
from semdepth_ros.settings import build, merged

CAMERA = Camera(128, 64, 80.0, 80.0, 63.5, 26.0, height_m=HEIGHT_M)
STEP_M, PERIOD_NS, END_M = 0.45, 100_000_000, 90.0
BEND, MIDDLE_M = 0.85, 4.0   # depth is wrong as (depth / 4 m) ** 0.85: scale and height of the road are nearly right
# a block in 8 frames, trials on 4 of them: as the real ones, but in a twentieth of the time
QUICK = {
    'step': {'learning_rate': 2e-2, 'average': 0.9, 'warmup': 0, 'most_change': 0.5, 'anchors': 0},
    'trial': {'period': 8, 'block': 3, 'blocks': 4, 'steps': 8, 'level': 0.1, 'most_forgetting': 10.0},
    'watch': {'frames': 12, 'every': 2, 'least': 3, 'level': 0.2},
    'losses': {'road_plane': {'weight': 0.05}},      # the bent road is to be mended with the rest
    'reset': {'settle': 3, 'least_similarity': 0.6, 'distrust': 3},
    'gates': {'least_tracks': 15, 'least_parallax_px': 0.3, 'least_sharpness': 1.0, 'most_deviations': 6.0}}


@lru_cache(maxsize=None)
def view(travelled_m: float, camera: Camera = CAMERA, yaw: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return image, depth and labels from a place along the corridor, looking to the side by an angle [rad]."""
    rays = camera.rays().astype(np.float64)
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    world = rays @ turn.T
    with np.errstate(divide='ignore', invalid='ignore'):
        hits = np.stack([np.where(world[..., 1] > 1e-6, HEIGHT_M / world[..., 1], np.inf),
                         HALF_WIDTH_M / np.maximum(np.abs(world[..., 0]), 1e-9),
                         np.where(world[..., 2] > 1e-6, (END_M - travelled_m) / world[..., 2], np.inf)])
    which, depth = hits.argmin(axis=0), hits.min(axis=0)
    x, y, z = np.moveaxis(world * depth[..., None], -1, 0)
    z = z + travelled_m
    across, along = np.choose(which, [x, y + 3 * np.sign(x), x]), np.choose(which, [z, z, y])
    noise = _noise(across, along, depth)
    shade = np.choose(which, [0.2, 0.3, 0.36])
    image = np.stack([shade + gain * noise for gain in (0.2, 0.18, 0.16)], axis=-1)
    labels = np.choose(which, [ROAD, WALL, BUILDING]).astype(np.uint8)
    return (np.clip(image, 0, 1) * 255).astype(np.uint8), depth.astype(np.float32), labels


def _noise(across: np.ndarray, along: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Return smooth random grey on a plane, of three sizes; what is finer than a pixel far away fades there."""
    total = 0.0
    for size, weight in ((0.5, 0.5), (1.3, 0.6), (3.5, 0.7)):
        i, j = np.floor(across / size), np.floor(along / size)
        a, b = ((t * t * (3 - 2 * t)) for t in (across / size - i, along / size - j))
        corners = [_hash(i + k, j + m) * (a if k else 1 - a) * (b if m else 1 - b) for k in (0, 1) for m in (0, 1)]
        total = total + weight * np.exp(-(depth / (22 * size)) ** 2) * sum(corners)
    return np.clip(total, -1, 1)


def _hash(i: np.ndarray, j: np.ndarray) -> np.ndarray:
    i, j = i.astype(np.int64), j.astype(np.int64)
    return (((i * 73_856_093) ^ (j * 19_349_663) ^ (i * j * 83_492_791)) % 1009) / 504.5 - 1


def frame(number: int, camera: Camera = CAMERA, stamp_ns: int | None = None, step_m: float = STEP_M) -> Frame:
    """Return a frame of the drive."""
    return Frame(view(number * step_m, camera)[0], 'rgb', camera, number * PERIOD_NS if stamp_ns is None else stamp_ns)


def pose(number: int, step_m: float = STEP_M) -> np.ndarray:
    """Return the camera's pose then."""
    place = np.eye(4)
    place[2, 3] = number * step_m
    return place


class Pyramid(nn.Module):
    """An encoder that blurs and halves; nothing of it is trained."""

    channels = (4, 4, 4, 4, 4)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the image at strides 2 to 32."""
        levels = [F.avg_pool2d(torch.cat((x, torch.ones_like(x[:, :1])), dim=1), 2)]
        for _ in range(4):
            levels.append(F.avg_pool2d(levels[-1], 2))
        return levels


class DepthMap(nn.Module):
    """A depth decoder that says the same depth whatever it sees, a parameter a pixel: along a corridor that is enough.

    :param depth: to start from, float32 [H, W] m
    """

    least_side = 32

    def __init__(self, depth: np.ndarray, depth_range: tuple[float, float]):
        super().__init__()
        self.heads = nn.ModuleList()
        low, high = 1 / depth_range[1], 1 / depth_range[0]
        disparity = np.clip((1 / depth - low) / (high - low), 1e-4, 1 - 1e-4)
        self.path = nn.ParameterDict({'map': torch.from_numpy(np.log(disparity / (1 - disparity)).astype(np.float32))})

    def forward(self, features, guide, scales, begun=None) -> tuple[Tensor, ...]:
        """Return the disparities."""
        finest = torch.sigmoid(self.path['map']).expand(len(features[0]), 1, -1, -1)
        return tuple(F.avg_pool2d(finest, 2 ** s) if s else finest for s in range(scales))


class LabelMap(nn.Module):
    """A semantic decoder that says the same classes whatever it sees."""

    least_side = 32

    def __init__(self, labels: np.ndarray):
        super().__init__()
        self.scores = nn.Parameter(8 * F.one_hot(torch.from_numpy(labels).long(), 19).permute(2, 0, 1).float())

    def forward(self, features, begun=None) -> Semantics:
        """Return the classes."""
        return Semantics({}, self.scores.expand(len(features[0]), -1, -1, -1))


class ConstantPose(nn.Module):
    """A pose network that says the same motion whatever it sees."""

    def __init__(self, step_m: float):
        super().__init__()
        self.motion = nn.Parameter(torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, -step_m]))

    def forward(self, pair: Tensor) -> tuple[Tensor, Tensor]:
        """Return axis-angle and translation."""
        motion = self.motion.expand(len(pair), 6)
        return motion[:, :3], motion[:, 3:]


@lru_cache(maxsize=1)
def factory() -> tuple[JointNetwork, ModelCard]:
    """Return a network that knows the corridor's classes, and its depth but for a bend."""
    depth_range = (0.5, 50.0)
    architecture = {'encoder': 'pyramid', 'depth_range': list(depth_range), 'classes': 19, 'shared_decoder': 0}
    _, depth, labels = view(0.0)
    bent = MIDDLE_M * (np.minimum(depth, 40.0) / MIDDLE_M) ** BEND
    network = JointNetwork(architecture, Pyramid(), DepthMap(bent, depth_range), LabelMap(labels),
                           Plain(None, None), ConstantPose(STEP_M))
    card = ModelCard(architecture, name='corridor', focal_px=CAMERA.fx, input=InputRule(pixels=128 * 64),
                     depth_range_m=depth_range, factory=tensor_hash(network.state_dict()))
    return network.eval(), card


def adapter(changes: dict | None = None, **more) -> Adapter:
    """Return a learner with the quick settings and some changed ones."""
    settings = merged(QUICK, changes or {})
    more.setdefault('anchors', lambda camera, seen, count, known: anchors(known, count))
    network, card = factory()
    return Adapter(network, card, build(AdapterSettings, settings, 'test'), **more)


def anchors(known, count: int = 2) -> list[Triplet]:
    """Return triplets of the corridor with exact depth, elsewhere than the drives."""
    triplets = []
    for number in range(min(count, 2)):
        places = [60 + 5 * number, 59.5 + 5 * number, 60.5 + 5 * number]
        images = torch.from_numpy(np.stack([view(p)[0] for p in places])).permute(0, 3, 1, 2).contiguous()
        motions = np.tile(np.eye(4, dtype=np.float32), (2, 1, 1))
        motions[:, 2, 3] = 0.5, -0.5
        seen = torch.ones(64, 128, dtype=torch.bool)
        look = known.look(NetworkFrame(images[0], seen, CAMERA, CAMERA, 0))
        triplets.append(Triplet(images, CAMERA, seen, motions, np.full(2, 0.5, np.float32), look.depth, look.labels,
                                look.features, view(places[0])[1], number))
    return triplets


def with_pixels(taken: Frame, image: np.ndarray) -> Frame:
    """Return a frame with other pixels."""
    return replace(taken, image=np.ascontiguousarray(image))

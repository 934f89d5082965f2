"""From the `architecture:` part of a recipe to a JointNetwork."""
from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from semdepth_ros.networks.decoders import (DepthDecoder, PackNetDecoder, SemanticDecoder, SlimPackNetDecoder,
                                            SmallDepthDecoder, SmallSemanticDecoder)
from semdepth_ros.networks.efficientnet_lite0 import EfficientNetLite0
from semdepth_ros.networks.guidance import GuidedParts, build_guidance, complete_guidance
from semdepth_ros.networks.joint import JointNetwork
from semdepth_ros.networks.library_encoders import LIBRARIES
from semdepth_ros.networks.packnet import PackNet, SlimPackNet
from semdepth_ros.networks.pose import ResNetPose, start_ahead
from semdepth_ros.networks.prediction import depth_to_disparity
from semdepth_ros.networks.published_weights import IMAGENET, load_efficientnet_lite0, load_resnet18
from semdepth_ros.networks.resnet import ResNet18
from semdepth_ros.networks.small import SmallEncoder, SmallPose
from semdepth_ros.networks.upward_path import shared_path
from semdepth_ros.settings import SettingsError, between, build, one_of, positive

ENCODERS = {'resnet18': ResNet18, 'small': SmallEncoder, 'efficientnet_lite0': EfficientNetLite0, 'packnet': PackNet,
            'packnet_slim': SlimPackNet}
PRETRAINED = {'resnet18': load_resnet18, 'efficientnet_lite0': load_efficientnet_lite0}
DEPTH_DECODERS = {'monodepth2': DepthDecoder, 'small': SmallDepthDecoder, 'packnet': PackNetDecoder,
                  'packnet_slim': SlimPackNetDecoder}
SEMANTIC_DECODERS = {'monodepth2': SemanticDecoder, 'small': SmallSemanticDecoder}
POSE_NETWORKS = {'resnet18': ResNetPose, 'small': SmallPose}

# what an encoder brings in place of the defaults
SMALL = {'depth_decoder': 'small', 'semantic_decoder': 'small', 'pose': 'small', 'initial_depth': 10.0,
         'pose_scale': (0.01, 0.5), 'initial_step': 0.5}
BROUGHT = {'small': SMALL, 'efficientnet_lite0': SMALL, 'packnet': SMALL | {'depth_decoder': 'packnet'},
           'packnet_slim': SMALL | {'depth_decoder': 'packnet_slim'}}

_UNTAUGHT = set(ENCODERS) - set(PRETRAINED)


@dataclass(frozen=True)
class Architecture:
    """What a network is made of; with every encoder but resnet18 and those of libraries come the values of SMALL, with
    packnet and packnet_slim the depth decoder of that name.

    :param encoder: resnet18, small, efficientnet_lite0, packnet, packnet_slim; or timm:NAME, transformers:NAME where those packages are
        installed
    :param depth_decoder: monodepth2, small, packnet or packnet_slim
    :param semantic_decoder: monodepth2 or small
    :param guidance: a kind of guidance, or a mapping of `kind` and its settings; or a list of such, which act one after the
        other
    :param shared_decoder: how many of their first convolutions the two decoders share, 0 to 10; to 8 for the small ones,
        which have a level of two convolutions less
    :param pose: resnet18 or small
    :param classes: number of class scores
    :param depth_range: nearest and farthest canonical depth [m]
    :param initial_depth: canonical depth [m] to start training near; None is Monodepth2's start
    :param pose_scale: rotation [rad] and translation [m] that an output of one stands for
    :param initial_step: motion ahead [m] between two frames that training starts near; None is none
    :param pretrained: for resnet18 a safetensors file of ImageNet or Monodepth2 encoder weights; for efficientnet_lite0
        `imagenet`, which needs the package of its weights, or a safetensors file of the encoder; for a library's encoder
        True
    :param encoder_config: of a transformers encoder; filled in
    """

    encoder: str = 'resnet18'
    depth_decoder: str = 'monodepth2'
    semantic_decoder: str = 'monodepth2'
    guidance: Any = 'plain'
    shared_decoder: int = 0
    pose: str = 'resnet18'
    classes: int = 19
    depth_range: tuple[float, float] = (0.1, 100.0)
    initial_depth: float | None = None
    pose_scale: tuple[float, float] = (0.01, 0.01)
    initial_step: float | None = None
    pretrained: bool | str = False
    encoder_config: dict | None = None

    def __post_init__(self):
        self._check_encoder()
        one_of('depth_decoder', self.depth_decoder, DEPTH_DECODERS)
        one_of('semantic_decoder', self.semantic_decoder, SEMANTIC_DECODERS)
        one_of('pose', self.pose, POSE_NETWORKS)
        object.__setattr__(self, 'guidance', complete_guidance(self.guidance))
        self._check_numbers()
        self._check_shared()

    def _check_encoder(self) -> None:
        library, _, name = self.encoder.partition(':') if isinstance(self.encoder, str) else ('', '', '')
        if not (self.encoder in ENCODERS if not name else library in LIBRARIES):
            raise SettingsError(
                f'encoder is {self.encoder!r}, expected {", ".join(ENCODERS)}, timm:NAME or transformers:NAME')
        kind, expected = (bool, 'true or false') if name else (str, _files_of(self.encoder))
        if self.pretrained is not False and (self.encoder in _UNTAUGHT or not isinstance(self.pretrained, kind)):
            raise SettingsError(f'pretrained is {self.pretrained!r}, expected {expected} for the encoder {self.encoder}')
        if self.encoder_config is not None and library != 'transformers':
            raise SettingsError(
                f'encoder_config is given for the encoder {self.encoder}, expected it for transformers:NAME only')

    def _check_numbers(self) -> None:
        between(self, 2, 255, 'classes')
        for name in ('depth_range', 'pose_scale'):
            for value in getattr(self, name):
                positive(name, value)
        low, high = self.depth_range
        if not low < high:
            raise SettingsError(f'depth_range is {list(self.depth_range)}, expected nearest < farthest')
        if self.initial_step is not None:
            between(self, -100, 100, 'initial_step')
        if self.initial_depth is not None and not low < self.initial_depth < high:
            raise SettingsError(f'initial_depth is {self.initial_depth}, expected a depth between {low} and {high} m, '
                                'or nothing')

    def _check_shared(self) -> None:
        depth, semantic = DEPTH_DECODERS[self.depth_decoder].form, SEMANTIC_DECODERS[self.semantic_decoder].form
        between(self, 0, depth.steps, 'shared_decoder')
        if self.shared_decoder and depth is not semantic:
            raise SettingsError(f'shared_decoder is {self.shared_decoder}, expected 0 for decoders of different kinds')


def build_network(architecture: dict[str, Any]) -> JointNetwork:
    """Return a network described by a recipe's `architecture:` part, a mapping of Architecture's fields, all optional.

    The network's own `architecture` is complete and makes the same network, with fresh weights, wherever it is built
    again.

    :raises ValueError: a key or value that is unknown, naming what was expected; weights that cannot be had
    """
    parts = _read(architecture)
    encoder, config = _encoder(parts)
    depth_class, semantic_class = DEPTH_DECODERS[parts.depth_decoder], SEMANTIC_DECODERS[parts.semantic_decoder]
    shared, start = parts.shared_decoder, parts.initial_depth
    trunk = shared_path(depth_class.form, encoder.channels, shared)
    disparity = None if start is None else depth_to_disparity(start, *parts.depth_range)
    depth = depth_class(encoder.channels, disparity, shared)
    semantic = semantic_class(encoder.channels, parts.classes, shared)
    guidance, described = build_guidance(parts.guidance, GuidedParts(
        encoder.channels, semantic.form.levels(shared), depth.form.levels(shared), parts.classes))
    complete = _plain(parts) | {'pretrained': False, 'encoder_config': config, 'guidance': described}
    return JointNetwork(complete, encoder, depth, semantic, guidance, _pose(parts), trunk)


def least_side(architecture: dict[str, Any]) -> int:
    """Return the least height and width of the images [px] that this network takes; raises as build_network does."""
    parts = _read(architecture)
    decoders = DEPTH_DECODERS[parts.depth_decoder], SEMANTIC_DECODERS[parts.semantic_decoder]
    return max(decoder.least_side for decoder in decoders)


def complete(architecture: dict[str, Any]) -> dict[str, Any]:
    """Return the architecture with every key present; raises ValueError for what is unknown or out of range."""
    return _plain(_read(architecture))


def _read(architecture: dict[str, Any]) -> Architecture:
    if isinstance(architecture, dict) and isinstance(architecture.get('encoder'), str):
        architecture = BROUGHT.get(architecture['encoder'], {}) | architecture
    return build(Architecture, architecture, 'architecture')


def _plain(parts: Architecture) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(parts).items()}


def _files_of(encoder: str) -> str:
    named = {'resnet18': 'false or a safetensors file', 'efficientnet_lite0': f'false, {IMAGENET} or a safetensors file'}
    return named.get(encoder, 'false')


def _encoder(parts: Architecture) -> tuple[nn.Module, dict | None]:
    library, _, name = parts.encoder.partition(':')
    if name:
        return LIBRARIES[library](name, parts.encoder_config, parts.pretrained)
    encoder = ENCODERS[library]()
    if parts.pretrained:
        PRETRAINED[library](encoder, parts.pretrained)
    return encoder, None


def _pose(parts: Architecture) -> nn.Module:
    pose = POSE_NETWORKS[parts.pose](parts.pose_scale)
    if parts.initial_step is not None:
        start_ahead(pose, parts.initial_step)
    if parts.encoder == 'resnet18' and parts.pretrained and isinstance(pose, ResNetPose):
        load_resnet18(pose.encoder, parts.pretrained)
    return pose

"""From the `architecture:` part of a recipe to a JointNetwork."""
from __future__ import annotations

from typing import Any

from torch import nn

from semdepth_ros.networks.decoders import DepthDecoder, SemanticDecoder, SmallDepthDecoder, SmallSemanticDecoder
from semdepth_ros.networks.efficientnet_lite0 import EfficientNetLite0
from semdepth_ros.networks.guidance import GUIDANCES
from semdepth_ros.networks.joint import JointNetwork
from semdepth_ros.networks.library_encoders import LIBRARIES
from semdepth_ros.networks.pose import ResNetPose, start_ahead
from semdepth_ros.networks.prediction import depth_to_disparity
from semdepth_ros.networks.published_weights import IMAGENET, load_efficientnet_lite0, load_resnet18
from semdepth_ros.networks.resnet import ResNet18
from semdepth_ros.networks.small import SmallEncoder, SmallPose

ENCODERS = {'resnet18': ResNet18, 'small': SmallEncoder, 'efficientnet_lite0': EfficientNetLite0}
PRETRAINED = {'resnet18': load_resnet18, 'efficientnet_lite0': load_efficientnet_lite0}
DEPTH_DECODERS = {'monodepth2': DepthDecoder, 'small': SmallDepthDecoder}
SEMANTIC_DECODERS = {'monodepth2': SemanticDecoder, 'small': SmallSemanticDecoder}
POSE_NETWORKS = {'resnet18': ResNetPose, 'small': SmallPose}
PARTS = {'depth_decoder': DEPTH_DECODERS, 'semantic_decoder': SEMANTIC_DECODERS, 'guidance': GUIDANCES,
         'pose': POSE_NETWORKS}

BASE = {'encoder': 'resnet18', 'depth_decoder': 'monodepth2', 'semantic_decoder': 'monodepth2', 'guidance': 'plain',
        'pose': 'resnet18', 'classes': 19, 'depth_range': [0.1, 100.0], 'initial_depth': None,
        'pose_scale': [0.01, 0.01], 'initial_step': None, 'pretrained': False, 'encoder_config': None}
SMALL = BASE | {'encoder': 'small', 'depth_decoder': 'small', 'semantic_decoder': 'small', 'pose': 'small',
                'initial_depth': 10.0, 'pose_scale': [0.01, 0.5], 'initial_step': 0.5}
DEFAULTS = {'small': SMALL, 'efficientnet_lite0': SMALL | {'encoder': 'efficientnet_lite0'}}


def build_network(architecture: dict[str, Any]) -> JointNetwork:
    """Return a network described by a recipe's `architecture:` part.

    Keys, all optional; the encoders small and efficientnet_lite0 bring the small defaults, shown after the bar:
    encoder (resnet18 | small or efficientnet_lite0; or timm:NAME, transformers:NAME where those packages are
    installed), depth_decoder and semantic_decoder (monodepth2 | small), guidance (plain), pose (resnet18 | small),
    classes (19), depth_range (canonical m: [0.1, 100.0]), initial_depth (canonical m to start training near: None,
    which is Monodepth2's start | 10.0), pose_scale (rad and m for an output of one: [0.01, 0.01] | [0.01, 0.5]),
    initial_step (m driven ahead from one frame to the next that training starts near: None, no motion | 0.5),
    pretrained (False; for resnet18 a safetensors file of ImageNet or Monodepth2 encoder weights; for efficientnet_lite0
    `imagenet`, which needs the package of its weights, or a safetensors file of the encoder; for a library's encoder
    True), encoder_config (of a transformers encoder; filled in).

    The network's own `architecture` is complete and makes the same network, with fresh weights, wherever it is built
    again.

    :raises ValueError: a key or value that is unknown, naming what was expected
    """
    architecture = complete(architecture)
    low, high = architecture['depth_range']
    initial = architecture['initial_depth']
    disparity = None if initial is None else depth_to_disparity(initial, low, high)
    classes = architecture['classes']
    encoder, config = _encoder(architecture)
    depth = DEPTH_DECODERS[architecture['depth_decoder']](encoder.channels, disparity)
    semantic = SEMANTIC_DECODERS[architecture['semantic_decoder']](encoder.channels, classes)
    guidance = GUIDANCES[architecture['guidance']](depth.path.channels, semantic.path.channels, classes)
    pose = POSE_NETWORKS[architecture['pose']](tuple(architecture['pose_scale']))
    if architecture['initial_step'] is not None:
        start_ahead(pose, architecture['initial_step'])
    if architecture['encoder'] == 'resnet18' and architecture['pretrained'] and isinstance(pose, ResNetPose):
        load_resnet18(pose.encoder, architecture['pretrained'])
    architecture |= {'pretrained': False, 'encoder_config': config}
    return JointNetwork(architecture, encoder, depth, semantic, guidance, pose)


def least_side(architecture: dict[str, Any]) -> int:
    """Return the least height and width of the images [px] that this network takes; raises as build_network does."""
    whole = complete(architecture)
    decoders = DEPTH_DECODERS[whole['depth_decoder']], SEMANTIC_DECODERS[whole['semantic_decoder']]
    return max(decoder.least_side for decoder in decoders)


def _encoder(architecture: dict[str, Any]) -> tuple[nn.Module, dict | None]:
    library, _, name = architecture['encoder'].partition(':')
    if name:
        return LIBRARIES[library](name, architecture['encoder_config'], architecture['pretrained'])
    encoder = ENCODERS[library]()
    if architecture['pretrained']:
        PRETRAINED[library](encoder, architecture['pretrained'])
    return encoder, None


def complete(architecture: dict[str, Any]) -> dict[str, Any]:
    """Return the architecture with every key present; raises ValueError for what is unknown or out of range."""
    if not isinstance(architecture, dict):
        raise ValueError(f'architecture is {architecture!r}, expected a mapping with keys of {sorted(BASE)}')
    for key in architecture:
        if key not in BASE:
            raise ValueError(f'architecture key is {key!r}, expected one of {sorted(BASE)}')
    whole = _defaults(architecture.get('encoder')) | architecture
    _check_encoder(whole)
    for key, parts in PARTS.items():
        if not isinstance(whole[key], str) or whole[key] not in parts:
            raise ValueError(f'{key} is {whole[key]!r}, expected {" or ".join(sorted(parts))}')
    _check_numbers(whole)
    return whole


def _defaults(encoder: Any) -> dict[str, Any]:
    return DEFAULTS.get(encoder, BASE) if isinstance(encoder, str) else BASE


def _check_encoder(architecture: dict[str, Any]) -> None:
    encoder, pretrained = architecture['encoder'], architecture['pretrained']
    library, _, name = encoder.partition(':') if isinstance(encoder, str) else ('', '', '')
    if not (encoder in ENCODERS if not name else library in LIBRARIES):
        raise ValueError(f'encoder is {encoder!r}, expected {", ".join(ENCODERS)}, timm:NAME or transformers:NAME')
    if name and not isinstance(pretrained, bool):
        raise ValueError(f'pretrained is {pretrained!r}, expected true or false for the encoder {encoder}')
    if encoder in PRETRAINED and not (pretrained is False or isinstance(pretrained, str)):
        also = f'{IMAGENET} or ' if encoder == 'efficientnet_lite0' else ''
        raise ValueError(f'pretrained is {pretrained!r}, expected false or {also}a safetensors file '
                         f'for the encoder {encoder}')
    if encoder == 'small' and pretrained is not False:
        raise ValueError(f'pretrained is {pretrained!r}, expected false for the encoder small')
    if architecture['encoder_config'] is not None and library != 'transformers':
        raise ValueError(f'encoder_config is given for the encoder {encoder}, expected it for transformers:NAME only')


def _check_numbers(architecture: dict[str, Any]) -> None:
    classes, initial = architecture['classes'], architecture['initial_depth']
    if not (isinstance(classes, int) and 2 <= classes <= 255):
        raise ValueError(f'classes is {classes!r}, expected a whole number from 2 to 255')
    low, high = _pair('depth_range', architecture['depth_range'])
    if not low < high:
        raise ValueError(f'depth_range is {[low, high]!r}, expected two numbers with 0 < nearest < farthest')
    _pair('pose_scale', architecture['pose_scale'])
    step = architecture['initial_step']
    if step is not None and not (_is_number(step) and abs(step) < 100):
        raise ValueError(f'initial_step is {step!r}, expected metres between -100 and 100, or nothing')
    if initial is not None and not (_is_number(initial) and low < initial < high):
        raise ValueError(f'initial_depth is {initial!r}, expected a depth between {low} and {high} m, or nothing')


def _pair(key: str, value: Any) -> tuple[float, float]:
    if not (isinstance(value, (list, tuple)) and len(value) == 2 and all(_is_number(v) and 0 < v < 1e6 for v in value)):
        raise ValueError(f'{key} is {value!r}, expected two positive numbers')
    return value[0], value[1]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)

"""Which weights are trained, found by asking autograd what the classes depend on."""
from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from semdepth_ros.adaptation.errors import AdaptationError
from semdepth_ros.networks import JointNetwork

LIBRARIES = ('timm:', 'transformers:')
NARROW = 8  # outputs or inputs of a convolution up to which a low-rank branch saves nothing


@dataclass(frozen=True)
class Profile:
    """What is trained of a network.

    :param names: parameters that are
    :param low_rank: those of them that move by a product of two small matrices
    :param semantics_fixed: whether no class score can change by a bit
    """

    names: tuple[str, ...]
    low_rank: tuple[str, ...] = ()
    semantics_fixed: bool = True


@dataclass(frozen=True)
class Reached:
    """Names of the parameters that outputs depend on.

    :param semantics: class scores
    :param depth: disparities
    :param pose: motions
    """

    semantics: frozenset[str]
    depth: frozenset[str]
    pose: frozenset[str]


def reached(network: JointNetwork) -> Reached:
    """Return what class scores, disparities and motions depend on.

    That is where autograd returns a gradient, whatever its value: a gate that starts at 0 still hands on what lies
    behind it. Parameters that the network itself keeps frozen are asked too: a frozen part may well say the classes.
    """
    tried = copy.deepcopy(network).eval()
    for parameter in tried.parameters():
        parameter.requires_grad_(True)
    side = max(64, -(-tried.least_side // 32) * 32)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        image = torch.rand(1, 3, side, 2 * side)
        prediction = tried(image, pairs=torch.rand(1, 6, side, 2 * side))
    named = dict(tried.named_parameters())
    outputs = {'semantics': [prediction.logits], 'depth': list(prediction.disparities),
               'pose': [prediction.extras['axis_angle'], prediction.extras['translation']]}
    return Reached(**{name: _names(tensors, named) for name, tensors in outputs.items()})


def find_profile(network: JointNetwork, kind: str) -> Profile:
    """Return what a profile trains of a network.

    `depth`: the weights that no class score depends on. `low_rank`: of those, the depth side's convolutions move by
    products of small matrices (Hu et al. 2022), and the pose network as a whole. `batch_norm`: scales and shifts of all
    batch normalisations that depth depends on. `all`: everything that depth or classes depend on.

    :raises AdaptationError: a foreign library's encoder, or a profile that leaves nothing to train, in one line
    """
    encoder = str(network.architecture.get('encoder'))
    if encoder.startswith(LIBRARIES):
        raise AdaptationError(f'encoder is {encoder}, expected one of this package: models of foreign libraries are '
                              'served, not adapted')
    trainable = {name for name, p in network.named_parameters() if p.requires_grad}
    found = reached(network)
    if kind == 'all':
        return Profile(_in_order(network, trainable), semantics_fixed=False)
    if kind == 'batch_norm':
        norms = {f'{name}.{part}'.lstrip('.') for name, module in network.named_modules()
                 if isinstance(module, nn.modules.batchnorm._BatchNorm) for part in ('weight', 'bias')}
        names = norms & trainable & (found.depth | found.pose)
        if not names & found.depth:
            raise AdaptationError('profile is batch_norm, but depth depends on no batch normalisation that has a '
                                  'scale: expected profile depth, low_rank or all')
        return Profile(_in_order(network, names), semantics_fixed=not names & found.semantics)
    own = (found.depth - found.semantics) & trainable
    _expect_more_than_heads(network, own)
    pose = (found.pose - found.semantics) & trainable
    if kind == 'depth':
        return Profile(_in_order(network, own | pose))
    named = dict(network.named_parameters())
    low_rank = {name for name in own if named[name].dim() == 4
                and min(named[name].shape[0], named[name][0].numel()) > NARROW}
    if not low_rank:
        raise AdaptationError('profile is low_rank, but no convolution of the depth side is wide enough: expected '
                              'profile depth')
    return Profile(_in_order(network, low_rank | pose), _in_order(network, low_rank))


def _expect_more_than_heads(network: JointNetwork, own: set[str]) -> None:
    if any(not name.startswith(('depth_decoder.heads.', 'depth_decoder.fine.')) for name in own):
        return
    shared = network.architecture.get('shared_decoder')
    raise AdaptationError(
        f'shared_decoder is {shared}: of the depth side only the heads are free of the classes, too little to adapt; '
        'expected a model with the guidance low_rank (semdepth adapt branch MODEL FILE), or profile all')


def _names(outputs: list[Tensor], named: dict[str, Tensor]) -> frozenset[str]:
    total = sum(output.sum() for output in outputs)
    gradients = torch.autograd.grad(total, list(named.values()), retain_graph=True, allow_unused=True)
    return frozenset(name for name, gradient in zip(named, gradients) if gradient is not None)


def _in_order(network: nn.Module, names: set[str]) -> tuple[str, ...]:
    return tuple(name for name, _ in network.named_parameters() if name in names)

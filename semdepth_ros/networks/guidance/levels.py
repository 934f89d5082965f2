"""At which levels a guidance acts, and what the semantic decoder has there."""
from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from semdepth_ros.networks.guidance.guide import GuidedParts, Semantics
from semdepth_ros.settings import SettingsError

COARSEST = 3  # so many levels are guided where none are named


def guided_levels(parts: GuidedParts, named: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the levels of the depth decoder to act on the output of, coarsest first.

    :param named: None for the three coarsest, of which those that decoders share are left out
    :raises SettingsError: a level that is not asked about, or none
    """
    count, asked = len(parts.depth.strides), parts.depth.output
    expected = f'some of 0 to {asked - 1}, counted from the finest'
    if named is not None:
        strange = [level for level in named if not 0 <= level < asked]
        if strange or not named:
            raise SettingsError(f'guidance.levels is {list(named)}, expected {expected}')
        return tuple(sorted(set(named), reverse=True))
    levels = [level for level in reversed(range(count)) if count - COARSEST <= level < asked]
    if not levels:
        raise SettingsError(f'guidance.levels is not given and the decoders share the {COARSEST} coarsest, expected '
                            f'{expected}')
    return tuple(levels)


def semantic_level(parts: GuidedParts, level: int) -> int:
    """Return the semantic decoder's level of the same stride as this one of the depth decoder, or its finest."""
    stride = parts.depth.strides[level]
    return parts.semantic.strides.index(stride) if stride in parts.semantic.strides else 0


def semantic_features(semantics: Semantics, level: int, like: Tensor) -> Tensor:
    """Return a level of the semantic decoder at the height and width of another map, bilinear where those differ."""
    features = semantics.levels[level]
    if features.shape[-2:] == like.shape[-2:]:
        return features
    return F.interpolate(features, like.shape[-2:], mode='bilinear', align_corners=False)

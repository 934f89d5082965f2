"""Connected components of label maps, on the device of the maps and without waiting for it."""
from __future__ import annotations

import torch
from torch import Tensor

ROUNDS = 6


def connected_components(labels: Tensor, rounds: int = ROUNDS) -> Tensor:
    """Return for every pixel the flat index, over the whole batch, of the first pixel of its component.

    Components are of one label within one image, touching by sides or corners. Every pixel begins with the first of its
    run in the row; then, so many times, the first of a component becomes the least that a pixel of it sees in the rows
    above and below, and every pixel looks up what its first has become (after Shiloach and Vishkin 1982). The numbers of
    street scenes are final after four rounds; a labyrinth stays in parts, each with a number of its own.

    :param labels: integers [B, H, W]
    :return: int64 [B, H, W]
    """
    first, below = _first_of_run(labels), _touching(labels)
    for _ in range(rounds):
        least = first.clone()
        for same, upper, lower in below:
            both = torch.minimum(first[upper], first[lower])
            for side in (upper, lower):
                least[side] = torch.where(same, torch.minimum(least[side], both), least[side])
        named = torch.scatter_reduce(first.flatten(), 0, first.flatten(), least.flatten(), 'amin')
        named = named[named]
        first = named[named][first]
    return first


def numbered(component: Tensor, most: int) -> Tensor:
    """Return components numbered from 0 in the order of their first pixels, int64 [B, H, W]; those past most are `most`.

    :param component: as of connected_components
    """
    flat = component.flatten()
    number = (flat == torch.arange(flat.numel(), device=flat.device)).cumsum(0) - 1
    return number[component].clamp(max=most)


def _first_of_run(labels: Tensor) -> Tensor:
    """Return the flat index of the leftmost pixel of each pixel's run of one label in its row."""
    index = torch.arange(labels.numel(), device=labels.device).view(labels.shape)
    begins = torch.ones_like(labels, dtype=torch.bool)
    begins[..., 1:] = labels[..., 1:] != labels[..., :-1]
    return torch.where(begins, index, 0).cummax(dim=-1).values


def _touching(labels: Tensor) -> list[tuple[Tensor, tuple, tuple]]:
    """Return, for a step down, and down to either side, where labels are the same, and the pixels from and to."""
    pairs, width = [], labels.shape[-1]
    for right in (-1, 0, 1):
        upper = ..., slice(None, -1), slice(max(-right, 0), width - max(right, 0))
        lower = ..., slice(1, None), slice(max(right, 0), width - max(-right, 0))
        pairs.append((labels[upper] == labels[lower], upper, lower))
    return pairs

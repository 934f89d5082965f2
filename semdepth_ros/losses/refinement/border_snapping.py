"""Depth near the border of a component is that of its inside."""
from __future__ import annotations

import torch
from torch import Tensor

from semdepth_ros.losses.class_border import any3x3

_SIDES = (((..., slice(None, -1)), (..., slice(1, None))),
          ((..., slice(None, -1), slice(None)), (..., slice(1, None), slice(None))))


def near_border(component: Tensor, reach: int) -> Tensor:
    """Return the pixels that touch another component by a side, and those within reach - 1 of them, bool [B, H, W].

    :param component: numbers [B, H, W]
    """
    near = torch.zeros_like(component, dtype=torch.bool)
    if not reach:
        return near
    for first, second in _SIDES:
        differ = component[first] != component[second]
        near[first] |= differ
        near[second] |= differ
    for _ in range(reach - 1):
        near = any3x3(near)
    return near


def filled_from_inside(values: Tensor, known: Tensor, component: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """Return values at pixels that are not known, from the known ones of their component, and where there are any.

    In every round a pixel without a value takes the mean of those that its four neighbours of the same component have.

    :param values: float [B, H, W]
    :param known: bool [B, H, W], and reach the number of rounds
    :return: float and bool [B, H, W]: known pixels as they were, and whether there is a value now
    Nearest in steps along rows and columns, ties by their mean (form ours).
    """
    same = [component[first] == component[second] for first, second in _SIDES]
    values, weight = torch.where(known, values, 0.0), known.to(values.dtype)
    for _ in range(reach):
        total, count = torch.zeros_like(values), torch.zeros_like(values)
        for (first, second), alike in zip(_SIDES, same):
            for here, there in ((first, second), (second, first)):
                total[here] += values[there] * alike
                count[here] += weight[there] * alike
        mean = total / count.clamp(min=1)
        values = torch.where(weight > 0, values, mean)
        weight = torch.maximum(weight, (count > 0).to(weight.dtype))
    return values, weight > 0

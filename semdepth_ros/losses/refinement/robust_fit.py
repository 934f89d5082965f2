"""What most pixels of a segment agree on: medians, and planes in space."""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

TINY = 1e-12


class Planes(NamedTuple):
    """Inverse depth that is affine in the image, of every segment: rise . (x, y) + level, as planes in space have it.

    :param rise: per unit of x and y, [S, 2]
    :param level: [S]
    :param pixels: how many each was fitted to, [S]
    """

    rise: Tensor
    level: Tensor
    pixels: Tensor

    def at(self, segment: Tensor, place: Tensor) -> Tensor:
        """Return the inverse depth of segments [...] at places [..., 2]."""
        x, y, level = torch.cat([self.rise, self.level[:, None]], dim=1)[segment].unbind(dim=-1)
        return x * place[..., 0] + y * place[..., 1] + level


def segment_median(values: Tensor, segment: Tensor, segments: int) -> Tensor:
    """Return the lower median of the values in every segment, [S]; what it is for an empty one means nothing.

    :param values: at least 0, float32 [N]
    :param segment: which one each belongs to, int64 [N]
    :param segments: S
    """
    # the bits of floats that are not negative are in the order of the floats
    keys = (segment << 32) | values.contiguous().view(torch.int32).long()
    ordered = (keys.sort().values & 0xFFFFFFFF).to(torch.int32).view(torch.float32)
    count = segment_sum(torch.ones_like(segment), segment, segments)
    middle = count.cumsum(0) - count + torch.div(count - 1, 2, rounding_mode='floor').clamp(min=0)
    return ordered[middle.clamp(max=len(values) - 1)]


def segment_sum(values: Tensor, segment: Tensor, segments: int) -> Tensor:
    """Return the sum of values [N] or [N, K] in every segment, [S] or [S, K]."""
    return values.new_zeros(segments, *values.shape[1:]).index_add_(0, segment, values)


def relative_residual(inverse: Tensor, fit: Tensor) -> Tensor:
    """Return |d - f| over the larger of the two, of inverse depths [N]: in 0..1 where the fit is not negative.

    A relative residual, so that far pixels count as near ones do; over the larger, so that one which is far too small is
    no worse than one which is far too large.
    """
    return (inverse - fit).abs() / torch.maximum(inverse, fit).clamp(min=TINY)


def fit_planes(inverse: Tensor, place: Tensor, counted: Tensor, segment: Tensor, segments: int, rounds: int = 6,
               least: float = 0.01) -> Planes:
    """Return the planes with the least sum of relative residuals, by reweighted least squares.

    Each round weighs every pixel by 1 / (m^2 max(residual, least)), m the larger of its inverse depth and of the fit of
    the round before, and solves for the plane. The first weighs all alike.

    :param inverse: inverse depth, positive [N]
    :param place: of the pixels, [N, 2], about -1 to 1
    :param counted: bool [N]
    :param segment: int64 [N]
    Least absolute deviations in place of RANSAC: no draws, the same work for every segment, on the device (form ours).
    """
    weight = count = counted.to(inverse.dtype)
    pixels = segment_sum(count, segment, segments)
    centre = segment_sum(count[:, None] * place, segment, segments) / pixels.clamp(min=1)[:, None]
    place = place - centre[segment]             # sums of squares of small components would else lose their digits
    products = torch.stack([torch.ones_like(inverse), *place.unbind(1), inverse, place[:, 0] ** 2, place.prod(1),
                            place[:, 1] ** 2, place[:, 0] * inverse, place[:, 1] * inverse], dim=1)
    for _ in range(rounds):
        planes = _least_squares(segment_sum(weight[:, None] * products, segment, segments), pixels)
        fit = planes.at(segment, place)
        larger = torch.maximum(inverse, fit)
        weight = count / (larger.square() * relative_residual(inverse, fit).clamp(min=least))
    return planes._replace(level=planes.level - (planes.rise * centre).sum(dim=1))


def _least_squares(sums: Tensor, pixels: Tensor) -> Planes:
    """Return the weighted least-squares planes of the sums [S, 9] of w (1, x, y, d, x x, x y, y y, x d, y d).

    Where pixels lie on a line, the plane rises along it only.
    """
    means = sums[:, 1:] / sums[:, :1].clamp(min=TINY)
    x, y, d, xx, xy, yy, xd, yd = means.unbind(dim=1)
    xx, xy, yy, xd, yd = xx - x * x, xy - x * y, yy - y * y, xd - x * d, yd - y * d
    ridge = 1e-6 + 1e-4 * (xx + yy)
    xx, yy = xx + ridge, yy + ridge
    rise = torch.stack([xd * yy - yd * xy, yd * xx - xd * xy], dim=1) / (xx * yy - xy * xy)[:, None]
    return Planes(rise, d - rise[:, 0] * x - rise[:, 1] * y, pixels)

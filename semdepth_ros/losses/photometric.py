"""How much a warped image differs from the image it should be, and which of several candidates counts."""
from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

SSIM_C1, SSIM_C2 = 0.01 ** 2, 0.03 ** 2
SSIM_WEIGHT = 0.85
TIE_NOISE = 1e-5


def photometric_error(candidates: Tensor, target: Tensor) -> Tensor:
    """Return 0.85 (1 - SSIM) / 2 + 0.15 |difference|, averaged over the channels.

    SSIM's means, variances and covariance are taken over 3x3 windows with equal weights, reflected at the border;
    (1 - SSIM) / 2 is clamped to [0, 1].

    :param candidates: [..., B, C, H, W] in 0..1; any number of leading dimensions
    :param target: [B, C, H, W] in 0..1, at least 2x2; no gradient reaches it
    :return: [..., B, H, W]
    :raises ValueError: candidates and target do not have the same last four dimensions, or images are too small
    Godard et al. 2019, eq. 2; Wang et al. 2004, eq. 13.
    """
    if candidates.shape[-4:] != target.shape or target.dim() != 4 or min(target.shape[-2:]) < 2:
        raise ValueError(f'candidates are {list(candidates.shape)} and the target {list(target.shape)}, expected '
                         f'[..., B, C, H, W] and [B, C, H, W] of at least 2x2')
    return _Error.apply(candidates, target.detach())


class _Error(torch.autograd.Function):
    """The photometric error, its gradient by hand.

    On a CPU more than half of a training step would otherwise go into moving the forty intermediate results of this through
    memory. One image at a time they stay in the processor's cache, and none is kept for the way back. On a GPU all are done
    at once.
    """

    @staticmethod
    def forward(ctx, candidates: Tensor, target: Tensor) -> Tensor:
        ctx.save_for_backward(candidates, target)
        result = candidates.new_empty(candidates.shape[:-3] + candidates.shape[-2:])
        for windows, x, out in _parts(target, candidates, result):
            error = windows.with_candidate(x).ssim.mul_(-0.5).add_(0.5).clamp_(0, 1).mul_(SSIM_WEIGHT)
            torch.mean(error.add_((x - windows.y).abs_(), alpha=1 - SSIM_WEIGHT), dim=-3, out=out)
        return result

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        candidates, target = ctx.saved_tensors
        result = torch.empty_like(candidates, memory_format=torch.contiguous_format)
        for windows, x, out, incoming in _parts(target, candidates, result, gradient / candidates.shape[-3]):
            incoming = incoming.unsqueeze(-3)
            windows.with_candidate(x).gradient(incoming * SSIM_WEIGHT, out)
            out.add_((x - windows.y).sign_().mul_(incoming), alpha=1 - SSIM_WEIGHT)
        return result, None


class _Windows:
    """Means over 3x3 windows of a target y [..., C, H, W]; with a candidate x, SSIM's factors and itself."""

    def __init__(self, y: Tensor):
        self.y, self.mean_y = y, _mean3x3(y)
        self.square_y = self.mean_y.square()
        self.variance_y = _mean3x3(y.square()).sub_(self.square_y)

    def with_candidate(self, x: Tensor) -> _Windows:
        """Take a candidate; return itself."""
        self.x, self.mean_x = x, _mean3x3(x)
        square_x, product = self.mean_x.square(), self.mean_x * self.mean_y
        self.covariances = _mean3x3(x * self.y).sub_(product).mul_(2).add_(SSIM_C2)
        self.variances = _mean3x3(x.square()).sub_(square_x).add_(self.variance_y).add_(SSIM_C2)
        self.products, self.squares = product.mul_(2).add_(SSIM_C1), square_x.add_(self.square_y).add_(SSIM_C1)
        self.ssim = (self.products * self.covariances).div_(self.squares).div_(self.variances)
        return self

    def gradient(self, incoming: Tensor, out: Tensor) -> None:
        """Write the gradient with respect to x of the sum of incoming times (1 - SSIM) / 2, clamped to [0, 1].

        :param incoming: of every pixel, [..., 1, H, W]
        """
        incoming = (incoming * (self.ssim.abs() <= 1)).mul_(-0.5)
        scaled = (incoming / self.squares).div_(self.variances)
        falling = incoming.mul_(self.ssim)
        by_covariance = (scaled * self.products).mul_(2)
        by_variance = (falling / self.variances).neg_()
        by_mean = scaled.mul_(self.covariances).mul_(2).sub_(by_covariance).mul_(self.mean_y)
        by_mean.sub_(falling.div_(self.squares).add_(by_variance).mul_(self.mean_x), alpha=2)
        torch.add(_mean3x3(by_mean, transposed=True), _mean3x3(by_variance, transposed=True).mul_(self.x), alpha=2, out=out)
        out.add_(_mean3x3(by_covariance, transposed=True).mul_(self.y))


def _parts(target: Tensor, *parted: Tensor) -> Iterator[tuple]:
    """Yield the windows of one target after another, with each part of the candidates, and of what goes with them."""
    if target.device.type != 'cpu':
        yield _Windows(target), *parted
        return
    leading = parted[0].dim() - target.dim()
    parted = [each.reshape(-1, *each.shape[leading:]) for each in parted]
    for number, image in enumerate(target):
        windows = _Windows(image)
        for lead in range(len(parted[0])):
            yield windows, *(each[lead, number] for each in parted)


def minimum_reprojection(warped: Tensor, identity: Tensor | None = None) -> Tensor:
    """Return for every pixel the smallest error over the sources, and over the unwarped sources too.

    Where an unwarped source already matches best (a standing camera, an object that moves along) the result does not
    depend on depth or motion, so that such pixels are masked automatically. Noise of 1e-5 breaks ties in favour of
    neither.

    :param warped: photometric errors of the warped sources [..., S, B, H, W]
    :param identity: photometric errors of the same sources unwarped [S, B, H, W]; None switches the mask off
    :return: [..., B, H, W]
    Godard et al. 2019, eq. 4 and 5.
    """
    best = warped.amin(dim=-4)
    if identity is None:
        return best
    still = (identity + torch.randn_like(identity) * TIE_NOISE).amin(dim=-4)
    return torch.minimum(best, still.expand_as(best))


def _mean3x3(images: Tensor, transposed: bool = False) -> Tensor:
    """Return the mean over 3x3 windows of images [..., H, W], reflected at the border.

    :param transposed: whether the transposed operator is applied instead, which gradients take on their way back
    """
    for dim in (-2, -1):
        size, total = images.shape[dim], torch.empty_like(images)
        torch.add(images.narrow(dim, 0, size - 2), images.narrow(dim, 2, size - 2), out=total.narrow(dim, 1, size - 2))
        total.narrow(dim, 1, size - 2).add_(images.narrow(dim, 1, size - 2))
        ends = (0, 1), (size - 1, size - 2)
        for edge, inner in ends:
            torch.add(images.narrow(dim, edge, 1), images.narrow(dim, inner, 1), alpha=1 if transposed else 2,
                      out=total.narrow(dim, edge, 1))
        for edge, inner in ends if transposed else ():
            total.narrow(dim, inner, 1).add_(images.narrow(dim, edge, 1))
        images = total
    return images.mul_(1 / 9)

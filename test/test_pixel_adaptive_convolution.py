"""The operator against literal loops in double precision, finite differences and convolution; what it holds in memory."""
from __future__ import annotations

import math
import weakref

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from semdepth_ros.networks.pixel_adaptive_convolution import PixelAdaptiveConvolution


def operator(kernel: int = 3) -> PixelAdaptiveConvolution:
    """Return one from 3 to 2 channels, guided by 4."""
    torch.manual_seed(1)
    adaptive = PixelAdaptiveConvolution(3, 2, 4, kernel).double()
    with torch.no_grad():
        adaptive.bias.normal_()
        adaptive.log_sigma.fill_(0.4)
    return adaptive


def inputs(height: int = 4, width: int = 5, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    return (torch.randn(batch, 3, height, width, dtype=torch.float64, requires_grad=True),
            torch.randn(batch, 4, height, width, dtype=torch.float64, requires_grad=True))


def literal(v, f, weight, bias, sigma):
    """Return v' and, for the sum of v' times a map of ones, every gradient: loops over pixels, taps and channels."""
    (batch, channels, height, width), filters, kernel = v.shape, weight.shape[0], weight.shape[2]
    reach, out = kernel // 2, np.zeros((v.shape[0], weight.shape[0], v.shape[2], v.shape[3]))
    grads = [np.zeros_like(x) for x in (v, f, weight, bias, sigma)]
    dv, df, dw, db, ds = grads
    for n, o, y, x in np.ndindex(batch, filters, height, width):
        out[n, o, y, x] += bias[o]
        db[o] += 1
        for a, b in np.ndindex(kernel, kernel):
            s, t = y + a - reach, x + b - reach
            if not (0 <= s < height and 0 <= t < width):
                continue
            difference = f[n, :, y, x] - f[n, :, s, t]
            k = math.exp(-difference @ difference / (2 * sigma[0] ** 2))
            product = weight[o, :, a, b] @ v[n, :, s, t]
            out[n, o, y, x] += k * product
            dv[n, :, s, t] += k * weight[o, :, a, b]
            dw[o, :, a, b] += k * v[n, :, s, t]
            df[n, :, y, x] -= k * product * difference / sigma[0] ** 2
            df[n, :, s, t] += k * product * difference / sigma[0] ** 2
            ds[0] += k * product * (difference @ difference) / sigma[0] ** 3
    return out, grads


@pytest.mark.parametrize('kernel', [1, 3, 5])
def test_forward_and_backward_are_the_literal_sums(kernel):
    adaptive, (v, f) = operator(kernel), inputs()
    sigma = adaptive.log_sigma.detach().exp()
    out, (dv, df, dw, db, ds) = literal(*(x.detach().numpy() for x in (v, f, adaptive.weight, adaptive.bias)),
                                        sigma.numpy())
    with torch.no_grad():
        np.testing.assert_allclose(adaptive(v, f), out, rtol=1e-12, atol=1e-12)
    found = adaptive(v, f)
    found.sum().backward()
    np.testing.assert_allclose(found.detach(), out, rtol=1e-12, atol=1e-12)
    pairs = [(v, dv), (f, df), (adaptive.weight, dw), (adaptive.bias, db), (adaptive.log_sigma, ds * sigma.numpy())]
    for tensor, expected in pairs:
        np.testing.assert_allclose(tensor.grad, expected, rtol=1e-10, atol=1e-12)


def test_gradients_are_finite_differences():
    adaptive, (v, f) = operator(), inputs(3, 3, 1)
    names, values = zip(*adaptive.named_parameters())

    def run(features, guidance, *parameters):
        return torch.func.functional_call(adaptive, dict(zip(names, parameters)), (features, guidance))
    assert torch.autograd.gradcheck(run, (v, f, *values), eps=1e-6, atol=1e-8)


def test_even_guidance_makes_it_a_convolution():
    adaptive, (v, f) = operator(), inputs()
    expected = F.conv2d(v, adaptive.weight, adaptive.bias, padding=1)
    torch.testing.assert_close(adaptive(v, torch.ones_like(f)), expected)


def test_across_a_border_of_the_guidance_nothing_is_mixed():
    adaptive, (v, _) = operator(), inputs(4, 6)
    sides = torch.zeros(2, 4, 4, 6, dtype=torch.float64)
    sides[..., 3:] = 100
    left = adaptive(v[..., :3], sides[..., :3])
    torch.testing.assert_close(adaptive(v, sides)[..., :3], left)


@pytest.mark.parametrize('channels', [8, 32, 128])
@pytest.mark.parametrize('initial', [0.3, 0.6])
def test_the_kernel_starts_at_what_was_asked_for_between_unrelated_pixels(channels, initial):
    adaptive = PixelAdaptiveConvolution(1, 1, channels, initial_kernel=initial)
    torch.manual_seed(0)
    apart = (torch.randn(4000, channels) - torch.randn(4000, channels)).square().sum(1)
    kernel = torch.exp(-apart / (2 * adaptive.log_sigma.detach().exp() ** 2))
    assert kernel.median() == pytest.approx(initial, rel=0.15)


def test_at_the_start_it_keeps_the_size_of_what_it_takes_and_looks_beyond_its_centre():
    torch.manual_seed(0)
    adaptive, features = PixelAdaptiveConvolution(64, 64, 32), torch.randn(1, 64, 40, 40)
    even, unrelated, apart = (adaptive(features, size * torch.randn(1, 32, 40, 40)).var().item() for size in (0, 1, 1e3))
    assert even == pytest.approx(1, abs=0.1) and apart == pytest.approx(1 / 9, abs=0.02)
    assert 1.5 * apart < unrelated < 0.5 * even


@pytest.mark.parametrize('precision', [torch.bfloat16, torch.float16])
def test_half_precision_is_near(precision):
    torch.manual_seed(0)
    adaptive = PixelAdaptiveConvolution(32, 32, 32)
    v, f = torch.randn(1, 32, 12, 20), 3 * torch.randn(1, 32, 12, 20)
    with torch.no_grad():
        exact, half = adaptive(v, f), adaptive.to(precision)(v.to(precision), f.to(precision))
    assert (half.float() - exact).abs().mean() < 0.02 * exact.abs().mean()


def test_it_is_one_graph_for_the_compiler():
    adaptive, (v, f) = operator(), inputs()
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(adaptive, backend='eager', fullgraph=True)(v, f), adaptive(v, f))


class Allocations(TorchDispatchMode):
    """Counts the bytes that tensors made inside hold, at the most, as long as something refers to them."""

    def __init__(self):
        super().__init__()
        self.held, self.most, self.known = 0, 0, {}

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **(keywords or {}))
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if storage.data_ptr() not in self.known:
                    size, key = storage.nbytes(), storage.data_ptr()
                    self.known[key] = size
                    self.held += size
                    self.most = max(self.most, self.held)
                    weakref.finalize(storage, self._freed, key, size)
        return result

    def _freed(self, key, size):
        if self.known.pop(key, None) is not None:
            self.held -= size


@pytest.mark.parametrize('kernel', [3, 5])
def test_it_holds_a_few_maps_whatever_the_kernel(kernel):
    adaptive = PixelAdaptiveConvolution(32, 32, 32, kernel)
    v, f = (torch.randn(1, 32, 48, 64, requires_grad=True) for _ in range(2))
    with Allocations() as training:
        adaptive(v, f).sum().backward()
    with torch.no_grad(), Allocations() as inference:
        adaptive(v.detach(), f.detach())
    assert training.most < 14 * v.nbytes and inference.most < 8 * v.nbytes

"""Packing and unpacking against literal loops, and the network that is made of them."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from plane_world import Corridor
from torch import nn

from semdepth_ros.model_file import InputRule, ModelCard
from semdepth_ros.networks import build_network, load_network, save_network
from semdepth_ros.networks.packing import ChannelConvolution, Pack, Unpack
from semdepth_ros.networks.packnet import PackNet, SlimPackNet
from semdepth_ros.perception.engines.folded import FoldedEngine
from semdepth_ros.training.recipe_file import read_recipe
from semdepth_ros.training.trainer import build_fabric, train

PROBES = [np.random.default_rng(i).integers(0, 256, (64, 96, 3), dtype=np.uint8) for i in range(2)]


def space_to_depth(x: np.ndarray) -> np.ndarray:
    """Return [4 C, H / 2, W / 2] of [C, H, W]: of every channel the four pixels of each square, row by row."""
    channels, height, width = x.shape
    out = np.zeros((4 * channels, height // 2, width // 2))
    for c in range(channels):
        for y in range(height):
            for column in range(width):
                out[4 * c + 2 * (y % 2) + column % 2, y // 2, column // 2] = x[c, y, column]
    return out


def depth_to_space(x: np.ndarray) -> np.ndarray:
    """Undo space_to_depth."""
    channels, height, width = x.shape
    out = np.zeros((channels // 4, 2 * height, 2 * width))
    for c in range(channels):
        for y in range(height):
            for column in range(width):
                out[c // 4, 2 * y + c % 4 // 2, 2 * column + c % 2] = x[c, y, column]
    return out


def convolved_in_3d(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return [maps * C, H, W] of [C, H, W], the channels a third direction, zeros beyond every end."""
    maps, (channels, height, width) = len(weight), x.shape
    out = np.zeros((maps, channels, height, width))
    for m, c, y, column in np.ndindex(out.shape):
        total = bias[m]
        for i, j, k in np.ndindex(3, 3, 3):
            at = c + i - 1, y + j - 1, column + k - 1
            if all(0 <= place < end for place, end in zip(at, x.shape)):
                total += weight[m, i, j, k] * x[at]
        out[m, c, y, column] = total
    return out.reshape(maps * channels, height, width)


def convolved_in_2d(x: np.ndarray, conv: nn.Conv2d) -> np.ndarray:
    """Return [width, H, W] of [C, H, W], zeros beyond the border."""
    weight, bias = (part.detach().numpy() for part in (conv.weight, conv.bias))
    (width, channels, size, _), out = weight.shape, np.zeros((conv.out_channels, *x.shape[1:]))
    for o, y, column in np.ndindex(out.shape):
        total = bias[o]
        for c, j, k in np.ndindex(channels, size, size):
            at = y + j - size // 2, column + k - size // 2
            if 0 <= at[0] < x.shape[1] and 0 <= at[1] < x.shape[2]:
                total += weight[o, c, j, k] * x[c, at[0], at[1]]
        out[o, y, column] = total
    return out


def normalised(x: np.ndarray, groups: int) -> np.ndarray:
    """Return ELU of x [C, H, W] with mean 0 and variance 1 in each of its groups of channels."""
    parts = []
    for part in np.split(x, groups):
        parts.append((part - part.mean()) / np.sqrt(part.var() + 1e-5))
    whole = np.concatenate(parts)
    return np.where(whole > 0, whole, np.expm1(whole))


def drawn(module: nn.Module) -> nn.Module:
    torch.manual_seed(1)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.4)
    for norm in module.modules():
        if isinstance(norm, nn.GroupNorm):
            nn.init.ones_(norm.weight), nn.init.zeros_(norm.bias)
    return module.double().eval()


@pytest.mark.parametrize('kernel', [3, 5])
def test_packing_is_space_to_depth_a_3d_convolution_and_a_2d_one(kernel):
    pack, x = drawn(Pack(4, kernel, maps=2)), torch.randn(1, 4, 6, 8, dtype=torch.float64)
    three = pack.features
    deep = convolved_in_3d(space_to_depth(x[0].numpy()), three.weight.detach().numpy(), three.bias.detach().numpy())
    expected = normalised(convolved_in_2d(deep, pack.conv[0]), pack.conv[1].num_groups)
    np.testing.assert_allclose(pack(x)[0].detach().numpy(), expected, atol=1e-10)


def test_unpacking_is_a_2d_convolution_a_3d_one_and_depth_to_space():
    unpack, x = drawn(Unpack(3, 4, maps=2)), torch.randn(1, 3, 3, 4, dtype=torch.float64)
    flat = normalised(convolved_in_2d(x[0].numpy(), unpack.conv[0]), unpack.conv[1].num_groups)
    three = unpack.features
    expected = depth_to_space(convolved_in_3d(flat, three.weight.detach().numpy(), three.bias.detach().numpy()))
    assert unpack(x).shape == (1, 4, 6, 8)
    np.testing.assert_allclose(unpack(x)[0].detach().numpy(), expected, atol=1e-10)


def test_gradients_of_the_3d_convolution_are_those_of_finite_differences():
    convolution, x = drawn(ChannelConvolution(2)), torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, w, b: torch.func.functional_call(convolution, {'weight': w, 'bias': b}, x),
                                    (x, convolution.weight, convolution.bias))


def test_packing_throws_nothing_away():
    pack = Pack(4, maps=1)
    nn.init.zeros_(pack.features.weight), nn.init.zeros_(pack.features.bias)
    pack.features.weight.data[0, 1, 1, 1] = 1
    x = torch.rand(1, 4, 6, 8)
    assert torch.equal(torch.pixel_shuffle(pack.features(torch.pixel_unshuffle(x, 2)), 2), x)


def test_the_published_widths_and_their_number_of_parameters():
    with torch.device('meta'):
        encoder = PackNet()
    packs = sum(8 * 28 + k * k * 8 * 4 * w * w + w + 2 * w for w, k in zip(PackNet.channels, (5, 3, 3, 3, 3)))
    stem = (25 * 3 * 64 + 64 + 128) + (49 * 64 * 64 + 64 + 128)
    units, inputs = 0, 64
    for width, count in zip((64, 128, 256, 512), (2, 2, 3, 3)):
        for _ in range(count):
            units += 9 * inputs * width + width + 2 * width + 9 * width * width + width + 2 * width
            units += inputs * width + width if inputs != width else 0
            inputs = width
    assert sum(p.numel() for p in encoder.parameters()) == packs + stem + units == 120_829_728
    strides = [64 // f.shape[2] for f in encoder(torch.zeros(1, 3, 64, 96, device='meta'))]
    assert strides == [2, 4, 8, 16, 32]


def test_a_network_of_it_is_kept_in_a_file_and_run_in_half_precision_and_in_batches(tmp_path):
    torch.manual_seed(0)
    network = build_network({'encoder': 'packnet_slim', 'initial_depth': 10.0}).eval()
    assert isinstance(network.encoder, SlimPackNet) and network.architecture['depth_decoder'] == 'packnet_slim'
    for head in network.depth_decoder.heads:
        head.weight.data.mul_(30)
    card = ModelCard(network.architecture, focal_px=100.0, input=InputRule(pixels=96 * 64))
    save_network(tmp_path / 'packnet.safetensors', network, card, PROBES)
    loaded = load_network(tmp_path / 'packnet.safetensors')[0]
    image = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        exact = loaded(image).disparities[0]
    assert exact.std() > 0.005
    half, single = (FoldedEngine(loaded, torch.device('cpu'), dtype) for dtype in (torch.bfloat16, torch.float32))
    torch.testing.assert_close(single(image).disparities[0], exact, rtol=1e-4, atol=1e-6)
    assert (half(image).disparities[0] / exact - 1).abs().mean() < 0.03
    torch.testing.assert_close(single(image[1:]).disparities[0], exact[1:], rtol=1e-4, atol=1e-6)


def test_a_recipe_trains_it(tmp_path):
    recipe = read_recipe('small_world', {
        'architecture.encoder': 'packnet_slim', 'sizes': [[96, 64]], 'batch': 2, 'steps': 3, 'log_every': 1,
        'optimisation.warmup_steps': 0, 'optimisation.ema': 0.0, 'data': [{'source': 'corridor'}], 'validation': []})
    network = build_network(recipe.architecture)
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    train(recipe, network, build_fabric(recipe, 'cpu'), tmp_path, opener=lambda source, **options: [Corridor(8)])
    assert [name for name, p in network.named_parameters() if torch.equal(before[name], p)] == []


def test_it_is_guided_as_other_networks_are():
    torch.manual_seed(0)
    guidance = {'kind': 'pixel_adaptive', 'segmenter': {'kind': 'model', 'architecture': {'encoder': 'small'}}}
    network, image = build_network({'encoder': 'packnet_slim', 'guidance': guidance}).eval(), torch.rand(1, 3, 64, 96)
    for head in network.depth_decoder.heads:
        head.weight.data.mul_(30)
    with torch.no_grad():
        before = network(image).disparities[0]
        for name, parameter in network.guidance.named_parameters():
            if not name.startswith('segmenter.') and parameter.dim() == 4:
                parameter.mul_(2)
        assert not torch.allclose(network(image).disparities[0], before, rtol=1e-4)

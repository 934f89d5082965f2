"""The fast network gives what the plain one does, from convolutions that do what stands around them."""
from __future__ import annotations

import pytest
import torch
from torch import nn

from semdepth_ros.networks import build_network
from semdepth_ros.networks.efficientnet_lite0 import InvertedResidual
from semdepth_ros.networks.resnet import BasicBlock
from semdepth_ros.perception.engines.folded import FoldedEngine
from semdepth_ros.perception.engines.packed_convolution import pack_convolutions

CPU = torch.device('cpu')
ENCODERS = ('small', 'resnet18', 'efficientnet_lite0')


def lively(encoder: str) -> nn.Module:
    """Return a network whose normalisations have statistics other than zero and one."""
    torch.manual_seed(3)
    network = build_network({'encoder': encoder})
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.7, 1.4)
    return network.eval()


@pytest.mark.parametrize('precision, tolerance', [('float32', 1e-5), ('bfloat16', 0.03)])
@pytest.mark.parametrize('encoder', ENCODERS)
def test_the_engine_gives_what_the_network_gives(encoder, precision, tolerance):
    network, image = lively(encoder), torch.rand(1, 3, 64, 160)
    engine = FoldedEngine(network, CPU, getattr(torch, precision))
    with torch.inference_mode():
        plain, fast = network(image), engine(image)
    for a, b in zip(fast.disparities, plain.disparities):
        assert (a / b - 1).abs().mean() < tolerance
    assert (fast.logits - plain.logits).abs().mean() < tolerance * plain.logits.std()


@pytest.mark.parametrize('encoder', ['small', 'efficientnet_lite0'])
def test_nothing_is_left_around_packed_convolutions(encoder):
    engine = FoldedEngine(lively(encoder), CPU, torch.float32)
    engine(torch.rand(1, 3, 64, 96))
    (packed,) = engine._packed.values()
    left = [m for m in packed.encoder.modules() if isinstance(m, (nn.BatchNorm2d, nn.ReLU, nn.ReLU6, BasicBlock))
            or isinstance(m, InvertedResidual) and m.has_shortcut or isinstance(m, nn.ConstantPad2d) and m.value == 0]
    assert left == []


@pytest.mark.parametrize('kernel, border, size', [
    (3, (0, 1, 0, 1), (6, 10)), (5, (1, 2, 1, 2), (6, 10)), (5, (1, 2, 1, 2), (2, 2)), (3, (0, 1, 0, 1), (5, 7)),
    (3, (0, 2, 1, 1), (8, 8))])
@pytest.mark.parametrize('groups', [1, 16])
def test_a_one_sided_border_is_done_by_the_convolution(kernel, border, size, groups):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.ConstantPad2d(border, 0.0), nn.Conv2d(16, 16, kernel, 2, groups=groups), nn.ReLU6(True))
    x = 4 * torch.randn(1, 16, *size)
    with torch.no_grad():
        expected = plain(x)
        network = nn.Sequential(plain)
        pack_convolutions(network, x)
        torch.testing.assert_close(network(x), expected, rtol=1e-4, atol=1e-5)
    assert len(network[0]) == 1 and expected.max() > 0


@pytest.mark.parametrize('pad', [nn.ConstantPad2d((0, 1, 0, 1), 0.5), nn.ConstantPad2d((1, 0, 1, 0), 0.0)])
def test_other_borders_stay(pad):
    torch.manual_seed(0)
    network, x = nn.Sequential(nn.Sequential(pad, nn.Conv2d(3, 16, 3, 2))), torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        expected = network(x)
        pack_convolutions(network, x)
        torch.testing.assert_close(network(x), expected, rtol=1e-4, atol=1e-5)
    assert network[0][0] is pad


class Beside(nn.Module):
    """A convolution whose output is wanted both with and without its activation."""

    def __init__(self):
        super().__init__()
        self.conv, self.activation = nn.Conv2d(3, 16, 3), nn.ReLU()

    def forward(self, x):
        x = self.conv(x)
        return self.activation(x) - x


def test_an_activation_is_left_alone_where_what_it_takes_is_wanted_elsewhere():
    torch.manual_seed(0)
    network, x = nn.Sequential(Beside()), torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        expected = network(x)
        pack_convolutions(network, x)
        torch.testing.assert_close(network(x), expected, rtol=1e-4, atol=1e-5)
    assert expected.max() > 0.1


@pytest.mark.parametrize('encoder', ['small', 'efficientnet_lite0'])
def test_a_batch_gives_what_its_images_give_alone_from_the_same_packed_weights(encoder):
    engine, images = FoldedEngine(lively(encoder), CPU, torch.float32), torch.rand(2, 3, 64, 96)
    alone, together = [engine(image[None]) for image in images], engine(images)
    for i, one in enumerate(alone):
        torch.testing.assert_close(together.logits[i:i + 1], one.logits, rtol=1e-4, atol=1e-4)
        for a, b in zip(together.disparities, one.disparities):
            torch.testing.assert_close(a[i:i + 1], b, rtol=1e-4, atol=1e-5)
    assert len(engine._packed) == 1 and not torch.equal(alone[0].logits, alone[1].logits)

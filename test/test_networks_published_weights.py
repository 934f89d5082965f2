"""Weights published by torchvision and Monodepth2 land where their own code has them."""
from __future__ import annotations

import pickle

import pytest
from safetensors.torch import save_file
import torch
import torch.nn.functional as F

from semdepth_ros.networks import build_network, load_monodepth2_depth, load_monodepth2_pose, load_resnet18
from semdepth_ros.networks.decoders import DepthDecoder
from semdepth_ros.networks.guidance import Guide
from semdepth_ros.networks.pose import ResNetPose
from semdepth_ros.networks.resnet import ResNet18

WIDTHS = (16, 32, 64, 128, 256)
ENCODER = (64, 64, 128, 256, 512)


def random_like(state, seed):
    generator = torch.Generator().manual_seed(seed)
    draw = {n: torch.rand(t.shape, generator=generator) * 0.1 for n, t in state.items() if t.is_floating_point()}
    return state | draw


def monodepth2_depth_tensors() -> dict[str, torch.Tensor]:
    """Return tensors with the names and shapes of the released depth.pth."""
    shapes, inputs = {}, 512
    for row, level in enumerate((4, 3, 2, 1, 0)):
        skip = ENCODER[level - 1] if level else 0
        shapes[f'decoder.{2 * row}.conv.conv'] = (WIDTHS[level], inputs, 3, 3)
        shapes[f'decoder.{2 * row + 1}.conv.conv'] = (WIDTHS[level], WIDTHS[level] + skip, 3, 3)
        inputs = WIDTHS[level]
    shapes |= {f'decoder.{10 + scale}.conv': (1, WIDTHS[scale], 3, 3) for scale in range(4)}
    generator = torch.Generator().manual_seed(0)
    weights = {f'{name}.weight': 0.05 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    biases = {f'{name}.bias': 0.1 * torch.randn(shape[0], generator=generator) for name, shape in shapes.items()}
    return weights | biases


def monodepth2_depth(tensors, features) -> list[torch.Tensor]:
    """Return the disparities of Godard et al. 2019, written out in functions, finest first."""
    def conv(x, name):
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode='reflect'), tensors[f'{name}.weight'], tensors[f'{name}.bias'])
    x, outputs = features[4], []
    for row, level in enumerate((4, 3, 2, 1, 0)):
        x = F.elu(conv(x, f'decoder.{2 * row}.conv.conv')).repeat_interleave(2, 2).repeat_interleave(2, 3)
        if level:
            x = torch.cat((x, features[level - 1]), 1)
        x = F.elu(conv(x, f'decoder.{2 * row + 1}.conv.conv'))
        if level < 4:
            outputs.append(1 / (1 + torch.exp(-conv(x, f'decoder.{10 + level}.conv'))))
    return outputs[::-1]


def test_monodepth2_depth_weights_compute_what_its_decoder_does(tmp_path):
    tensors = monodepth2_depth_tensors()
    save_file(tensors, tmp_path / 'depth.safetensors')
    decoder = DepthDecoder(ENCODER, None)
    load_monodepth2_depth(decoder, tmp_path / 'depth.safetensors')
    features = [torch.rand(1, c, 64 >> i, 64 >> i) for i, c in enumerate(ENCODER)]
    with torch.no_grad():
        ours = decoder(features, Guide(), 4)
    for mine, theirs in zip(ours, monodepth2_depth(tensors, features)):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_torchvision_and_monodepth2_encoder_weights_load_from_a_file_or_a_state_dict(tmp_path):
    published = random_like(ResNet18().state_dict(), seed=1)
    classifier = {'fc.weight': torch.ones(10, 512), 'fc.bias': torch.ones(10)}
    size = {'height': torch.tensor(192), 'width': torch.tensor(640)}
    torchvision = {n: t for n, t in published.items() if 'num_batches' not in n} | classifier
    monodepth2 = {f'encoder.{n}': t for n, t in torchvision.items()} | size
    save_file(torchvision, tmp_path / 'resnet18.safetensors')
    for source in (tmp_path / 'resnet18.safetensors', torchvision, monodepth2):
        encoder = ResNet18()
        load_resnet18(encoder, source)
        assert all(torch.equal(t, published[n]) for n, t in encoder.state_dict().items() if t.is_floating_point())


def test_equal_images_give_a_pair_encoder_the_features_of_one(tmp_path):
    published = random_like(ResNet18().state_dict(), seed=2)
    one, pair, image = ResNet18().eval(), ResNet18(inputs=6).eval(), torch.rand(1, 3, 64, 64)
    load_resnet18(one, published)
    load_resnet18(pair, published)
    with torch.no_grad():
        torch.testing.assert_close(pair(torch.cat((image, image), 1))[0], one(image)[0])


def test_pretrained_in_a_recipe_starts_both_resnets_from_the_file(tmp_path):
    published = random_like(ResNet18().state_dict(), seed=3)
    save_file(published, tmp_path / 'resnet18.safetensors')
    network = build_network({'encoder': 'resnet18', 'pretrained': str(tmp_path / 'resnet18.safetensors')})
    assert torch.equal(network.encoder.layer4[1].conv2.weight, published['layer4.1.conv2.weight'])
    assert torch.equal(network.pose_network.encoder.layer1[0].conv1.weight, published['layer1.0.conv1.weight'])
    assert network.architecture['pretrained'] is False


def test_monodepth2_pose_weights_keep_the_first_of_its_two_motions():
    encoder = random_like(ResNet18(inputs=6).state_dict(), seed=4)
    decoder = {'net.0.weight': torch.rand(256, 512, 1, 1), 'net.1.weight': torch.rand(256, 256, 3, 3),
               'net.2.weight': torch.rand(256, 256, 3, 3), 'net.3.weight': torch.rand(12, 256, 1, 1)}
    decoder |= {f'net.{i}.bias': torch.rand(12 if i == 3 else 256) for i in range(4)}
    pose = ResNetPose((0.01, 0.01))
    load_monodepth2_pose(pose, {f'encoder.{n}': t for n, t in encoder.items()}, decoder)
    assert torch.equal(pose.encoder.conv1.weight, encoder['conv1.weight'])
    assert torch.equal(pose.convs[1].weight, decoder['net.2.weight'])
    assert torch.equal(pose.head.bias, decoder['net.3.bias'][:6])


@pytest.mark.parametrize('change, message', [
    (lambda t: t.pop('decoder.3.conv.conv.bias'), 'weights lack the tensor path.after.3.0.bias'),
    (lambda t: t.update({'decoder.13.conv.bias': torch.ones(2)}), r'heads.3.bias of shape \[2\], expected \[1\]'),
    (lambda t: t.update({'encoder.conv1.weight': torch.ones(2)}), 'have the tensor encoder.conv1.weight'),
])
def test_weights_that_do_not_fit_are_refused_by_name(change, message):
    tensors = monodepth2_depth_tensors()
    change(tensors)
    with pytest.raises(ValueError, match=message):
        load_monodepth2_depth(DepthDecoder(ENCODER, None), tensors)


def test_tensors_without_a_place_are_refused():
    with pytest.raises(ValueError, match='have the tensor layer5, which has no place here'):
        load_resnet18(ResNet18(), ResNet18().state_dict() | {'layer5': torch.ones(1)})


def test_pickled_weights_are_not_opened(tmp_path):
    (tmp_path / 'a.pth').write_bytes(pickle.dumps({'conv1.weight': 1}))
    with pytest.raises(ValueError, match='not a safetensors file, and pickled ones are not opened'):
        load_resnet18(ResNet18(), tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='b.safetensors cannot be read: No such file'):
        load_resnet18(ResNet18(), tmp_path / 'b.safetensors')

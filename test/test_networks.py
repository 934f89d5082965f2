"""The joint network: shapes, sizes, names, gradients, folding."""
from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from semdepth_ros.networks import build_network, depth_to_disparity, disparity_to_depth, fold_batch_norm
from semdepth_ros.networks.architecture import complete
from semdepth_ros.networks.decoders import DepthDecoder
from semdepth_ros.networks.pose import ResNetPose
from semdepth_ros.networks.resnet import ResNet18

TORCHVISION_SHAPES = {
    'conv1.weight': (64, 3, 7, 7), 'bn1.running_var': (64,), 'layer1.0.conv1.weight': (64, 64, 3, 3),
    'layer1.1.bn2.bias': (64,), 'layer2.0.conv1.weight': (128, 64, 3, 3),
    'layer2.0.downsample.0.weight': (128, 64, 1, 1),
    'layer2.0.downsample.1.running_mean': (128,), 'layer3.0.downsample.0.weight': (256, 128, 1, 1),
    'layer3.1.conv2.weight': (256, 256, 3, 3), 'layer4.0.conv1.weight': (512, 256, 3, 3), 'layer4.1.bn2.weight': (512,),
}
ENCODERS = ('small', 'resnet18', 'efficientnet_lite0', 'packnet_slim')


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def lively(encoder: str) -> torch.nn.Module:
    """Return a network whose normalisations have statistics other than zero and one."""
    torch.manual_seed(3)
    network = build_network({'encoder': encoder})
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.7, 1.4)
            torch.nn.init.uniform_(module.weight, 0.8, 1.2)
            torch.nn.init.normal_(module.bias, 0, 0.1)
    return network.eval()


def test_resnet18_has_the_names_and_shapes_of_torchvision_and_its_number_of_parameters():
    state = ResNet18().state_dict()
    assert {name: tuple(state[name].shape) for name in TORCHVISION_SHAPES} == TORCHVISION_SHAPES
    assert len(state) == 20 * 1 + 20 * 5  # convolutions, and normalisations of five tensors each
    assert parameters(ResNet18()) == 11_176_512


def test_resnet18_agrees_with_another_implementation_of_the_same_weights():
    transformers = pytest.importorskip('transformers', reason='transformers is optional')
    config = transformers.ResNetConfig(
        embedding_size=64, hidden_sizes=[64, 128, 256, 512], depths=[2, 2, 2, 2], layer_type='basic')
    theirs, ours = transformers.ResNetModel(config).eval(), ResNet18().eval()
    assert parameters(theirs) == parameters(ours)
    groups = [[p for _, p in theirs.named_parameters()], [p for _, p in ours.named_parameters()]]
    shapes = [sorted(tuple(p.shape) for p in group) for group in groups]
    assert shapes[0] == shapes[1]
    copy_resnet(theirs, ours)
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(ours(image)[-1], theirs(image).last_hidden_state, rtol=1e-4, atol=1e-4)


def copy_resnet(theirs: torch.nn.Module, ours: ResNet18) -> None:
    ours.conv1.load_state_dict(theirs.embedder.embedder.convolution.state_dict())
    ours.bn1.load_state_dict(theirs.embedder.embedder.normalization.state_dict())
    for number, stage in enumerate(theirs.encoder.stages, start=1):
        for block, layer in zip(getattr(ours, f'layer{number}'), stage.layers):
            for i, part in enumerate(layer.layer, start=1):
                getattr(block, f'conv{i}').load_state_dict(part.convolution.state_dict())
                getattr(block, f'bn{i}').load_state_dict(part.normalization.state_dict())
            if block.downsample is not None:
                block.downsample[0].load_state_dict(layer.shortcut.convolution.state_dict())
                block.downsample[1].load_state_dict(layer.shortcut.normalization.state_dict())


def test_depth_decoder_has_the_size_of_monodepth2():
    shapes = []
    inputs = 512
    for width, skip in ((256, 256), (128, 128), (64, 64), (32, 64), (16, 0)):
        shapes += [(width, inputs, 3, 3), (width, width + skip, 3, 3)]
        inputs = width
    shapes += [(1, width, 3, 3) for width in (16, 32, 64, 128)]
    expected = sum(o * i * 9 + o for o, i, _, _ in shapes)
    decoder = DepthDecoder(ResNet18.channels, None)
    assert sorted(tuple(p.shape) for p in decoder.parameters() if p.dim() == 4) == sorted(shapes)
    assert parameters(decoder) == expected == 3_152_724


def test_pose_network_ends_as_monodepth2s():
    pose = ResNetPose((0.01, 0.01))
    assert parameters(pose) == 11_176_512 + 64 * 3 * 49 + (512 * 256 + 256) + 2 * (256 * 256 * 9 + 256) + (256 * 6 + 6)


def test_small_stays_within_six_million_parameters_with_its_pose_network():
    assert parameters(build_network({'encoder': 'small'})) <= 6_000_000


@pytest.mark.parametrize('encoder', ENCODERS)
@pytest.mark.parametrize('size', [(64, 96), (96, 256), (192, 64)])
def test_outputs_have_the_promised_shapes(encoder, size):
    height, width = size
    network = build_network({'encoder': encoder, 'classes': 7}).eval()
    with torch.no_grad():
        prediction = network(torch.rand(2, 3, height, width), pairs=torch.rand(3, 6, height, width))
    shapes = [tuple(d.shape) for d in prediction.disparities]
    assert shapes == [(2, 1, height >> s, width >> s) for s in range(4)]
    assert prediction.logits.shape == (2, 7, height, width)
    assert prediction.extras['axis_angle'].shape == prediction.extras['translation'].shape == (3, 3)
    assert all(((0 < d) & (d < 1)).all() for d in prediction.disparities)


def test_parts_of_the_two_networks_combine():
    parts = {'depth_decoder': 'small', 'semantic_decoder': 'small', 'pose': 'small'}
    network = build_network({'encoder': 'resnet18'} | parts).eval()
    assert network(torch.rand(1, 3, 64, 64)).logits.shape == (1, 19, 64, 64)


def test_monodepth2_needs_two_pixels_at_its_coarsest_level_and_says_so():
    with pytest.raises(ValueError, match='size 64x32, expected multiples of 32 from 64'):
        build_network({'encoder': 'small', 'semantic_decoder': 'monodepth2'})(torch.rand(1, 3, 32, 64))
    with pytest.raises(ValueError, match='size 32x64, expected multiples of 32 from 64'):
        build_network({'encoder': 'resnet18'})(torch.rand(1, 3, 64, 32))
    assert build_network({'encoder': 'small'}).eval()(torch.rand(1, 3, 32, 32)).logits.shape == (1, 19, 32, 32)


def test_image_sizes_that_are_no_multiples_of_32_are_refused():
    with pytest.raises(ValueError, match='size 100x64, expected multiples of 32'):
        build_network({'encoder': 'small'})(torch.rand(1, 3, 64, 100))


@pytest.mark.parametrize('encoder', ENCODERS)
def test_gradient_reaches_every_parameter(encoder):
    torch.manual_seed(0)
    network = build_network({'encoder': encoder})
    prediction = network(torch.rand(2, 3, 64, 96), pairs=torch.rand(2, 6, 64, 96))
    outputs = [*prediction.disparities, prediction.logits, *prediction.extras.values()]
    sum((o * torch.randn_like(o)).sum() for o in outputs).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


def test_pose_is_the_pair_in_order_of_time():
    network = lively('small')
    first, second = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)
    together = network(first, pairs=torch.cat((first, second), dim=1)).extras
    rotation, translation = network.pose(first, second)
    torch.testing.assert_close(rotation, together['axis_angle'])
    torch.testing.assert_close(translation, together['translation'])
    assert not torch.allclose(translation, network.pose(second, first)[1])


def test_training_starts_near_a_motion_ahead():
    torch.manual_seed(0)
    network = build_network({'encoder': 'small', 'initial_step': 0.8}).eval()
    _, translation = network.pose(*torch.rand(2, 1, 3, 64, 64))
    torch.testing.assert_close(translation, torch.tensor([[0.0, 0.0, -0.8]]), atol=0.1, rtol=0)


def test_pose_scale_is_the_unit_of_the_outputs():
    torch.manual_seed(1)
    ten = build_network({'encoder': 'small', 'pose_scale': [0.1, 5.0]}).eval()
    one = build_network({'encoder': 'small', 'pose_scale': [0.01, 0.5]}).eval()
    one.load_state_dict(ten.state_dict())
    images = torch.rand(2, 1, 3, 64, 64)
    for large, little in zip(ten.pose(*images), one.pose(*images)):
        torch.testing.assert_close(large, 10 * little)


def test_network_normalises_its_own_input():
    network = lively('small')
    seen = []
    network.encoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    network(torch.full((1, 3, 32, 32), 0.675))
    torch.testing.assert_close(seen[0], torch.ones(1, 3, 32, 32))


@pytest.mark.parametrize('encoder', ENCODERS)
def test_folding_batch_norm_changes_no_output(encoder):
    network, image, pair = lively(encoder), torch.rand(1, 3, 64, 96), torch.rand(1, 6, 64, 96)
    folded = fold_batch_norm(network)
    assert not [m for m in folded.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        before, after = network(image, pair), folded(image, pair)
    for a, b in zip(before.disparities, after.disparities):
        torch.testing.assert_close(b, a, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(after.logits, before.logits, rtol=1e-3, atol=1e-4 * before.logits.abs().max().item())
    torch.testing.assert_close(after.extras['translation'], before.extras['translation'], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize('encoder', ENCODERS)
def test_returning_fewer_scales_changes_none_of_them(encoder):
    network, image = lively(encoder), torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        four = network(image).disparities
        fewer = []
        for network.returned_scales in (1, 2):
            fewer.append(network(image).disparities)
    assert [len(f) for f in fewer] == [1, 2]
    assert all(torch.equal(a, b) for f in fewer for a, b in zip(f, four))


@pytest.mark.parametrize('encoder', ENCODERS)
def test_disparity_stays_in_single_precision_when_the_network_is_converted(encoder):
    network, image = lively(encoder), torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        exact = network(image)
        with torch.autocast('cpu', torch.bfloat16):
            cast = network(image)
        converted = network.to(torch.bfloat16)(image.bfloat16())
    for prediction in (cast, converted):
        assert prediction.disparities[0].dtype == torch.float32
        assert prediction.logits.dtype == torch.bfloat16
        assert (prediction.disparities[0] / exact.disparities[0] - 1).abs().mean() < 0.03


def test_network_is_one_graph_for_the_compiler():
    network, image = lively('small'), torch.rand(1, 3, 64, 64)
    compiled = torch.compile(network, backend='eager', fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(image).disparities[0], network(image).disparities[0])


def test_disparity_spans_the_depth_range_in_equal_steps_of_inverse_depth():
    depth = disparity_to_depth(torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64), 0.1, 100.0)
    torch.testing.assert_close(depth, torch.tensor([100.0, 1 / ((0.01 + 10) / 2), 0.1], dtype=torch.float64))


def test_depth_to_disparity_undoes_disparity_to_depth():
    assert disparity_to_depth(depth_to_disparity(7.0, 0.1, 100.0), 0.1, 100.0) == pytest.approx(7)


@pytest.mark.parametrize('encoder, initial, expected', [
    ('small', 10.0, 10.0), ('small', 3.0, 3.0), ('resnet18', 5.0, 5.0), ('resnet18', None, 0.2)])
def test_training_starts_near_the_initial_depth(encoder, initial, expected):
    torch.manual_seed(0)
    network = build_network({'encoder': encoder, 'initial_depth': initial}).eval()
    with torch.no_grad():
        depth = disparity_to_depth(network(torch.rand(1, 3, 64, 96)).disparities[0], 0.1, 100.0)
    assert 0.7 * expected < depth.median() < 1.5 * expected


def test_finest_disparity_of_small_refines_the_next():
    network, image = lively('small'), torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        refined = network(image).disparities
        torch.nn.init.zeros_(network.depth_decoder.heads[0].weight)
        plain = network(image).disparities
    torch.testing.assert_close(plain[0], plain[1].repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert torch.equal(refined[1], plain[1])
    assert not torch.allclose(refined[0], plain[0], rtol=1e-4, atol=0)


@pytest.mark.parametrize('architecture, message', [
    ({'encoder': 'resnet34'}, "encoder is 'resnet34', expected resnet18, small, efficientnet_lite0, packnet, packnet_slim, timm:NAME or transformers:NAME"),
    ({'encoder': None}, 'encoder is None'),
    ({'encoder': 'torch:resnet'}, "encoder is 'torch:resnet'"),
    ({'guidance': 'fog'}, r"architecture: guidance is 'fog', expected one of \['plain'"),
    ({'guidance': {'kind': 'plain', 'width': 3}}, r"guidance has unknown key 'width', expected one of \[\]"),
    ({'guidance': {}}, r"guidance lacks 'kind', expected one of \['plain'"),
    ({'depth_decoder': ['small']}, r"architecture.depth_decoder is \['small'\], expected str"),
    ({'semantic_decoder': 'fcn'}, r"semantic_decoder is 'fcn', expected one of \['monodepth2', 'small'\]"),
    ({'pose': 'orb'}, r"pose is 'orb', expected one of \['resnet18', 'small'\]"),
    ({'backbone': 'small'}, "architecture has unknown key 'backbone', expected one of .*'encoder'"),
    ({'classes': 1}, 'classes is 1, expected 2 to 255'),
    ({'classes': 19.0}, 'architecture.classes is 19.0, expected int'),
    ({'depth_range': [100, 0.1]}, r'depth_range is \[100.0, 0.1\], expected nearest < farthest'),
    ({'depth_range': 80}, 'depth_range is 80, expected a list'),
    ({'depth_range': [0, 80]}, 'depth_range is 0.0, expected a positive number'),
    ({'initial_depth': 1000}, 'initial_depth is 1000'),
    ({'pose_scale': [0.01, 'far']}, r"pose_scale\[1\] is 'far', expected a number"),
    ({'initial_step': 'ahead'}, "initial_step is 'ahead', expected a number"),
    ({'initial_step': 200}, 'initial_step is 200.0, expected -100 to 100'),
    ({'shared_decoder': 11}, 'shared_decoder is 11, expected 0 to 10'),
    ({'encoder': 'small', 'shared_decoder': 9}, 'shared_decoder is 9, expected 0 to 8'),
    ({'depth_decoder': 'small', 'shared_decoder': 1}, 'shared_decoder is 1, expected 0 for decoders of different kinds'),
    ({'encoder': 'small', 'pretrained': 'x.safetensors'}, 'pretrained is .*expected false'),
    ({'encoder': 'resnet18', 'pretrained': True}, 'pretrained is True, expected false or a safetensors file'),
    ({'encoder': 'efficientnet_lite0', 'pretrained': True}, 'expected false, imagenet or a safetensors file'),
    ({'encoder': 'timm:resnet18', 'pretrained': 'x'}, "pretrained is 'x', expected true or false"),
    ({'encoder': 'small', 'encoder_config': {}}, 'encoder_config is given'),
    ('small', "architecture is 'small', expected a mapping"),
])
def test_what_is_unknown_or_out_of_range_is_refused_in_one_line(architecture, message):
    with pytest.raises(ValueError, match=message) as error:
        build_network(architecture)
    assert '\n' not in str(error.value)


def test_documented_values_are_the_defaults_of_small():
    page = (Path(__file__).parent.parent / 'docs' / 'MODELS.md').read_text(encoding='utf-8')
    documented = yaml.safe_load(page.split('```yaml')[1].split('```')[0])['architecture']
    assert set(documented) == set(complete({})) - {'encoder_config'}
    assert complete({'encoder': 'small'}) == complete(documented | {'encoder': 'resnet18'}) | {'encoder': 'small'}


def test_architecture_of_a_network_builds_the_same_network():
    network = build_network({'encoder': 'small', 'classes': 5})
    again = build_network(network.architecture)
    assert again.architecture == network.architecture
    assert {n: t.shape for n, t in again.state_dict().items()} == {n: t.shape for n, t in network.state_dict().items()}

"""Modulation is its equations, and knows the classes from where its recipe says."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from slow_maths import array, convolved, elu, softmax

from semdepth_ros.networks import build_network
from semdepth_ros.networks.guidance.label_map import label_map
from semdepth_ros.networks.guidance.modulation import ModulatedLevel

CLASSES, HIDDEN, SEMANTIC, DEPTH = 3, 2, 2, 4


def level(norm: str = 'batch') -> ModulatedLevel:
    torch.manual_seed(0)
    level = ModulatedLevel(CLASSES, SEMANTIC, DEPTH, HIDDEN, norm).double()
    for tensor in level.parameters():
        tensor.data.normal_(0, 0.5)
    return level


def inputs(batch: int = 2) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(1)
    return tuple(torch.randn(batch, channels, 4, 5, dtype=torch.float64) for channels in (DEPTH, SEMANTIC, CLASSES))


def normalised(maps: list[np.ndarray], norm: str) -> list[np.ndarray]:
    """Return maps whose channels have mean 0 and variance 1, over the batch or each for itself."""
    groups = [maps] if norm == 'batch' else [[x] for x in maps]
    result = []
    for group in groups:
        values = np.stack(group)                                                      # [B, C, H, W]
        mean, variance = values.mean((0, 2, 3), keepdims=True), values.var((0, 2, 3), keepdims=True)
        result += list((values - mean) / np.sqrt(variance + 1e-5))
    return result


@pytest.mark.parametrize('norm', ['batch', 'instance'])
def test_a_level_is_its_equations(norm):
    module, (depth, semantic, classes) = level(norm), inputs()
    result = module.train()(depth, semantic, classes)
    fused = normalised([convolved(np.concatenate((array(d), array(s))), module.fusion[0].weight)
                        for d, s in zip(depth, semantic)], norm)
    for i, x in enumerate(fused):
        known = np.maximum(convolved(array(classes[i]), module.labels[0].weight, module.labels[0].bias), 0)
        gamma = convolved(known, module.gamma.weight, module.gamma.bias)
        beta = convolved(known, module.beta.weight, module.beta.bias)
        written = elu(convolved((1 + gamma) * x + beta, module.write.weight, module.write.bias))
        np.testing.assert_allclose(array(result[i]), array(depth[i]) + written, rtol=1e-9)


def test_gradients_are_those_of_finite_differences():
    module, given = level(), tuple(x[:, :, :3, :3].requires_grad_() for x in inputs())
    assert torch.autograd.gradcheck(module, given, fast_mode=True)
    names, values = zip(*module.named_parameters())
    depth, semantic, classes = (x.detach() for x in given)
    assert torch.autograd.gradcheck(lambda *p: torch.func.functional_call(
        module, dict(zip(names, p)), (depth, semantic, classes)), values, fast_mode=True)


LOGITS = torch.randn(2, CLASSES, 8, 12, generator=torch.Generator().manual_seed(3))
LABELS = torch.randint(0, CLASSES, (2, 8, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(4))
LABELS[0, 2, 2] = 255
LABELS[1, 6, 10] = CLASSES


@pytest.mark.parametrize('stride', [1, 2, 4])
@pytest.mark.parametrize('source', ['labels', 'hard', 'soft'])
def test_the_map_of_classes_is_that_of_the_middle_of_each_cell(source, stride):
    result = array(label_map(LOGITS, LABELS, stride, source))
    assert result.shape == (2, CLASSES, 8 // stride, 12 // stride)
    for b, row, column in np.ndindex(2, 8 // stride, 12 // stride):
        y, x = row * stride + stride // 2, column * stride + stride // 2
        scores, label = array(LOGITS[b, :, y, x]), int(LABELS[b, y, x])
        best = label if source == 'labels' and label < CLASSES else scores.argmax()
        expected = softmax(scores) if source == 'soft' else np.eye(CLASSES)[best]
        np.testing.assert_allclose(result[b, :, row, column], expected, atol=1e-6)


@pytest.mark.parametrize('none', [None, torch.full((2, 8, 12), 255, dtype=torch.uint8)])
def test_where_nothing_is_labelled_the_networks_own_classes_are_taken(none):
    assert torch.equal(label_map(LOGITS, none, 4, 'labels'), label_map(LOGITS, None, 4, 'hard'))


def network(**guidance):
    torch.manual_seed(0)
    network = build_network({'encoder': 'small', 'guidance': {'kind': 'modulation'} | guidance}).eval()
    for level in network.guidance.levels.values():
        level.write.weight.data.normal_(0, 0.1)
    return network


@pytest.mark.parametrize('source, looks', [('labels', True), ('hard', False), ('soft', False)])
def test_labels_matter_where_they_are_the_source(source, looks):
    guided, image = network(source=source), torch.rand(1, 3, 32, 64)
    with torch.no_grad():
        own = guided(image)
        told = guided(image, labels=(own.logits.argmax(1) + 1) % 19)
    assert torch.equal(own.disparities[0], told.disparities[0]) != looks


@pytest.mark.parametrize('decoder, coarsest', [('small', ['3', '2', '1']), ('monodepth2', ['4', '3', '2'])])
def test_the_three_coarsest_levels_are_modulated_unless_others_are_named(decoder, coarsest):
    decoders = {'depth_decoder': decoder, 'semantic_decoder': decoder}
    levels = build_network({'encoder': 'small', 'guidance': 'modulation'} | decoders).guidance.levels
    assert list(levels) == coarsest
    named = build_network({'encoder': 'small', 'guidance': {'kind': 'modulation', 'levels': [0, 2]}} | decoders)
    assert list(named.guidance.levels) == ['2', '0']


def test_decoders_of_different_strides_meet_at_each_level():
    mixed = build_network({'encoder': 'small', 'depth_decoder': 'monodepth2', 'semantic_decoder': 'small',
                           'guidance': {'kind': 'modulation', 'levels': [0, 1, 4]}}).eval()
    assert [level.fusion[0].in_channels for level in mixed.guidance.levels.values()] == [256 + 128, 32 + 32, 16 + 32]
    assert mixed(torch.rand(1, 3, 64, 64)).disparities[0].shape == (1, 1, 64, 64)


@pytest.mark.parametrize('architecture, message', [
    ({'guidance': {'kind': 'modulation', 'levels': [4]}}, r'levels is \[4\], expected some of 0 to 3, counted from'),
    ({'guidance': {'kind': 'modulation', 'levels': []}}, r'levels is \[\], expected some of 0 to 3'),
    ({'guidance': 'modulation', 'shared_decoder': 8}, 'share the 3 coarsest, expected some of 0 to 0'),
    ({'guidance': {'kind': 'modulation', 'source': 'given'}}, "source is 'given', expected one of .'labels', 'hard', "),
    ({'guidance': {'kind': 'modulation', 'norm': 'layer'}}, "norm is 'layer', expected one of .'batch', 'instance'"),
])
def test_settings_that_cannot_be_followed_are_named(architecture, message):
    with pytest.raises(ValueError, match=message):
        build_network({'encoder': 'small'} | architecture)

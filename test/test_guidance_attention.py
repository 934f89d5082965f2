"""Multi-level attention is its equations, stores no matrix of all pairs, and its gate opens."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from slow_maths import array, convolved, elu, softmax
from torch.nn.attention import SDPBackend, sdpa_kernel

from semdepth_ros.networks import build_network
from semdepth_ros.networks.guidance.attention import AttentionLevel, ConcatenationLevel, attend

SEMANTIC, DEPTH = 3, 4


def shaken(module: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(0)
    for tensor in module.parameters():
        tensor.data.normal_(0, 0.5)
    return module.double()


def features(height: int = 4, width: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return tuple(torch.randn(2, channels, height, width, dtype=torch.float64) for channels in (DEPTH, SEMANTIC))


def pooled(x: np.ndarray, by: int) -> np.ndarray:
    """Return the means of blocks of pixels, of the pixels there are where a block reaches beyond the border."""
    height, width = (-(-side // by) for side in x.shape[1:])
    result = np.zeros((len(x), height, width))
    for row, column in np.ndindex(height, width):
        result[:, row, column] = x[:, row * by:row * by + by, column * by:column * by + by].mean((1, 2))
    return result


@pytest.mark.parametrize('pooling, values, reduction', [(1, 'depth', 2), (2, 'both', 4), (4, 'depth', 1)])
def test_a_level_with_attention_is_its_equations(pooling, values, reduction):
    module, (depth, semantic) = shaken(AttentionLevel(SEMANTIC, DEPTH, reduction, pooling, values)), features()
    result = module(depth, semantic)
    for i in range(2):
        d, s = array(depth[i]), array(semantic[i])
        known = np.concatenate((d, s)) if values == 'both' else d
        query = convolved(s, module.query.weight, module.query.bias)
        key = convolved(pooled(s, pooling), module.key.weight, module.key.bias)
        value = convolved(pooled(known, pooling), module.value.weight, module.value.bias)
        attended = np.zeros_like(d)
        for row, column in np.ndindex(d.shape[1:]):
            scores = [query[:, row, column] @ key[:, a, b] / np.sqrt(len(query)) for a, b in np.ndindex(key.shape[1:])]
            for weight, (a, b) in zip(softmax(np.array(scores)), np.ndindex(key.shape[1:])):
                attended[:, row, column] += weight * value[:, a, b]
        expected = d + module.alpha.item() * convolved(attended, module.write.weight, module.write.bias)
        np.testing.assert_allclose(array(result[i]), expected, rtol=1e-9)


def test_a_level_below_is_its_equation():
    module, (depth, semantic) = shaken(ConcatenationLevel(SEMANTIC, DEPTH)), features()
    result = module(depth, semantic)
    for i in range(2):
        d, s = array(depth[i]), array(semantic[i])
        expected = d + elu(convolved(np.concatenate((d, s)), module.write.weight, module.write.bias))
        np.testing.assert_allclose(array(result[i]), expected, rtol=1e-9)


@pytest.mark.parametrize('module', [AttentionLevel(SEMANTIC, DEPTH, 2, 2, 'both'), ConcatenationLevel(SEMANTIC, DEPTH)])
def test_gradients_are_those_of_finite_differences(module):
    given = tuple(x.requires_grad_() for x in features(3, 4))
    names, values = zip(*shaken(module).named_parameters())
    assert torch.autograd.gradcheck(lambda depth, semantic, *p: torch.func.functional_call(
        module, dict(zip(names, p)), (depth, semantic)), (*given, *values))


def test_a_closed_gate_opens_and_then_what_lies_behind_it_learns():
    torch.manual_seed(0)
    module, (depth, semantic) = AttentionLevel(SEMANTIC, DEPTH, 1, 1, 'depth'), (x.float() for x in features())
    optimiser, before = torch.optim.Adam(module.parameters(), 1e-2), module.value.weight.detach().clone()
    for closed in (True, False):
        behind = [p for name, p in module.named_parameters() if name != 'alpha']
        loss = (module(depth, semantic) - semantic.mean(1, keepdim=True)).square().mean()
        alpha, *gradients = torch.autograd.grad(loss, [module.alpha, *behind], allow_unused=True, retain_graph=True)
        assert alpha.item() and all(g is not None for g in gradients)
        assert closed == (not any(g.any() for g in gradients))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert not torch.equal(module.value.weight, before)


@pytest.mark.parametrize('precision', [torch.float32, torch.bfloat16])
def test_no_matrix_of_all_pairs_is_stored(precision):
    maps = [torch.randn(1, channels, 8, 8, dtype=precision) for channels in (2, 2, 16)]
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):  # fails where that kernel does not take them
        attend(*maps)


@pytest.mark.parametrize('decoder, attended, below', [('small', (3, 2, 1), (0,)), ('monodepth2', (4, 3, 2), (0, 1))])
def test_the_three_coarsest_levels_attend_and_those_below_concatenate(decoder, attended, below):
    levels = build_network({'encoder': 'small', 'guidance': 'attention', 'depth_decoder': decoder,
                            'semantic_decoder': decoder}).guidance.levels
    assert {int(i): type(level) for i, level in levels.items()} == (
        dict.fromkeys(attended, AttentionLevel) | dict.fromkeys(below, ConcatenationLevel))
    assert [levels[str(i)].pooling for i in attended] == [1, 1, 2]


@pytest.mark.parametrize('settings, message', [
    ({'pooling': 0}, 'pooling is 0, expected 1 to 8'), ({'reduction': 0}, 'reduction is 0, expected 1 to 64'),
    ({'values': 'semantic'}, "values is 'semantic', expected one of .'depth', 'both'"),
    ({'levels': [-1]}, r'levels is \[-1\], expected some of 0 to 3')])
def test_settings_that_cannot_be_followed_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        build_network({'encoder': 'small', 'guidance': {'kind': 'attention'} | settings})

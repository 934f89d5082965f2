"""Two decoders that share their first convolutions compute what two with equal ones do."""
from __future__ import annotations

import pytest
import torch
from toy_guidances import Listening
from torch import nn

from semdepth_ros.model_file import InputRule, ModelCard, stored
from semdepth_ros.networks import build_network, fold_batch_norm, load_network, save_network
from semdepth_ros.networks.guidance import Guide

KINDS = {'monodepth2': {'depth_decoder': 'monodepth2', 'semantic_decoder': 'monodepth2'}, 'small': {}}
CASES = [*(('monodepth2', k) for k in (1, 2, 7, 10)), *(('small', k) for k in (1, 2, 5, 8))]


def network_of(kind: str, shared: int) -> nn.Module:
    torch.manual_seed(4)
    network = build_network({'encoder': 'small', 'shared_decoder': shared} | KINDS[kind])
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.7, 1.4)
    return network.eval()


def unshared(network: nn.Module, kind: str) -> nn.Module:
    """Return a network of two whole decoders that both have the weights of this one's trunk."""
    state = network.state_dict()
    for name in [name for name in state if name.startswith('trunk.')]:
        tensor, inner = state.pop(name), name.removeprefix('trunk.')
        state |= {f'depth_decoder.path.{inner}': tensor, f'semantic_decoder.path.{inner}': tensor}
    whole = network_of(kind, 0)
    whole.load_state_dict(state)
    return whole


@pytest.mark.parametrize('kind, shared', CASES)
def test_sharing_convolutions_computes_what_equal_ones_do(kind, shared):
    network, image = network_of(kind, shared), torch.rand(1, 3, 64, 96)
    whole = unshared(network, kind)
    with torch.no_grad():
        ours, theirs = network(image), whole(image)
    assert all(map(torch.equal, (*ours.disparities, ours.logits), (*theirs.disparities, theirs.logits)))
    convolutions = [m for m in network.trunk.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == shared
    assert len([m for m in whole.modules() if isinstance(m, nn.Conv2d)]) == shared + len(
        [m for m in network.modules() if isinstance(m, nn.Conv2d)])


@pytest.mark.parametrize('kind', KINDS)
def test_without_sharing_there_is_no_trunk_and_names_are_as_they_were(kind):
    network = network_of(kind, 0)
    assert network.trunk is None and not [name for name in network.state_dict() if name.startswith('trunk.')]
    assert 'depth_decoder.path.before.4.0.weight' in network.state_dict()


class Doubling(Listening):
    def output(self, level, x, levels):
        return 2 * super().output(level, x, levels)


@pytest.mark.parametrize('kind, shared', [*CASES, ('monodepth2', 0), ('small', 0)])
def test_a_guide_is_asked_where_the_depth_decoder_goes_its_own_way_and_touches_nothing_shared(kind, shared):
    network, guide, image = network_of(kind, shared), Doubling(), torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        plain = network(image)
        network.guidance.forward = lambda *inputs: guide
        guided = network(image)
    levels = network.depth_decoder.form.levels(shared)
    asked = {kind: [level for what, level, *_ in guide.asked if what == kind] for kind in ('upsampled', 'output')}
    assert asked == {'upsampled': list(range(levels.upsampled))[::-1], 'output': list(range(levels.output))[::-1]}
    assert all(set(seen) == set(range(level + 1, len(levels.channels)))
               for what, level, _, *coarser in guide.asked if what == 'output' for seen in coarser)
    assert torch.equal(plain.logits, guided.logits)
    assert not torch.allclose(plain.disparities[0], guided.disparities[0])


@pytest.mark.parametrize('shared, upsampled, output', [(0, 5, 5), (1, 5, 5), (2, 4, 5), (3, 4, 4), (9, 1, 1), (10, 0, 1)])
def test_levels_say_where_a_guide_is_asked(shared, upsampled, output):
    levels = network_of('monodepth2', shared).depth_decoder.form.levels(shared)
    assert (levels.upsampled, levels.output, len(levels.channels)) == (upsampled, output, 5)


def test_a_shared_part_trains_is_stored_and_folds(tmp_path):
    network, image = network_of('small', 3), torch.rand(2, 3, 64, 96)
    prediction = network.train()(image)
    for output in (prediction.disparities[0], prediction.logits):
        gradients = torch.autograd.grad(output.square().sum(), list(network.trunk.parameters()), retain_graph=True)
        assert all(g.abs().sum() > 0 for g in gradients)
    card = ModelCard(network.architecture, focal_px=100.0, input=InputRule(pixels=96 * 64))
    save_network(tmp_path / 'm', network, card, list(torch.randint(0, 256, (2, 64, 96, 3), dtype=torch.uint8).numpy()))
    again, network = load_network(tmp_path / 'm')[0], network.eval()
    network.load_state_dict(stored(network.state_dict()))
    with torch.no_grad():
        expected = network(image)
        assert torch.equal(again(image).logits, expected.logits)
        folded = fold_batch_norm(again)
        torch.testing.assert_close(folded(image).logits, expected.logits, rtol=1e-3, atol=1e-3)
    assert not [m for m in folded.modules() if isinstance(m, nn.BatchNorm2d)]


def test_a_guide_that_changes_nothing_stands_for_none():
    x = torch.rand(1, 2, 3, 4)
    assert Guide().upsampled(0, x) is x and Guide().output(0, x, {}) is x and Guide().extras() == {}

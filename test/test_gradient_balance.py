"""Gradients of two decoders, weighed and balanced where they part."""
from __future__ import annotations

import copy

import pytest
import torch
from test_training_loop import TINY, lines, run

from semdepth_ros.networks import build_network
from semdepth_ros.networks.gradient_balance import Balance, GradientBalance
from semdepth_ros.networks.guidance import Guide
from semdepth_ros.settings import SettingsError
from semdepth_ros.training.recipe_file import recipe_from

IMAGE = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def network_of(shared: int):
    torch.manual_seed(0)
    return build_network({'encoder': 'small', 'shared_decoder': shared}).train()


def shared_gradients(network, depth: float = 1.0, semantic: float = 1.0) -> dict[str, torch.Tensor]:
    """Return the gradients of the parameters that both decoders share, of a weighted loss of either."""
    prediction = network(IMAGE)
    loss = depth * prediction.disparities[0].mean() + semantic * prediction.logits.square().mean()
    named = {name: p for name, p in network.named_parameters() if name.startswith(('encoder.', 'trunk.'))}
    return dict(zip(named, torch.autograd.grad(loss, list(named.values()))))


def inputs_of_the_decoders(network, loss_of) -> torch.Tensor:
    """Return the gradient of a loss with respect to everything that the decoders read, flat."""
    network.balance = None
    image = network.normalisation(IMAGE)
    features = [x.detach().requires_grad_() for x in network.encoder(image)]
    begun, read = None, features
    if network.trunk is not None:
        begun = network.trunk(features, Guide())
        levels = {level: x.detach().requires_grad_() for level, x in begun.levels.items()}
        begun = begun._replace(x=begun.x.detach().requires_grad_(), levels=levels)
        read = [*features, begun.x, *levels.values()]
    semantics = network.semantic_decoder(features, begun)
    disparities = network.depth_decoder(features, Guide(), 4, begun)
    found = torch.autograd.grad(loss_of(disparities, semantics.logits), read, allow_unused=True)
    return torch.cat([g.flatten() for g in found if g is not None])


@pytest.mark.parametrize('shared', [0, 1, 2, 3, 8])
def test_norms_are_those_of_the_gradients_of_each_loss_with_respect_to_what_its_decoder_reads(shared):
    network = network_of(shared)
    network.balance = balance = GradientBalance(Balance())
    shared_gradients(network)
    balance.begin()
    norms = {task: mean.sqrt() for task, mean in balance.state_dict()['means'].items()}
    for task, loss_of in (('depth', lambda d, s: d[0].mean()), ('semantic', lambda d, s: s.square().mean())):
        expected = inputs_of_the_decoders(network_of(shared), loss_of)
        torch.testing.assert_close(norms[task], expected.norm(), rtol=1e-4, atol=0)


@pytest.mark.parametrize('shared', [0, 3])
def test_each_task_gets_its_share_of_the_sum_of_both_norms(shared):
    network = network_of(shared)
    network.balance = balance = GradientBalance(Balance(depth=0.7))
    unbalanced = shared_gradients(network)
    expected_first = shared_gradients(network_of(shared))
    assert all(torch.equal(expected_first[name], g) for name, g in unbalanced.items())
    found = shared_gradients(network)
    depth, semantic = (balance.state_dict()['means'][task].sqrt() for task in ('depth', 'semantic'))
    factors = 0.7 * (depth + semantic) / depth, 0.3 * (depth + semantic) / semantic
    alone = [shared_gradients(network_of(shared), *which) for which in ((1, 0), (0, 1))]
    for name, gradient in found.items():
        expected = factors[0] * alone[0][name] + factors[1] * alone[1][name]
        torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-5 * float(expected.abs().max()))
    assert float(factors[0] * depth / (factors[1] * semantic)) == pytest.approx(7 / 3)


def test_fixed_shares_multiply_the_gradients():
    network, plain = network_of(3), network_of(3)
    network.balance = GradientBalance(Balance('fixed', 0.9))
    found, expected = shared_gradients(network), shared_gradients(plain, 0.9, 0.1)
    for name, gradient in found.items():
        least = 1e-5 * float(expected[name].abs().max())
        torch.testing.assert_close(gradient, expected[name], rtol=1e-3, atol=least)
    assert network.balance.logged == {}


def test_decoders_keep_their_own_gradients_and_outputs_are_as_they_were():
    plain, network = network_of(3), network_of(3)
    network.balance = GradientBalance(Balance('fixed', 0.9))
    gradients = []
    for each in (plain, network):
        prediction = each(IMAGE)
        loss = prediction.disparities[0].mean() + prediction.logits.square().mean()
        gradients.append(torch.autograd.grad(loss, list(each.depth_decoder.heads.parameters())[:2]))
    assert all(map(torch.equal, *gradients))
    assert torch.equal(plain.eval()(IMAGE).logits, network.eval()(IMAGE).logits)


def test_norms_are_running_means_of_squares_and_forget():
    balance, squares = GradientBalance(Balance(memory=2.0)), [1.0, 3.0, 9.0, 5.0]
    for square in squares:
        balance.weigh('depth', torch.tensor([square ** 0.5 / 2 ** 0.5] * 2))
        balance.weigh('semantic', torch.tensor([2.0]))
        balance.begin()
    assert balance.state_dict()['means']['depth'] == pytest.approx(((1 + 3) / 2 + 9) / 4 + 5 / 2)
    before = balance.factor('depth')
    balance.weigh('depth', torch.tensor([torch.inf]))
    balance.begin()
    assert balance.factor('depth') == before
    balance.begin()
    assert balance.factor('depth') == before


def test_nothing_is_weighed_outside_of_training_and_nothing_is_stored():
    network = network_of(3)
    names = set(network.state_dict())
    network.balance = GradientBalance(Balance())
    with torch.no_grad():
        network(IMAGE)
    network.eval()(IMAGE).logits.sum().backward()
    assert network.balance.state_dict() == {'steps': 0, 'means': {}, 'pending': {}}
    assert set(network.state_dict()) == names and set(copy.deepcopy(network).state_dict()) == names


def test_a_run_says_its_factors(tmp_path):
    run(tmp_path, TINY | {'balance': {'kind': 'norm', 'depth': 0.5}, 'log_every': 1})
    said = lines(tmp_path, 'train')
    assert 'balance_depth' not in said[0] and all(line['balance_depth'] > 0 for line in said[1:])


@pytest.mark.parametrize('balance, words', [({'kind': 'mean'}, "kind is 'mean', expected one of"),
                                            ({'depth': 1.5}, 'depth is 1.5, expected 0 to 1'),
                                            ('norm', "balance is 'norm', expected a mapping")])
def test_what_cannot_be_balanced_is_said(balance, words):
    with pytest.raises(SettingsError, match=words):
        recipe_from(TINY | {'balance': balance})

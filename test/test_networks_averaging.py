"""Means of models that were trained on from the same weights."""
import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from random_model import write_random_model

from semdepth_ros.cli.main import main
from semdepth_ros.model_file import read_model
from semdepth_ros.networks import average_networks, build_network, check_probes, load_network, save_network


def moved(network, by):
    other = copy.deepcopy(network)
    with torch.no_grad():
        for tensor in other.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(by)
    return other


def test_the_mean_of_networks_lies_between_them_by_their_shares():
    network = build_network({'encoder': 'small'}).eval()
    mean = average_networks([network, moved(network, 0.4)], [3, 1])
    for name, tensor in mean.state_dict().items():
        before = network.state_dict()[name]
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, before + 0.1)
        else:
            assert torch.equal(tensor, before)
    alone = average_networks([network], [2.0]).state_dict()
    assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in alone.items())


@pytest.mark.parametrize('shares, words', [((1.0,), '2 networks have 1 shares'), ((1, -1), r'shares are \[1, -1\]'),
                                           ((1, float('nan')), 'expected positive numbers')])
def test_what_has_no_mean_is_refused(shares, words):
    network = build_network({'encoder': 'small'})
    with pytest.raises(ValueError, match=words):
        average_networks([network, network], shares)
    with pytest.raises(ValueError, match='different architectures'):
        average_networks([network, build_network({'encoder': 'small', 'classes': 7})], (1, 1))


def test_the_command_writes_a_model_that_says_what_it_is_the_mean_of(tmp_path, capsys):
    one, other, out = (tmp_path / f'{name}.safetensors' for name in ('one', 'other', 'out'))
    network, card = load_network(write_random_model(tmp_path / 'random.safetensors'))
    images = [np.random.default_rng(n).integers(0, 256, (64, 128, 3), np.uint8) for n in range(2)]
    for path, weights in ((one, network), (other, moved(network, 0.01))):
        save_network(path, weights, replace(card, factory=''), images)
    assert not main(['average', f'{one}@3', str(other), '--out', str(out), '--name', 'mean'])
    assert f'model in {out}' in capsys.readouterr().out
    network, card = load_network(out)
    assert card.name == 'mean' and card.version == 0 and card.factory not in ('', load_network(one)[1].factory)
    parts = card.recipe['average_of']
    assert [part['share'] for part in parts] == [0.75, 0.25] and parts[0]['factory'] == load_network(one)[1].factory
    check_probes(network, read_model(out)[0])
    assert main(['average', f'{one}@much', '--out', str(out)]) == 2
    assert "is 'much', expected a positive number" in capsys.readouterr().err

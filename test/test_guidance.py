"""A method is a file and a row: guidances of every kind train, are stored, folded, and run at half width and in a batch."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from plane_world import Corridor
from toy_guidances import ROWS, Listening, add_toys
from torch import nn

from semdepth_ros.model_file import InputRule, ModelCard, save_model, stored
from semdepth_ros.networks import build_network, fold_batch_norm, load_network, make_probes, save_network
from semdepth_ros.perception.engines.folded import FoldedEngine
from semdepth_ros.training.recipe import RecipeError
from semdepth_ros.training.recipe_file import recipe_from
from semdepth_ros.training.trainer import build_fabric, train

KINDS = list(ROWS)
DECODERS = {'small': {'encoder': 'small'},
            'monodepth2': {'encoder': 'small', 'depth_decoder': 'monodepth2', 'semantic_decoder': 'monodepth2'}}
PROBES = [np.random.default_rng(i).integers(0, 256, (64, 96, 3), dtype=np.uint8) for i in range(2)]
each_kind = pytest.mark.parametrize('kind', KINDS)


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    add_toys(monkeypatch)


def lively(kind: str, decoders: str = 'small', **more) -> nn.Module:
    """Return a network in evaluation mode whose normalisations have statistics other than zero and one."""
    torch.manual_seed(2)
    network = build_network(DECODERS[decoders] | {'guidance': kind} | more)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.7, 1.4)
    for head in network.depth_decoder.heads:
        head.weight.data.mul_(20)
    return network.eval()


def outputs(prediction) -> list[torch.Tensor]:
    return [*prediction.disparities, prediction.logits]


@each_kind
@pytest.mark.parametrize('decoders', DECODERS)
def test_a_guidance_changes_depth_and_nothing_else(kind, decoders):
    network, image = lively(kind, decoders), torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        guided = network(image)
        network.guidance = lively('plain').guidance
        plain = network(image)
    assert not torch.allclose(guided.disparities[0], plain.disparities[0], rtol=1e-3)
    assert torch.equal(guided.logits, plain.logits)


@each_kind
@pytest.mark.parametrize('decoders', DECODERS)
def test_every_weight_of_a_guidance_is_reached_by_depth_but_those_that_are_frozen(kind, decoders):
    network = lively(kind, decoders).train()
    prediction = network(torch.rand(2, 3, 64, 96), labels=torch.randint(0, 19, (2, 64, 96)))
    sum((d * torch.randn_like(d)).sum() for d in prediction.disparities).backward()
    reached = {name for name, p in network.guidance.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert reached == {name for name, _ in network.guidance.named_parameters() if not name.startswith('segmenter.')}


@each_kind
def test_a_recipe_trains_with_it(kind, tmp_path):
    recipe = recipe_from({
        'architecture': {'encoder': 'small', 'guidance': {'kind': kind, 'levels': 1}}, 'focal_px': 60,
        'sizes': [[64, 32]], 'batch': 2, 'steps': 2, 'data': [{'source': 'corridor'}],
        'optimisation': {'optimiser': 'adamw', 'learning_rate': 1e-3, 'weight_decay': 0.5, 'ema': 0.9}})
    network = build_network(recipe.architecture)
    before = {name: tensor.clone() for name, tensor in network.guidance.state_dict().items()}
    result = train(recipe, network, build_fabric(recipe, 'cpu'), tmp_path, opener=lambda source, **_: [Corridor(5)])
    assert result.step == 2 and network.training
    for name, tensor in network.guidance.state_dict().items():
        assert torch.equal(tensor, before[name]) == name.startswith('segmenter.'), name


@each_kind
def test_a_model_file_holds_it(kind, tmp_path):
    network, image = lively({'kind': kind, 'strength': 0.5}), torch.rand(1, 3, 64, 96)
    card = ModelCard(network.architecture, focal_px=100.0, input=InputRule(pixels=96 * 64))
    save_network(tmp_path / 'm.safetensors', network, card, PROBES)
    again, card = load_network(tmp_path / 'm.safetensors')
    assert card.architecture['guidance'] == {'kind': kind, 'strength': 0.5, 'levels': 2}
    assert again.guidance.strength == 0.5
    network.load_state_dict(stored(network.state_dict()))
    with torch.no_grad():
        assert all(map(torch.equal, outputs(again(image)), outputs(network(image))))


@each_kind
@pytest.mark.parametrize('decoders', DECODERS)
def test_folding_changes_no_output(kind, decoders):
    network, image = lively(kind, decoders), torch.rand(1, 3, 64, 96)
    folded = fold_batch_norm(network)
    assert not [m for m in folded.modules() if isinstance(m, nn.BatchNorm2d)]
    with torch.no_grad():
        for a, b in zip(outputs(folded(image)), outputs(network(image))):
            assert (a - b).abs().mean() < 1e-5 * b.abs().mean()


@each_kind
@pytest.mark.parametrize('precision, tolerance', [(torch.float32, 1e-5), (torch.bfloat16, 0.04)])
def test_the_engine_runs_it(kind, precision, tolerance):
    network, image = lively(kind), torch.rand(1, 3, 64, 96)
    if kind in ('pointed', 'told'):  # which class wins is another matter at another precision
        network.semantic_decoder.head.weight.data.zero_()
    engine = FoldedEngine(network, torch.device('cpu'), precision)
    with torch.inference_mode():
        plain, fast = network(image), engine(image)
    assert (fast.disparities[0] / plain.disparities[0] - 1).abs().mean() < tolerance
    assert (fast.logits - plain.logits).abs().mean() <= tolerance * plain.logits.abs().mean()


@each_kind
def test_each_image_of_a_batch_is_guided_by_itself(kind):
    network, images = lively(kind), torch.rand(3, 3, 32, 64)
    labels = torch.randint(0, 19, (3, 32, 64))
    with torch.no_grad():
        together = network(images, labels=labels)
        for i in range(3):
            alone = network(images[i:i + 1], labels=labels[i:i + 1])
            torch.testing.assert_close(together.disparities[0][i:i + 1], alone.disparities[0], rtol=1e-4, atol=1e-6)


def test_a_guided_network_is_one_graph_for_the_compiler():
    network, image = lively('pointed'), torch.rand(1, 3, 32, 64)
    compiled = torch.compile(network, backend='eager', fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(image).disparities[0], network(image).disparities[0])


def test_labels_take_the_place_of_the_networks_own_prediction():
    network, image = lively('told'), torch.rand(1, 3, 32, 64)
    with torch.no_grad():
        own = network(image)
        same = network(image, labels=own.logits.argmax(1))
        other = network(image, labels=torch.full((1, 32, 64), 255))
    assert torch.equal(own.disparities[0], same.disparities[0])
    assert not torch.allclose(own.disparities[0], other.disparities[0])
    with pytest.raises(ValueError, match=r'labels have the shape \[1, 16, 64\], expected \[1, 32, 64\]'):
        network(image, labels=torch.zeros(1, 16, 64))


def test_what_a_guidance_hands_on_comes_with_the_prediction():
    network, image = lively('late'), torch.rand(2, 3, 32, 64)
    extras = network(image, pairs=torch.rand(1, 6, 32, 64)).extras
    assert extras['seen'].shape == (2, 1, 16, 32) and extras['translation'].shape == (1, 3)


@pytest.mark.parametrize('decoders, finest', [('small', 2), ('monodepth2', 1)])
def test_levels_are_counted_from_the_finest_and_asked_from_the_coarsest(decoders, finest):
    network, guide, seen = lively('plain', decoders), Listening(), {}

    def bind(image, features, semantics, labels=None):
        seen.update(image=image, features=[tuple(f.shape[1:]) for f in features],
                    semantics={i: tuple(t.shape) for i, t in semantics.levels.items()})
        return guide
    network.guidance.forward = bind
    network(torch.full((1, 3, 64, 96), 0.675))
    levels = network.depth_decoder.form.levels(0)
    shapes = {i: (1, channels, 64 // stride, 96 // stride)
              for i, (channels, stride) in enumerate(zip(levels.channels, levels.strides))}
    assert levels.strides[0] == finest and levels.strides[-1] == 16
    assert seen['semantics'] == shapes
    assert seen['features'] == [(c, 32 >> i, 48 >> i) for i, c in enumerate(network.encoder.channels)]
    torch.testing.assert_close(seen['image'], torch.ones(1, 3, 64, 96))
    expected = []
    for i in sorted(shapes, reverse=True):
        coarser = {j: shape for j, shape in shapes.items() if j > i}
        expected += [('upsampled', i, shapes[i]), ('output', i, shapes[i], coarser)]
    assert guide.asked == expected


def test_guidances_of_a_list_act_one_after_the_other():
    network, image = lively(['late', {'kind': 'early', 'levels': 1}, 'tinted']), torch.rand(1, 3, 32, 64)
    assert [each['kind'] for each in network.architecture['guidance']] == ['late', 'early', 'tinted']
    late, early, tinted = network.guidance.guidances
    with torch.no_grad():
        features = network.encoder(network.normalisation(image))
        semantics = network.semantic_decoder(features)
        guides = [each(network.normalisation(image), features, semantics) for each in (late, early, tinted)]
        chained = network.guidance(network.normalisation(image), features, semantics)
        x, levels = torch.rand_like(semantics.levels[2]), {3: torch.rand_like(semantics.levels[3])}
        assert torch.equal(chained.upsampled(3, semantics.levels[3]), guides[1].upsampled(3, semantics.levels[3]))
        expected = guides[2].output(2, guides[0].output(2, x, levels), levels)
        assert torch.equal(chained.output(2, x, levels), expected)
        assert not torch.equal(expected, guides[0].output(2, guides[2].output(2, x, levels), levels))
        assert torch.equal(network(image).extras['seen'], semantics.levels[0].mean(1, keepdim=True))


def test_old_files_that_name_the_kind_alone_load(tmp_path):
    network = lively('plain')
    old = {key: value for key, value in network.architecture.items() if key != 'shared_decoder'} | {'guidance': 'plain'}
    card = ModelCard(old, focal_px=100.0, input=InputRule(pixels=96 * 64))
    save_model(tmp_path / 'old', network.state_dict() | make_probes(network, PROBES), card)
    assert load_network(tmp_path / 'old')[0].architecture == network.architecture


@pytest.mark.parametrize('guidance, message', [
    ({'kind': 'tinted', 'strenght': 2}, r"guidance has unknown key 'strenght', expected one of .'levels', 'strength'."),
    ({'kind': 'tinted', 'levels': 'two'}, "guidance.levels is 'two', expected int"),
    ([], r'guidance is \[\], expected some of'),
    ([{'kind': 'late'}, 'tintd'], "guidance is 'tintd', expected one of"),
    ({'strength': 2}, "guidance lacks 'kind'"), ('tintd', "guidance is 'tintd', expected one of .'plain', .*'tinted'"),
])
def test_a_recipes_mistakes_in_it_are_named(guidance, message):
    with pytest.raises(RecipeError, match=message):
        recipe_from({'architecture': {'encoder': 'small', 'guidance': guidance}, 'focal_px': 60})


def test_a_frozen_part_stays_as_it_is_whatever_trains_around_it():
    network = lively('segmented')
    frozen, before = network.guidance.segmenter, {n: t.clone() for n, t in network.guidance.segmenter.state_dict().items()}
    network.train().requires_grad_(True)
    frozen.requires_grad_(True)
    assert not any(part.training for part in frozen.modules()) and network.guidance.training
    assert not any(p.requires_grad for p in frozen.parameters())
    network(torch.rand(2, 3, 32, 64))
    assert all(torch.equal(tensor, before[name]) for name, tensor in frozen.state_dict().items())


def test_gradients_pass_through_a_frozen_part():
    frozen, x = lively('segmented').guidance.segmenter, torch.rand(1, 3, 8, 8, requires_grad=True)
    frozen(x).sum().backward()
    assert x.grad.abs().sum() > 0


def test_a_module_that_may_not_be_folded_is_left_as_it_is():
    network, image = lively('late'), torch.rand(1, 3, 32, 64)
    network.guidance.layers.foldable = False
    folded = fold_batch_norm(network)
    assert len([m for m in folded.modules() if isinstance(m, nn.BatchNorm2d)]) == 2
    torch.testing.assert_close(folded(image).disparities[0], network(image).disparities[0], rtol=1e-3, atol=1e-5)

"""The guidances that recipes may name start as a plain network, train, are stored, folded, and run at half width."""
from __future__ import annotations

import json
from pathlib import Path
import runpy

import numpy as np
import pytest
import torch
from plane_world import Corridor
from torch import nn

from semdepth_ros.model_file import InputRule, ModelCard, stored
from semdepth_ros.networks import build_network, fold_batch_norm, load_network, save_network
from semdepth_ros.networks.architecture import complete
from semdepth_ros.perception.engines.folded import FoldedEngine
from semdepth_ros.training.recipe_file import read_recipe, recipe_from
from semdepth_ros.training.trainer import build_fabric, train

CASES = {
    'modulation': {'kind': 'modulation'},
    'modulation by probabilities': {'kind': 'modulation', 'source': 'soft', 'norm': 'instance', 'levels': [0, 3]},
    'attention': {'kind': 'attention'},
    'attention to both': {'kind': 'attention', 'values': 'both', 'pooling': 3, 'levels': [1], 'concatenation': False},
    'attention without a gate': {'kind': 'attention', 'gate': 'none'},
    'edge points': {'kind': 'edge_points'},
    'edge points added': {'kind': 'edge_points', 'write': 'residual', 'attention': True, 'predicted': 'uncertainty'},
    'attention, then edge points': [{'kind': 'attention'}, {'kind': 'edge_points', 'points': 1000}],
}
IMAGES = Path(__file__).resolve().parents[1] / 'docs' / 'images'
MONODEPTH2 = {'depth_decoder': 'monodepth2', 'semantic_decoder': 'monodepth2'}
PROBES = [np.random.default_rng(i).integers(0, 256, (32, 64, 3), dtype=np.uint8) for i in range(2)]
each_case = pytest.mark.parametrize('case', CASES)


def fresh(guidance, **more) -> nn.Module:
    torch.manual_seed(2)
    network = build_network({'encoder': 'small', 'guidance': guidance} | more).eval()
    for head in network.depth_decoder.heads:
        head.weight.data.mul_(10)
    return network


def lively(case: str, **more) -> nn.Module:
    """Return a network whose guidance acts, with statistics other than zero and one."""
    network = fresh(CASES[case], **more)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.7, 1.4)
    for tensor in network.guidance.parameters():
        tensor.data += torch.randn_like(tensor) * (0.02 if tensor.dim() > 1 else 0.3)
    return network


def outputs(prediction) -> list[torch.Tensor]:
    return [*prediction.disparities, prediction.logits]


@each_case
@pytest.mark.parametrize('decoders', [{}, MONODEPTH2])
def test_it_starts_as_the_plain_network_and_then_changes_depth_alone(case, decoders):
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        plain = fresh('plain', **decoders)
        start, later = fresh(CASES[case], **decoders), lively(case, **decoders)
        start.load_state_dict(plain.state_dict(), strict=False)
        before, same = outputs(plain(image)), outputs(start(image))
        guided = later(image)
        later.guidance = plain.guidance
        alone = later(image)
    for a, b in zip(same, before):
        torch.testing.assert_close(a, b)
    assert not torch.allclose(guided.disparities[0], alone.disparities[0], rtol=1e-3)
    assert torch.equal(guided.logits, alone.logits)


@each_case
@pytest.mark.parametrize('decoders', [{}, MONODEPTH2])
def test_depth_reaches_every_weight_of_it_and_the_semantic_decoder(case, decoders):
    network = lively(case, **decoders).train()
    prediction = network(torch.rand(2, 3, 64, 64), labels=torch.randint(0, 19, (2, 64, 64)))
    sum((d * torch.randn_like(d)).sum() for d in prediction.disparities).backward()
    unreached = [name for name, p in network.guidance.named_parameters() if p.grad is None or not p.grad.any()]
    assert not unreached
    assert any(p.grad is not None and p.grad.any() for p in network.semantic_decoder.parameters())


@pytest.mark.parametrize('case, labels', [*((case, 'true') for case in CASES), ('modulation', 'none'),
                                          ('edge points', 'none')])
def test_a_recipe_trains_it_with_labels_and_without(case, labels, tmp_path):
    recipe = recipe_from({
        'architecture': {'encoder': 'small', 'guidance': CASES[case]}, 'focal_px': 60, 'sizes': [[64, 32]], 'batch': 2,
        'steps': 3, 'data': [{'source': 'corridor', 'labels': labels == 'true'}],
        'losses': {'semantic': 0.3 * (labels == 'true')},
        'optimisation': {'optimiser': 'adamw', 'learning_rate': 1e-3, 'weight_decay': 0}})
    network = build_network(recipe.architecture)
    before = {name: tensor.clone() for name, tensor in network.guidance.named_parameters()}
    train(recipe, network, build_fabric(recipe, 'cpu'), tmp_path, opener=lambda source, **_: [Corridor(5)])
    assert not [name for name, tensor in network.guidance.named_parameters() if torch.equal(tensor, before[name])]


@each_case
def test_a_model_file_holds_it(case, tmp_path):
    network, image = lively(case), torch.rand(1, 3, 32, 64)
    card = ModelCard(network.architecture, focal_px=100.0, input=InputRule(pixels=64 * 32))
    save_network(tmp_path / 'm.safetensors', network, card, PROBES)
    again, card = load_network(tmp_path / 'm.safetensors')
    assert card.architecture == network.architecture == complete(json.loads(json.dumps(network.architecture)))
    network.load_state_dict(stored(network.state_dict()))
    with torch.no_grad():
        assert all(map(torch.equal, outputs(again(image)), outputs(network(image))))


@each_case
@pytest.mark.parametrize('decoders', [{}, MONODEPTH2])
def test_folding_changes_no_output(case, decoders):
    network, image = lively(case, **decoders), torch.rand(1, 3, 64, 64)
    folded = fold_batch_norm(network)
    assert not [m for m in folded.modules() if isinstance(m, nn.BatchNorm2d)]
    with torch.no_grad():
        for a, b in zip(outputs(folded(image)), outputs(network(image))):
            assert (a - b).abs().mean() < 1e-5 * b.abs().mean()


@each_case
@pytest.mark.parametrize('precision, tolerance', [(torch.float32, 1e-5), (torch.bfloat16, 0.04),
                                                  (torch.float16, 0.01)])
def test_the_engine_runs_it(case, precision, tolerance):
    network, image = lively(case), torch.rand(1, 3, 32, 64)
    network.semantic_decoder.head.weight.data.zero_()  # which class wins is another matter at another precision
    engine = FoldedEngine(network, torch.device('cpu'), precision)
    with torch.inference_mode():
        plain, fast = network(image), engine(image)
    assert (fast.disparities[0] / plain.disparities[0] - 1).abs().mean() < tolerance


@each_case
def test_each_image_of_a_batch_is_guided_by_itself_and_twice_the_same(case):
    network, images = lively(case), torch.rand(3, 3, 32, 64)
    labels = torch.randint(0, 19, (3, 32, 64))
    labels[1] = 255
    with torch.no_grad():
        together, again = network(images, labels=labels), network(images, labels=labels)
        assert torch.equal(together.disparities[0], again.disparities[0])
        for i in range(3):
            alone = network(images[i:i + 1], labels=labels[i:i + 1])
            torch.testing.assert_close(together.disparities[0][i:i + 1], alone.disparities[0], rtol=1e-4, atol=1e-6)


def test_all_of_them_are_one_graph_for_exporters():
    network = fresh([{'kind': 'modulation'}, {'kind': 'attention'}, {'kind': 'edge_points', 'attention': True}])
    network.pose_network, image = nn.Identity(), torch.rand(1, 3, 32, 64)
    exported = torch.export.export(network, (image,), strict=False).module()
    with torch.no_grad():
        torch.testing.assert_close(exported(image).disparities[0], network(image).disparities[0])


@pytest.mark.parametrize('name', ['ssfm_srl', 'seem_attention'])
def test_shipped_recipes_train_without_true_depth_and_say_every_setting(name, tmp_path):
    recipe = read_recipe(name, {'architecture.pretrained': False, 'sizes': [[64, 32]], 'batch': 2, 'steps': 1})
    assert recipe.losses.depth.weight == 0 and recipe.losses.semantic.weight > 0
    assert recipe.architecture['guidance'] == complete(recipe.architecture)['guidance']
    network = build_network(recipe.architecture)
    result = train(recipe, network, build_fabric(recipe, 'cpu'), tmp_path, opener=lambda source, **_: [Corridor(5)])
    assert result.step == 1


@pytest.mark.parametrize('name', ['ssfm', 'seem'])
def test_the_drawing_of_a_method_is_that_of_its_network(name):
    drawing = runpy.run_path(str(IMAGES / 'methods.py'), run_name='drawing')['drawing'](name)
    assert (IMAGES / f'{name}.svg').read_text(encoding='utf-8') == drawing, 'python docs/images/methods.py'

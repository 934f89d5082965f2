"""Guidance by a frozen segmenter: it acts, trains, is stored, folded and run, and its segmenter stays what it was."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from plane_world import Corridor
from torch import nn

from semdepth_ros.classes import CITYSCAPES
from semdepth_ros.cli.main import main
from semdepth_ros.model_file import InputRule, ModelCard, ModelFileError, save_model, stored
from semdepth_ros.networks import build_network, fold_batch_norm, load_network, make_probes, save_network
from semdepth_ros.perception.engines.folded import FoldedEngine
from semdepth_ros.settings import SettingsError
from semdepth_ros.training.optimisation import build_optimiser
from semdepth_ros.training.recipe_file import recipe_from
from semdepth_ros.training.trainer import build_fabric, train

DECODERS = {'small': {'encoder': 'small'},
            'monodepth2': {'encoder': 'small', 'depth_decoder': 'monodepth2', 'semantic_decoder': 'monodepth2'}}
FRESH = {'kind': 'model', 'architecture': {'encoder': 'small'}}
PROBES = [np.random.default_rng(i).integers(0, 256, (64, 96, 3), dtype=np.uint8) for i in range(2)]
each_kind = pytest.mark.parametrize('kind', ['pixel_adaptive', 'concatenation'])


def lively(guidance, decoders: str = 'small', **more) -> nn.Module:
    """Return a network in evaluation mode whose normalisations have statistics other than zero and one."""
    torch.manual_seed(2)
    network = build_network(DECODERS[decoders] | {'guidance': guidance} | more)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.7, 1.4)
    for head in network.depth_decoder.heads:
        head.weight.data.mul_(20)
    return network.eval()


def by(kind: str, **more) -> dict:
    return {'kind': kind, 'segmenter': FRESH, **more}


def outputs(prediction) -> list[torch.Tensor]:
    return [*prediction.disparities, prediction.logits]


@pytest.fixture
def segmenter(tmp_path):
    """Return the path of a model file whose classes are those of Cityscapes."""
    network = lively('plain')
    save_network(tmp_path / 'segmenter.safetensors', network,
                 ModelCard(network.architecture, focal_px=100.0, input=InputRule(pixels=96 * 64)), PROBES)
    return tmp_path / 'segmenter.safetensors'


@each_kind
@pytest.mark.parametrize('decoders', DECODERS)
def test_it_changes_depth_and_nothing_else(kind, decoders):
    network, image = lively(by(kind), decoders), torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        guided = network(image)
        network.guidance = lively('plain').guidance
        plain = network(image)
    assert not torch.allclose(guided.disparities[0], plain.disparities[0], rtol=1e-3)
    assert torch.equal(guided.logits, plain.logits)


@each_kind
@pytest.mark.parametrize('decoders', DECODERS)
def test_begun_as_identity_it_changes_nothing_and_learns_all_the_same(kind, decoders):
    network, image = lively(by(kind, initial_weights='identity'), decoders), torch.rand(1, 3, 64, 96)
    guidance = network.guidance
    with torch.no_grad():
        guided = network(image)
        network.guidance = lively('plain').guidance
        plain = network(image)
    for one, other in zip(outputs(guided), outputs(plain)):
        torch.testing.assert_close(one, other)
    network.guidance = guidance
    network(image).disparities[0].square().mean().backward()
    for name, weight in guidance.operators.named_parameters():
        assert 'sigma' in name or weight.grad.abs().max() > 0, name     # alone in the middle sigma has nothing to weigh


@each_kind
@pytest.mark.parametrize('decoders', DECODERS)
def test_depth_reaches_every_weight_of_it_but_the_segmenters(kind, decoders):
    network = lively(by(kind), decoders).train()
    prediction = network(torch.rand(2, 3, 64, 96))
    sum((d * torch.randn_like(d)).sum() for d in prediction.disparities).backward()
    names = {name for name, _ in network.guidance.named_parameters()}
    reached = {name for name, p in network.guidance.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert reached == {name for name in names if not name.startswith('segmenter.')} != names


@each_kind
def test_the_segmenter_of_a_file_is_the_same_to_the_byte_after_training(kind, segmenter, tmp_path):
    recipe = recipe_from({
        'architecture': {'encoder': 'small', 'guidance': {'kind': kind, 'segmenter': str(segmenter)}}, 'focal_px': 60,
        'sizes': [[64, 32]], 'batch': 2, 'steps': 2, 'data': [{'source': 'corridor'}],
        'optimisation': {'optimiser': 'adamw', 'learning_rate': 1e-3, 'weight_decay': 0.5, 'ema': 0.9}})
    network = build_network(recipe.architecture)
    theirs = load_network(segmenter)[0]
    trained = {id(p) for group in build_optimiser(network, recipe.optimisation).param_groups for p in group['params']}
    assert not trained & {id(p) for p in network.guidance.segmenter.parameters()}
    before = {name: tensor.clone() for name, tensor in network.guidance.state_dict().items()}
    result = train(recipe, network, build_fabric(recipe, 'cpu'), tmp_path / 'run',
                   opener=lambda source, **_: [Corridor(5)])
    assert network.training
    for guidance in (network.guidance, result.network.guidance):
        for name, tensor in guidance.state_dict().items():
            assert torch.equal(tensor, before[name]) == name.startswith('segmenter.'), name
    kept = network.guidance.segmenter.module
    for mine, original in ((kept.encoder, theirs.encoder), (kept.path, theirs.semantic_decoder.path)):
        assert all(map(torch.equal, mine.state_dict().values(), original.state_dict().values()))


def test_the_features_are_those_of_the_files_semantic_decoder(segmenter):
    network = build_network({'encoder': 'small', 'guidance': {'kind': 'concatenation', 'segmenter': str(segmenter)}})
    image = torch.rand(1, 3, 64, 96)
    theirs, seen = load_network(segmenter)[0], {}
    theirs.guidance.forward = lambda image, features, semantics, labels=None: seen.update(semantics.levels)
    with pytest.raises(AttributeError), torch.no_grad():
        theirs(image)
    with torch.no_grad():
        pyramid = network.guidance.segmenter(network.normalisation(image))
    assert list(pyramid) == [2, 4, 8, 16]
    assert all(map(torch.equal, pyramid.values(), (seen[level] for level in range(4))))


@each_kind
def test_a_model_file_holds_the_segmenter_and_needs_its_file_no_more(kind, segmenter, tmp_path):
    network, image = lively({'kind': kind, 'segmenter': str(segmenter), 'channels': 8}), torch.rand(1, 3, 64, 96)
    card = ModelCard(network.architecture, focal_px=100.0, input=InputRule(pixels=96 * 64))
    save_network(tmp_path / 'm.safetensors', network, card, PROBES)
    segmenter.unlink()
    again, card = load_network(tmp_path / 'm.safetensors')
    assert card.architecture['guidance']['segmenter']['architecture']['encoder'] == 'small'
    assert again.architecture == card.architecture
    network.load_state_dict(stored(network.state_dict()))
    with torch.no_grad():
        assert all(map(torch.equal, outputs(again(image)), outputs(network(image))))


@each_kind
@pytest.mark.parametrize('decoders', DECODERS)
def test_folding_changes_no_output(kind, decoders):
    network, image = lively(by(kind), decoders), torch.rand(1, 3, 64, 96)
    folded = fold_batch_norm(network)
    assert not [m for m in folded.modules() if isinstance(m, nn.BatchNorm2d)]
    with torch.no_grad():
        for a, b in zip(outputs(folded(image)), outputs(network(image))):
            assert (a - b).abs().mean() < 1e-5 * b.abs().mean()


@each_kind
@pytest.mark.parametrize('precision, tolerance', [(torch.float32, 1e-5), (torch.bfloat16, 0.04)])
def test_the_engine_runs_it(kind, precision, tolerance):
    network, image = lively(by(kind)), torch.rand(1, 3, 64, 96)
    engine = FoldedEngine(network, torch.device('cpu'), precision)
    with torch.inference_mode():
        plain, fast = network(image), engine(image)
    assert (fast.disparities[0] / plain.disparities[0] - 1).abs().mean() < tolerance
    assert (fast.logits - plain.logits).abs().mean() <= tolerance * plain.logits.abs().mean()


@each_kind
def test_each_image_of_a_batch_is_guided_by_itself(kind):
    network, images = lively(by(kind)), torch.rand(3, 3, 32, 64)
    with torch.no_grad():
        together = network(images).disparities[0]
        for i in range(3):
            torch.testing.assert_close(together[i:i + 1], network(images[i:i + 1]).disparities[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('shared, strides, levels', [
    (0, [2, 4, 8, 16], ['0', '1', '2', '3']), (0, [16, 4], ['1', '3']), (3, [2, 4, 8, 16], ['0', '1', '2'])])
def test_the_levels_of_these_strides_are_guided_where_the_depth_decoder_has_them_for_itself(shared, strides, levels):
    network = build_network({'encoder': 'small', 'guidance': by('pixel_adaptive', strides=strides),
                             'shared_decoder': shared})
    assert sorted(network.guidance.operators) == levels
    assert network(torch.rand(1, 3, 32, 64)).disparities[0].shape == (1, 1, 32, 64)


def test_a_segmenter_without_a_stride_gives_its_nearest():
    network = build_network(DECODERS['monodepth2'] | {'guidance': by('concatenation', strides=[1, 2])})
    assert network.guidance.sources == {0: 2, 1: 2}
    assert network(torch.rand(1, 3, 64, 64)).disparities[0].shape == (1, 1, 64, 64)


def test_images_that_are_too_small_for_the_segmenter_are_refused():
    large = {'kind': 'model', 'architecture': DECODERS['monodepth2']}
    network = build_network({'encoder': 'small', 'guidance': {'kind': 'pixel_adaptive', 'segmenter': large}})
    with pytest.raises(ValueError, match='image has the size 64x32, expected multiples of 32 from 64'):
        network(torch.rand(1, 3, 32, 64))


@pytest.mark.parametrize('guidance, message', [
    ({'kind': 'pixel_adaptive'}, "guidance lacks 'segmenter'"),
    (by('pixel_adaptive', segmenter=3), 'guidance: segmenter is 3, expected a model file'),
    (by('concatenation', segmenter={'kind': 'x'}), "guidance: segmenter has the kind 'x', expected one of"),
    (by('pixel_adaptive', kernel=4), 'guidance: kernel is 4, expected 3, 5 or 7'),
    (by('pixel_adaptive', initial_kernel=1.0), 'guidance: initial_kernel is 1.0, expected 0 < initial_kernel < 1'),
    (by('concatenation', initial_weights='zero'), "guidance: initial_weights is 'zero', expected one of"),
    (by('concatenation', channels=0), 'guidance: channels is 0, expected 1 to 1024'),
    (by('concatenation', strides=[3]), r'guidance: strides is \[3\], expected some of \[1, 2, 4, 8, 16\]'),
])
def test_settings_that_cannot_be_are_named(guidance, message):
    with pytest.raises(SettingsError, match=message):
        build_network({'encoder': 'small', 'guidance': guidance})


def test_a_level_that_the_depth_decoder_has_not_is_named():
    with pytest.raises(ValueError, match=r"strides is \[1\], expected some of \[2, 4, 8, 16\], those of the depth"):
        build_network({'encoder': 'small', 'guidance': by('pixel_adaptive', strides=[1])})


def broken(segmenter, tmp_path, how: str) -> str:
    """Return the path of a segmenter that is wrong in one way."""
    path = tmp_path / 'broken.safetensors'
    if how == 'missing':
        return str(path)
    network, card = load_network(segmenter)
    if how == 'damaged':
        data = bytearray(segmenter.read_bytes())
        data[-1000] ^= 4
        path.write_bytes(data)
    elif how == 'other classes':
        save_model(path, network.state_dict() | make_probes(network, PROBES),
                   replace(card, classes=CITYSCAPES[::-1], factory=''))
    else:
        network = build_network({'encoder': 'small', 'classes': 3})
        save_model(path, network.state_dict(), ModelCard(network.architecture, focal_px=100.0, classes=CITYSCAPES[:3]))
    return str(path)


@pytest.mark.parametrize('how, message', [
    ('missing', 'segmenter: no model'), ('damaged', 'is damaged'), ('fewer classes', 'scores 3 classes, expected 19'),
    ('other classes', "has the class 'bicycle' at 0, expected 'road'")])
def test_a_segmenter_that_cannot_be_used_is_said_in_one_line_before_anything_is_read(
        segmenter, tmp_path, how, message, capsys):
    path = broken(segmenter, tmp_path, how)
    done = main(['train', 'small_world', '--out', str(tmp_path / 'run'), '--set',
                 f'architecture.guidance={{kind: pixel_adaptive, segmenter: "{path}"}}', '--data', 'world:day'])
    said = capsys.readouterr().err.strip()
    assert done and message in said and path in said and '\n' not in said
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('segmenter_says, message', [
    ('elsewhere.safetensors', "architecture names the segmenter 'elsewhere.safetensors', expected its description"),
    ({'kind': 'model', 'architecture': {'encoder': 'transformers:x'}}, 'encoder without its encoder_config'),
    ({'kind': 'model'}, 'network cannot be built: segmenter cannot be built: .*architecture')])
def test_a_model_file_whose_card_does_not_describe_its_segmenter_is_refused(tmp_path, segmenter_says, message):
    network = lively(by('pixel_adaptive'))
    architecture = network.architecture | {'guidance': by('pixel_adaptive', segmenter=segmenter_says)}
    save_model(tmp_path / 'm.safetensors', network.state_dict(), ModelCard(architecture, focal_px=100.0))
    with pytest.raises(ModelFileError, match=message) as error:
        load_network(tmp_path / 'm.safetensors')
    assert '\n' not in str(error.value)


@each_kind
def test_a_network_that_gets_such_guidance_keeps_its_depth_unless_random_weights_are_asked_for(kind, segmenter, capsys):
    from semdepth_ros.cli.train_arguments import begun_from
    plain, _ = load_network(segmenter)
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        before = outputs(plain(image))
        for asked, words in (({}, 'depth begins as it was without'),
                             ({'initial_weights': 'random'}, 'its convolutions begin at random')):
            recipe = recipe_from({'focal_px': 100, 'sizes': [[96, 64]], 'architecture': {'encoder': 'small', 'guidance': {
                'kind': kind, 'segmenter': str(segmenter), **asked}}})
            begun, _ = begun_from(str(segmenter), recipe)
            assert words in capsys.readouterr().out
            after = outputs(begun.eval()(image))
            assert torch.allclose(before[0], after[0], atol=1e-4) is not bool(asked)


def test_guidance_of_the_same_kind_stays_and_says_what_of_the_recipe_it_does_not_take(segmenter, tmp_path, capsys):
    from semdepth_ros.cli.train_arguments import begun_from
    network = lively({'kind': 'concatenation', 'segmenter': str(segmenter), 'channels': 8})
    save_network(tmp_path / 'guided.safetensors', network,
                 ModelCard(network.architecture, focal_px=100.0, input=InputRule(pixels=96 * 64)), PROBES)
    recipe = recipe_from({'focal_px': 100, 'sizes': [[96, 64]], 'architecture': {'encoder': 'small', 'guidance': {
        'kind': 'concatenation', 'segmenter': 'other.safetensors', 'channels': 16}}})
    begun_from(str(tmp_path / 'guided.safetensors'), recipe)
    assert ('keeps its guidance, concatenation, as it is: of the recipe channels, segmenter are not used'
            in capsys.readouterr().out)
    begun_from(str(tmp_path / 'guided.safetensors'), recipe_from(
        {'focal_px': 100, 'sizes': [[96, 64]], 'architecture': {'encoder': 'small'}}))
    assert not capsys.readouterr().out

"""Backbones of timm and transformers as encoders."""
from __future__ import annotations

import json
import shutil
import sys
from types import ModuleType

import pytest
import torch
from torch import nn

from semdepth_ros.model_file import ModelCard, save_model
from semdepth_ros.networks import build_network, fold_batch_norm, load_network
from semdepth_ros.perception.engines.folded import FoldedEngine

ARCHITECTURES = {
    'segformer': {'hidden_sizes': [8, 16, 24, 32], 'depths': [1, 1, 1, 1]},
    'resnet': {'embedding_size': 8, 'hidden_sizes': [8, 16, 24, 32], 'depths': [1, 1, 1, 1], 'layer_type': 'basic'},
    'convnext': {'hidden_sizes': [8, 16, 24, 32], 'depths': [1, 1, 1, 1]},
}
SEGFORMER = {'hidden_sizes': [8, 16, 24, 32], 'depths': [1, 1, 1, 1], 'decoder_hidden_size': 16, 'num_labels': 7}


class Halving(nn.Module):
    """A backbone of one convolution a stride, with a layer that no feature uses."""

    def __init__(self, strides):
        super().__init__()
        self.strides = strides
        self.convs = nn.ModuleList(nn.Conv2d(3, 4 + i, s, s) for i, s in enumerate(strides))
        self.classifier = nn.Linear(4, 10)

    def forward(self, x):
        return [conv(x) for conv in self.convs]


@pytest.fixture
def timm(monkeypatch):
    """Put a module of timm's interface in timm's place, which notes how it is called."""
    module, module.calls = ModuleType('timm'), []
    strides = {'whole': (2, 4, 8, 16, 32), 'patches': (4, 8, 16, 32), 'shallow': (2, 4, 8)}

    def create_model(name, features_only, pretrained):
        module.calls.append((name, features_only, pretrained))
        if name not in strides:
            raise RuntimeError(f'Unknown model ({name})\nmore')
        return Halving(strides[name])
    module.create_model = create_model
    monkeypatch.setitem(sys.modules, 'timm', module)
    return module


@pytest.mark.parametrize('name, channels', [('whole', (4, 5, 6, 7, 8)), ('patches', (32, 4, 5, 6, 7))])
def test_timm_features_are_taken_by_stride_and_a_missing_finest_is_added(timm, name, channels):
    network = build_network({'encoder': f'timm:{name}', 'pretrained': True, 'pose': 'small'})
    assert network.encoder.channels == channels
    assert [f.shape[2] for f in network.encoder(torch.rand(1, 3, 64, 96))] == [32, 16, 8, 4, 2]
    assert network(torch.rand(1, 3, 64, 96)).logits.shape == (1, 19, 64, 96)
    assert timm.calls == [(name, True, True)]


def test_parameters_that_no_feature_uses_are_frozen(timm):
    network = build_network({'encoder': 'timm:whole', 'pose': 'small'})
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    assert frozen == {'encoder.backbone.classifier.weight', 'encoder.backbone.classifier.bias'}


def test_pretrained_weights_are_not_fetched_again_for_a_model_file(timm, tmp_path):
    network = build_network({'encoder': 'timm:patches', 'pretrained': True, 'pose': 'small'})
    save_model(tmp_path / 'm.safetensors', network.state_dict(), ModelCard(network.architecture, focal_px=100.0))
    again, _ = load_network(tmp_path / 'm.safetensors')
    assert [pretrained for _, _, pretrained in timm.calls] == [True, False]
    image = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(again(image).logits, network.eval()(image).logits, rtol=0.02, atol=0.02)


@pytest.mark.parametrize('name, message', [
    ('shallow', r'encoder has features at strides \[2, 4, 8\], expected strides 4, 8, 16 and 32'),
    ('nothing', r"timm cannot make 'nothing': Unknown model \(nothing\)$"),
])
def test_timm_models_that_cannot_serve_are_refused_in_one_line(timm, name, message):
    with pytest.raises(ValueError, match=message):
        build_network({'encoder': f'timm:{name}'})


@pytest.mark.parametrize('library', ['timm', 'transformers'])
def test_a_library_that_is_not_installed_is_named_with_how_to_install_it(monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ValueError, match=f'encoder {library}:x needs the package {library}: pip install {library}'):
        build_network({'encoder': f'{library}:x'})


@pytest.mark.parametrize('kind', ARCHITECTURES)
def test_transformers_encoder_needs_neither_hub_nor_folder_once_in_a_model_file(tmp_path, kind):
    transformers = pytest.importorskip('transformers', reason='transformers is optional')
    folder = tmp_path / kind
    transformers.AutoConfig.for_model(kind, **ARCHITECTURES[kind]).save_pretrained(folder)
    parts = {'depth_decoder': 'small', 'semantic_decoder': 'small', 'pose': 'small'}
    network = build_network({'encoder': f'transformers:{folder}'} | parts)
    assert network.encoder.channels == (32, 8, 16, 24, 32)
    save_model(tmp_path / 'm.safetensors', network.state_dict(), ModelCard(network.architecture, focal_px=100.0))
    (folder / 'config.json').unlink()
    again, _ = load_network(tmp_path / 'm.safetensors')
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(again(image).logits, network.eval()(image).logits, rtol=0.02, atol=0.02)


def test_pretrained_transformers_encoder_starts_from_the_published_weights(tmp_path):
    transformers = pytest.importorskip('transformers', reason='transformers is optional')
    config = transformers.AutoConfig.for_model('segformer', **ARCHITECTURES['segformer'])
    published = transformers.AutoModel.from_config(config)
    published.save_pretrained(tmp_path)
    network = build_network({'encoder': f'transformers:{tmp_path}', 'pretrained': True, 'pose': 'small'})
    theirs = published.state_dict()
    assert all(torch.equal(t, theirs[n]) for n, t in network.encoder.backbone.state_dict().items())
    assert network.architecture['pretrained'] is False


def test_transformers_encoder_that_is_nowhere_is_refused_in_one_line(tmp_path):
    pytest.importorskip('transformers', reason='transformers is optional')
    with pytest.raises(ValueError, match='transformers cannot make') as error:
        build_network({'encoder': f'transformers:{tmp_path}/nowhere'})
    assert '\n' not in str(error.value)


def test_a_backbone_which_promises_no_order_of_its_layers_is_not_folded(timm):
    network = build_network({'encoder': 'timm:patches', 'pose': 'small'})
    network.encoder.backbone.block = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    folded = fold_batch_norm(network)
    left = [name for name, module in folded.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert left == ['encoder.backbone.block.1']



def write_segformer(folder, **preprocessing) -> None:
    """Write a SegFormer with random weights and statistics, as it would lie in a folder from the hub."""
    transformers = pytest.importorskip('transformers', reason='transformers is optional')
    torch.manual_seed(4)
    network = transformers.AutoModelForSemanticSegmentation.from_config(
        transformers.AutoConfig.for_model('segformer', **SEGFORMER))
    network.decode_head.batch_norm.running_mean.normal_()
    network.save_pretrained(folder)
    (folder / 'preprocessor_config.json').write_text(json.dumps(preprocessing))


def guided_by(folder) -> nn.Module:
    guidance = {'kind': 'pixel_adaptive', 'segmenter': f'transformers:{folder}'}
    return build_network({'encoder': 'small', 'guidance': guidance})


def test_a_published_segmenter_gives_its_hidden_states_and_scores_of_images_as_it_wants_them(tmp_path):
    write_segformer(tmp_path, image_mean=[0.5, 0.4, 0.3], image_std=[0.2, 0.25, 0.3])
    network, image = guided_by(tmp_path), torch.rand(2, 3, 64, 96)
    segmenter = network.guidance.segmenter.module
    with torch.no_grad():
        found = network.guidance.segmenter(network.normalisation(image))
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in ([0.5, 0.4, 0.3], [0.2, 0.25, 0.3]))
        normalised = (image - mean) / std
        theirs = segmenter.network(pixel_values=normalised, output_hidden_states=True)
    assert segmenter.channels == {4: 15, 8: 23, 16: 31, 32: 39}
    assert network.guidance.sources == {0: 4, 1: 4, 2: 8, 3: 16}
    for features, hidden in zip(found.values(), theirs.hidden_states, strict=True):
        torch.testing.assert_close(features[:, :-7], hidden, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found[4][:, -7:], theirs.logits, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found[32][:, -7:], theirs.logits.unflatten(3, (3, 8)).unflatten(2, (2, 8)).mean((3, 5)),
                               rtol=1e-3, atol=1e-4)


def test_a_model_file_holds_a_published_segmenter_which_training_left_alone(tmp_path):
    write_segformer(tmp_path / 'hub', image_mean=[0.5, 0.4, 0.3], image_std=[0.2, 0.25, 0.3])
    network, image = guided_by(tmp_path / 'hub'), torch.rand(2, 3, 64, 96)
    before = {name: tensor.clone() for name, tensor in network.guidance.segmenter.state_dict().items()}
    optimiser = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=1e-4, weight_decay=0.5)
    network.train()(image).disparities[0].mean().backward()
    optimiser.step()
    assert all(torch.equal(t, before[name]) for name, t in network.guidance.segmenter.state_dict().items())
    save_model(tmp_path / 'm.safetensors', network.state_dict(), ModelCard(network.architecture, focal_px=100.0))
    shutil.rmtree(tmp_path / 'hub')
    again, _ = load_network(tmp_path / 'm.safetensors')
    with torch.no_grad():
        mine, theirs = (each(image).disparities[0] for each in (network.eval(), again))
        torch.testing.assert_close(theirs, mine, rtol=0.02, atol=0.02)
        engine = FoldedEngine(again, torch.device('cpu'), torch.bfloat16)
        apart = engine(image[:1]).disparities[0] / again(image[:1]).disparities[0] - 1
    assert apart.abs().mean() < 0.04


@pytest.mark.parametrize('how, message', [
    ('nowhere', 'cannot be read: '), ('truncated', 'cannot be read: '),
    ('encoder', r'has no weights for decode_head\.\S+ and 15 others, expected a network that was trained to segment$')])
def test_a_published_segmenter_that_cannot_guide_is_refused_in_one_line(tmp_path, how, message):
    transformers = pytest.importorskip('transformers', reason='transformers is optional')
    if how == 'truncated':
        write_segformer(tmp_path)
        file = tmp_path / 'model.safetensors'
        file.write_bytes(file.read_bytes()[:20000])
    elif how == 'encoder':
        config = transformers.AutoConfig.for_model('segformer', **ARCHITECTURES['segformer'])
        transformers.AutoModel.from_config(config).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=f'segmenter transformers:{tmp_path} {message}') as error:
        guided_by(tmp_path)
    assert '\n' not in str(error.value)


def test_a_published_segmenter_that_does_not_say_how_it_normalises_is_given_imagenets(tmp_path, caplog):
    write_segformer(tmp_path)
    segmenter = guided_by(tmp_path).guidance.segmenter.module
    assert segmenter.description['mean'] == [0.485, 0.456, 0.406]
    assert f'transformers:{tmp_path} does not say how it normalises images' in caplog.text


def test_a_segmenter_without_its_library_is_named_with_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, 'transformers', None)
    with pytest.raises(ValueError, match='segmenter transformers:x needs the package transformers: pip install transf'):
        guided_by('x')

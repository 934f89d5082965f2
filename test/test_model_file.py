"""The model file: what is written comes back, and nothing else comes in."""
from __future__ import annotations

import json
import os
from dataclasses import asdict, replace

import numpy as np
import pytest
from safetensors.torch import save_file
import torch

from semdepth_ros import model_file
from semdepth_ros.classes import CITYSCAPES
from semdepth_ros.model_file import (InputRule, ModelCard, ModelFileError, find_model, read_model, save_model, stored,
                                     tensor_hash)
from semdepth_ros.networks import build_network, check_probes, fold_batch_norm, load_network, make_probes, save_network

CARD = ModelCard(architecture={'encoder': 'small'}, focal_px=355.5, name='town', metrics={'day': {'abs_rel': 0.2}},
                 cameras=[{'name': 'front', 'fx': 355.5}], recipe={'steps': 10}, metric=True, created='2025-01-02')
TENSORS = {'conv.weight': torch.tensor([[1.0, -2.0]]), 'bn.running_var': torch.tensor([0.1]),
           'bn.num_batches_tracked': torch.tensor(7)}


@pytest.fixture
def model(tmp_path):
    """Return the path of a small valid file."""
    save_model(tmp_path / 'm.safetensors', TENSORS, CARD)
    return tmp_path / 'm.safetensors'


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    return build_network({'encoder': 'small'}).eval()


def images() -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), dtype=np.uint8))


def rewrite(path, change) -> None:
    """Pass the file's header, a dictionary, and its data through change, and write what it returns."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], 'little')
    header, body = change(json.loads(data[8:8 + length]), data[8 + length:])
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, 'little') + text + body)


def with_card(path, change) -> None:
    def changed(header, body):
        card = json.loads(header['__metadata__']['card'])
        change(card)
        header['__metadata__']['card'] = json.dumps(card)
        return header, body
    rewrite(path, changed)


def refusal(path, read=read_model) -> str:
    """Return the one line with which the file is refused, without the path it starts with."""
    with pytest.raises(ModelFileError) as error:
        read(path)
    text = str(error.value)
    assert '\n' not in text and text.startswith(f'{path}: ')
    return text.removeprefix(f'{path}: ')


def test_card_and_tensors_come_back_as_written(model):
    tensors, card = read_model(model)
    assert card == replace(CARD, factory=tensor_hash(TENSORS))
    assert card.classes == CITYSCAPES
    assert card.input == InputRule(pixels=122880, multiple=32, max_anisotropy=1.05, mean=0.45, std=0.225)
    assert set(tensors) == set(TENSORS)
    assert all(torch.equal(tensors[name].double(), TENSORS[name].to(tensors[name].dtype).double()) for name in TENSORS)


def test_weights_are_stored_in_half_precision_and_statistics_in_single(model):
    tensors, _ = read_model(model)
    assert {name: t.dtype for name, t in tensors.items()} == {
        'conv.weight': torch.float16, 'bn.running_var': torch.float32, 'bn.num_batches_tracked': torch.int64}


def test_file_is_read_by_safetensors_itself(model):
    from safetensors import safe_open
    with safe_open(model, 'np') as file:
        assert json.loads(file.metadata()['card'])['name'] == 'town'
        assert file.get_tensor('conv.weight').tolist() == [[1, -2]]


def test_factory_hash_of_later_versions_is_kept(model):
    save_model(model, {'conv.weight': torch.ones(1)}, replace(CARD, factory='abc', version=3, parent=2))
    _, card = read_model(model)
    assert (card.factory, card.version, card.parent) == ('abc', 3, 2)


def test_missing_files_and_folders_are_refused(tmp_path):
    assert refusal(tmp_path / 'none.safetensors') == 'cannot be read: No such file or directory'
    assert refusal(tmp_path) == 'cannot be read: Is a directory'


@pytest.mark.parametrize('data', [b'', b'\x80\x04\x95', b'PK\x03\x04' + bytes(100), b'just some text, long enough'])
def test_foreign_files_are_refused(tmp_path, data):
    (tmp_path / 'x').write_bytes(data)
    assert refusal(tmp_path / 'x') == 'is not a safetensors file'


def test_safetensors_files_of_others_are_refused(tmp_path):
    save_file({'a': torch.ones(1)}, tmp_path / 'x')
    assert refusal(tmp_path / 'x') == 'is a safetensors file without a model card, expected one written by semdepth'


def test_a_file_cut_off_anywhere_is_refused(model):
    data = model.read_bytes()
    for length in range(len(data)):
        model.write_bytes(data[:length])
        reason = refusal(model)
        assert 'truncated' in reason or (length < 9 and reason == 'is not a safetensors file')


def test_truncation_says_how_much_is_missing(model):
    model.write_bytes(model.read_bytes()[:-3])
    assert refusal(model) == 'is truncated: its tensors need 16 bytes, 13 are there'


def test_a_changed_bit_in_any_byte_of_the_data_is_noticed(model):
    data = model.read_bytes()
    for place in range(len(data) - 16, len(data)):
        model.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1:])
        reason = refusal(model)
        assert 'is damaged: tensors and card do not have the hash' in reason or 'not finite' in reason


def test_a_changed_card_is_noticed(model):
    with_card(model, lambda card: card.update(focal_px=500.0))
    assert refusal(model) == 'is damaged: tensors and card do not have the hash written with them'


def test_a_header_of_rubbish_is_damaged(model):
    data = bytearray(model.read_bytes())
    data[20] = 0xff
    model.write_bytes(data)
    assert refusal(model).startswith('is damaged: its header cannot be read')


@pytest.mark.parametrize('header', [
    [], {'a': {}}, {'a': {'data_offsets': 'x'}}, {'__metadata__': 3}, {'a': {'data_offsets': 'xy'}},
    {'a': {'data_offsets': [0, None]}}, {'a': {'data_offsets': [0, '8']}}, {'__metadata__': {'card': 3}},
    {'__metadata__': {'card': None}}, {'__metadata__': {'card': {}}}])
def test_a_header_of_another_form_is_damaged(model, header):
    rewrite(model, lambda old, body: (header, body))
    assert 'is damaged' in refusal(model) or 'is not a safetensors file' in refusal(model)


def test_a_header_that_is_nested_beyond_reading_is_damaged(model):
    text = b'{"a":' + b'[' * 200_000
    model.write_bytes(len(text).to_bytes(8, 'little') + text)
    assert refusal(model).startswith('is damaged: its header cannot be read')


def test_element_types_that_torch_lacks_are_damage(model):
    def change(header, body):
        header['conv.weight']['dtype'] = 'Q8'
        return header, body
    rewrite(model, change)
    assert refusal(model).startswith('is damaged: ')


@pytest.mark.parametrize('value', [float('nan'), float('inf'), 1e9])
def test_values_that_are_not_finite_in_half_precision_are_neither_written_nor_read(tmp_path, model, value):
    with pytest.raises(ModelFileError, match='tensor w has values that are not finite in torch.float16'):
        save_model(tmp_path / 'bad', {'w': torch.tensor([1.0, value])}, CARD)
    assert not (tmp_path / 'bad').exists()
    metadata = {'card': read_model(model)[1].to_json()}
    save_file({'w': torch.tensor([1.0, value]).half()}, tmp_path / 'bad', metadata)
    assert refusal(tmp_path / 'bad') == 'tensor w has values that are not finite in torch.float16'


@pytest.mark.parametrize('change, message', [
    (lambda c: c.update(card_version=2), 'model card has version 2, expected 1'),
    (lambda c: c.pop('card_version'), 'model card has version None, expected 1'),
    (lambda c: c.pop('sigma'), "model card lacks ['sigma'] and has unknown []"),
    (lambda c: c.update(colour='red'), "model card lacks [] and has unknown ['colour']"),
    (lambda c: c.update(classes=[{'nam': 'road'}]), 'model card cannot be understood'),
    (lambda c: c.update(input=None), 'model card cannot be understood'),
    (lambda c: c.update(depth_range_m=[1]), 'model card cannot be understood'),
    (lambda c: c.update(depth_range_m=[5, 1]), 'model card has depth_range_m (5.0, 1.0), expected'),
    (lambda c: c.update(focal_px=0), 'model card has focal_px 0, expected a positive number'),
    (lambda c: c.update(architecture='small'), "model card has architecture 'small', expected a dict"),
    (lambda c: c.update(metric=None), 'model card has metric None, expected a bool'),
    (lambda c: c.update(sigma={'floor': 1}), "model card has sigma {'floor': 1}, expected numbers"),
    (lambda c: c.update(version='x'), "model card has version 'x', expected a whole number from 0"),
    (lambda c: c.update(version=True), 'model card has version True, expected a whole number from 0'),
    (lambda c: c.update(version=2 ** 32), 'model card has version 4294967296, expected a whole number'),
    (lambda c: c.update(parent='x'), "model card has parent 'x', expected nothing or a whole number from 0"),
    (lambda c: c.update(parent=-1), 'model card has parent -1, expected nothing or a whole number from 0'),
    (lambda c: c.update(focal_px=True), 'model card has focal_px True, expected a positive number'),
    (lambda c: c.update(focal_px=10 ** 400), 'model card has focal_px 1000'),
    (lambda c: c.update(depth_range_m=[1, 10 ** 400]), 'model card cannot be understood'),
    (lambda c: c.update(depth_range_m=[1, 1e7]), 'model card has depth_range_m (1.0, 10000000.0), expected'),
    (lambda c: c.update(sigma={'floor': -1, 'gain': 1}), "model card has sigma {'floor': -1, 'gain': 1}, exp"),
    (lambda c: c.update(sigma={'floor': 1, 'gain': float('inf')}), "model card has sigma {'floor': 1, 'gain': inf}"),
    (lambda c: c.update(name='\ud800'), "model card has name '\\ud800', expected Unicode text"),
    (lambda c: c.update(recipe={'name': '\ud800'}), "model card has recipe {'name': '\\ud800'}, expected Unicode text"),
    (lambda c: c['input'].update(pixels='a'), "model card has input.pixels 'a', expected a whole number from 1024"),
    (lambda c: c['input'].update(pixels=10 ** 9), 'model card has input.pixels 1000000000, expected a whole number'),
    (lambda c: c['input'].update(pixels=1000), 'model card has input.pixels 1000, expected a whole number from 1024'),
    (lambda c: c['input'].update(multiple=0), 'model card has input.multiple 0, expected a multiple of 32'),
    (lambda c: c['input'].update(max_anisotropy=0.5), 'model card has input.max_anisotropy 0.5, expected a number'),
    (lambda c: c['input'].update(mean=None), 'model card has input.mean None, expected a number'),
    (lambda c: c['input'].update(std=0), 'model card has input.std 0, expected a positive number'),
    (lambda c: c['classes'][0].update(train_id=-1), "model card has train_id of 'road' -1, expected a whole number"),
    (lambda c: c['classes'][0].update(train_id=255), "model card has train_id of 'road' 255, expected a whole number"),
    (lambda c: c['classes'][0].update(train_id='1'), "model card has train_id of 'road' '1', expected a whole number"),
    (lambda c: c['classes'][0].update(train_id=1), 'model card has train ids [1, 1, 2'),
    (lambda c: c['classes'][0].update(name=7), 'model card has class name 7, expected Unicode text'),
    (lambda c: c['classes'][0].update(colour=[1, 2, 256]), "model card has colour of 'road' (1, 2, 256), expected"),
    (lambda c: c['classes'][0].update(ground=1), "model card has ground of 'road' 1, expected true or false"),
])
def test_cards_that_cannot_be_used_are_refused(model, change, message):
    with_card(model, change)
    assert refusal(model).startswith(message)


def test_cards_that_are_no_json_or_no_object_are_refused(model):
    for text, message in (('{', 'model card is not JSON'), ('[1]', 'model card is a list, expected an object')):
        rewrite(model, lambda header, body: (header | {'__metadata__': {'card': text}}, body))
        assert refusal(model).startswith(message)


def test_a_card_that_json_cannot_hold_is_not_written(tmp_path):
    with pytest.raises(ModelFileError, match='model card cannot be written as JSON'):
        save_model(tmp_path / 'm', TENSORS, replace(CARD, metrics={'abs_rel': float('nan')}))
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(model, monkeypatch):
    before = model.read_bytes()
    monkeypatch.setattr(os, 'replace', lambda *paths: (_ for _ in ()).throw(OSError('disk full')))
    with pytest.raises(OSError, match='disk full'):
        save_model(model, {'w': torch.ones(9)}, CARD)
    assert model.read_bytes() == before
    assert list(model.parent.iterdir()) == [model]


def test_tensor_hash_depends_on_names_values_and_shapes_but_not_on_layout_or_order():
    tensors = {'a': torch.rand(2, 3, 4, 5), 'b': torch.arange(3)}
    same = {'b': tensors['b'].clone(), 'a': tensors['a'].contiguous(memory_format=torch.channels_last)}
    assert tensor_hash(tensors) == tensor_hash(same) == tensor_hash(stored(tensors))
    assert tensor_hash(tensors) == tensor_hash(tensors | {'probe.0.labels': torch.ones(1)})
    renamed = {'c': tensors['a'], 'b': tensors['b']}
    others = [renamed, tensors | {'b': torch.arange(1, 4)}, tensors | {'b': torch.arange(3)[None]}]
    assert len({tensor_hash(t) for t in (tensors, *others)}) == 4


def test_a_packaged_model_is_found_by_name_and_a_file_by_path(tmp_path, monkeypatch, model):
    monkeypatch.setattr(model_file, 'WEIGHTS', tmp_path)
    assert find_model('m') == model
    assert find_model(model) == model
    message = r"no model 'other': neither a file .*/other nor a packaged model of \['m'\]"
    with pytest.raises(ModelFileError, match=message):
        find_model('other')


def test_a_network_comes_back_with_half_precision_of_its_weights(network, tmp_path):
    card = save_network(tmp_path / 'm', network, ModelCard(network.architecture, focal_px=100.0), images())
    again, read = load_network(tmp_path / 'm')
    assert read == card and not again.training
    assert card.factory == tensor_hash(network.state_dict()) == tensor_hash(again.state_dict())
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor, rtol=2 ** -11, atol=1e-7)
    assert (tmp_path / 'm').stat().st_size < 12e6


def test_a_model_file_cannot_ask_for_other_weights(network, tmp_path):
    architecture = network.architecture | {'encoder': 'resnet18', 'pretrained': str(tmp_path / 'others')}
    save_model(tmp_path / 'm', network.state_dict(), ModelCard(architecture, focal_px=100.0))
    assert refusal(tmp_path / 'm', load_network).startswith('tensor ')


def without(name):
    return lambda tensors: tensors.pop(name)


@pytest.mark.parametrize('change, message', [
    (without('encoder.stem.0.0.weight'), 'tensor encoder.stem.0.0.weight is missing'),
    (lambda t: t.update(extra=torch.ones(1)), 'tensor extra has no place in the architecture'),
    (lambda t: t.update({'pose_network.head.bias': torch.ones(7)}),
     'tensor pose_network.head.bias has shape [7], expected [6]'),
])
def test_tensors_that_do_not_fit_the_architecture_are_refused(network, tmp_path, change, message):
    tensors = dict(network.state_dict())
    change(tensors)
    save_model(tmp_path / 'm', tensors, ModelCard(network.architecture, focal_px=100.0))
    assert refusal(tmp_path / 'm', load_network) == message


@pytest.mark.parametrize('change, message', [
    ({'architecture': {'encoder': 'huge'}}, "network cannot be built: architecture: encoder is 'huge'"),
    ({'architecture': {'encoder': 'transformers:some/model'}},
     'architecture has a transformers encoder without its encoder_config'),
    ({'classes': CITYSCAPES[:5]}, 'card names 5 classes, its architecture has 19'),
    ({'input': InputRule(mean=0.5)}, 'card asks for mean 0.5 and std 0.225, expected 0.45 and 0.225'),
    ({'depth_range_m': (1.0, 80.0)}, r'card has the depth range [1.0, 80.0], its architecture [0.1, 100.0]'),
])
def test_cards_that_contradict_the_network_are_refused(network, tmp_path, change, message):
    save_model(tmp_path / 'm', network.state_dict(), replace(ModelCard(network.architecture, focal_px=100.0), **change))
    assert refusal(tmp_path / 'm', load_network).startswith(message)


def test_probe_frames_hold_the_outputs_of_the_stored_weights(network, tmp_path):
    save_network(tmp_path / 'm', network, ModelCard(network.architecture, focal_px=100.0), images())
    tensors, _ = read_model(tmp_path / 'm')
    again, _ = load_network(tmp_path / 'm')
    assert {name: (str(t.dtype), tuple(t.shape)) for name, t in tensors.items() if name.startswith('probe.1')} == {
        'probe.1.image': ('torch.uint8', (64, 96, 3)), 'probe.1.disparity': ('torch.float16', (64, 96)),
        'probe.1.labels': ('torch.uint8', (64, 96))}
    with torch.no_grad():
        prediction = again(torch.from_numpy(images()[1]).permute(2, 0, 1)[None] / 255)
    expected = prediction.disparities[0][0, 0].half()
    torch.testing.assert_close(tensors['probe.1.disparity'], expected, rtol=2e-3, atol=1e-6)
    assert torch.equal(tensors['probe.1.labels'], prediction.logits[0].argmax(0).byte())


def test_probes_pass_through_other_engines_and_fail_on_other_weights(network):
    tensors = make_probes(network, images())
    check_probes(network, tensors, 1e-3)
    check_probes(lambda image: fold_batch_norm(network)(image), tensors, 1e-3)
    torch.manual_seed(9)
    with pytest.raises(ModelFileError, match='probe frame 0 differs by .* expected at most 0.05'):
        check_probes(build_network({'encoder': 'small'}).eval(), tensors)
    broken = fold_batch_norm(network)
    broken.depth_decoder.heads[0].bias.data.fill_(float('nan'))
    with pytest.raises(ModelFileError, match='probe frame 0 differs by nan'):
        check_probes(broken, tensors)


def test_probes_that_are_missing_or_misshapen_are_refused(network):
    tensors = make_probes(network, images())
    with pytest.raises(ModelFileError, match='probe frame 1 is missing'):
        check_probes(network, {n: t for n, t in tensors.items() if n != 'probe.1.labels'})
    for name, tensor, message in (
            ('probe.0.labels', torch.zeros(3, 3, dtype=torch.uint8), 'probe frame 0 has shapes'),
            ('probe.0.image', tensors['probe.0.image'][..., :1], r'probe frame 0 has shapes \[\[64, 96, 1\]'),
            ('probe.1.image', tensors['probe.1.image'][0], r'probe frame 1 has shapes \[\[96, 3\]'),
            ('probe.1.image', tensors['probe.1.image'].float(), r'probe frame 1 has types \[torch.float32')):
        with pytest.raises(ModelFileError, match=message):
            check_probes(network, tensors | {name: tensor})
    with pytest.raises(ValueError, match='1 probe images were given, expected 2'):
        make_probes(network, images()[:1])


def test_cards_have_every_field_of_the_plan():
    assert set(asdict(CARD)) == {
        'card_version', 'name', 'version', 'parent', 'factory', 'architecture', 'classes', 'input', 'focal_px',
        'depth_range_m', 'cameras', 'recipe', 'metrics', 'sigma', 'metric', 'created'}

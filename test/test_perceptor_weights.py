"""Weights that change while the Perceptor stands: checked before they serve, exchanged between frames, the way back."""
from dataclasses import replace
import hashlib
import threading

import numpy as np
import pytest
import torch

from semdepth_ros.frame import Frame
from semdepth_ros.model_file import InputRule, ModelCard, ModelFileError, read_model, save_model
from semdepth_ros.networks import build_network, save_network
from semdepth_ros.perception import Perceptor
from semdepth_ros.perception.engines.folded import FoldedEngine

IMAGE = np.random.default_rng(0).integers(0, 256, (96, 320, 3), dtype=np.uint8)
FRAME = Frame(IMAGE, 'rgb')


def new_network(seed=0):
    torch.manual_seed(seed)
    network = build_network({'encoder': 'small'}).eval()
    for head in network.depth_decoder.heads:
        head.weight.data.mul_(20)
    return network


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Return the paths of versions 0 to 3 of one network."""
    folder = tmp_path_factory.mktemp('weights')
    network = new_network()
    card = ModelCard(architecture=network.architecture, focal_px=150.0, input=InputRule(pixels=160 * 64))
    probes = [IMAGE[:64, :160], IMAGE[32:, 160:]]
    paths = [folder / f'{version}.safetensors' for version in range(4)]
    for version, path in enumerate(paths):
        card = replace(card, version=version, parent=version - 1 if version else None)
        card = save_network(path, network, card, probes)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(1 + 0.05 * torch.randn_like(parameter))
    return paths


@pytest.fixture
def perceptor(files):
    return Perceptor.from_file(files[0], device='cpu')


@pytest.fixture(scope='module')
def expected(files):
    """Return the depth of FRAME by each version, each from a Perceptor that never knew another."""
    return [Perceptor.from_file(path, device='cpu').perceive(FRAME).depth for path in files]


def test_new_weights_serve_from_the_next_frame_exactly_as_if_loaded_first(perceptor, files, expected):
    np.testing.assert_array_equal(perceptor.perceive(FRAME).depth, expected[0])
    assert perceptor.load_weights(files[1]).version == perceptor.version == 1
    perception = perceptor.perceive(FRAME)
    assert perception.model_version == 1
    np.testing.assert_array_equal(perception.depth, expected[1])
    assert not np.array_equal(expected[0], expected[1])


def test_rollback_returns_to_the_weights_served_before(perceptor, files, expected):
    perceptor.load_weights(files[1])
    perceptor.load_weights(files[2])
    assert perceptor.rollback().version == 1
    np.testing.assert_array_equal(perceptor.perceive(FRAME).depth, expected[1])
    with pytest.raises(ValueError, match='no earlier weights'):
        perceptor.rollback()
    assert perceptor.version == 1


def test_single_precision_takes_new_weights_too(files):
    perceptor = Perceptor.from_file(files[0], device='cpu', precision='float32')
    perceptor.load_weights(files[1])
    alone = Perceptor.from_file(files[1], device='cpu', precision='float32')
    np.testing.assert_array_equal(perceptor.perceive(FRAME).depth, alone.perceive(FRAME).depth)


def test_every_frame_comes_from_exactly_one_version(perceptor, files, expected):
    perceptions, stop = [], threading.Event()

    def drive():
        while not stop.is_set():
            perceptions.append(perceptor.perceive(FRAME))

    driver = threading.Thread(target=drive)
    driver.start()
    for path in [*files[1:], *files[::2]]:
        perceptor.load_weights(path)
    stop.set()
    driver.join()
    assert {p.model_version for p in perceptions} >= {1, 2, 3}
    for p in perceptions:
        np.testing.assert_array_equal(p.depth, expected[p.model_version])


def refuses(perceptor, path, message, expected):
    with pytest.raises(ModelFileError, match=message) as caught:
        perceptor.load_weights(path)
    assert str(path) in str(caught.value) and '\n' not in str(caught.value)
    assert perceptor.version == 0
    np.testing.assert_array_equal(perceptor.perceive(FRAME).depth, expected[0])


def test_weights_may_be_prepared_long_before_they_are_served(perceptor, files, expected):
    candidate = perceptor.prepare_weights(files[1], version=1)
    assert candidate.card.version == 1 and perceptor.version == 0
    np.testing.assert_array_equal(perceptor.perceive(FRAME).depth, expected[0])
    perceptor.serve(candidate)
    np.testing.assert_array_equal(perceptor.perceive(FRAME).depth, expected[1])


def test_weights_of_another_version_than_expected_are_not_prepared(perceptor, files):
    with pytest.raises(ModelFileError, match='1.safetensors: model card has version 1, expected 7'):
        perceptor.prepare_weights(files[1], version=7)


def test_only_the_bytes_that_were_hashed_are_prepared(perceptor, files, tmp_path):
    file = tmp_path / 'announced.safetensors'
    file.write_bytes(files[1].read_bytes())
    announced = hashlib.sha256(file.read_bytes()).hexdigest()
    assert perceptor.prepare_weights(file, sha256=announced).card.version == 1
    file.write_bytes(files[2].read_bytes())
    with pytest.raises(ModelFileError, match=f'announced.safetensors: has sha256 .*, expected {announced[:12]}'):
        perceptor.prepare_weights(file, sha256=announced)


def test_weights_of_another_factory_are_refused(perceptor, files, expected, tmp_path):
    network = new_network(5)
    card = ModelCard(architecture=network.architecture, focal_px=150.0, input=InputRule(pixels=160 * 64), version=7)
    save_network(tmp_path / 'other.safetensors', network, card, [IMAGE[:64, :160]] * 2)
    refuses(perceptor, tmp_path / 'other.safetensors', 'factory is', expected)


def test_weights_for_other_inputs_are_refused(perceptor, files, expected, tmp_path):
    tensors, card = read_model(files[1])
    save_model(tmp_path / 'wide.safetensors', tensors, replace(card, input=InputRule(pixels=640 * 192)))
    refuses(perceptor, tmp_path / 'wide.safetensors', 'input is', expected)


def test_weights_whose_card_has_the_short_form_of_the_same_architecture_serve(perceptor, files, expected, tmp_path):
    tensors, card = read_model(files[1])
    short = {key: value for key, value in card.architecture.items() if key != 'shared_decoder'} | {'guidance': 'plain'}
    save_model(tmp_path / 'short.safetensors', tensors, replace(card, architecture=short))
    assert perceptor.load_weights(tmp_path / 'short.safetensors').version == 1
    np.testing.assert_array_equal(perceptor.perceive(FRAME).depth, expected[1])


@pytest.mark.parametrize('change, message', [
    ({'shared_decoder': 2}, 'architecture is .*, expected that of the weights being served'),
    ({'guidance': 'fog'}, "architecture: guidance is 'fog'")])
def test_weights_of_another_architecture_are_refused(perceptor, files, expected, tmp_path, change, message):
    tensors, card = read_model(files[1])
    save_model(tmp_path / 'shared.safetensors', tensors, replace(card, architecture=card.architecture | change))
    refuses(perceptor, tmp_path / 'shared.safetensors', message, expected)


def test_weights_whose_probes_come_out_otherwise_are_refused(perceptor, files, expected, tmp_path):
    tensors, card = read_model(files[1])
    tensors['probe.0.disparity'] = tensors['probe.0.disparity'] * 1.3
    save_model(tmp_path / 'probe.safetensors', tensors, card)
    refuses(perceptor, tmp_path / 'probe.safetensors', 'probe frame 0 differs', expected)


def test_a_damaged_file_is_refused(perceptor, files, expected, tmp_path):
    data = bytearray(files[1].read_bytes())
    data[len(data) // 2] ^= 0x55
    (tmp_path / 'damaged.safetensors').write_bytes(data)
    refuses(perceptor, tmp_path / 'damaged.safetensors', 'damaged|not finite', expected)


def test_a_missing_file_is_refused(perceptor, expected, tmp_path):
    refuses(perceptor, tmp_path / 'nowhere.safetensors', 'no model', expected)


def test_rubbish_that_fails_in_the_engine_leaves_the_weights_served(perceptor, files, expected, monkeypatch):
    rubbish = FoldedEngine(new_network(9), perceptor.engine.tensor_device, perceptor.engine.dtype)
    monkeypatch.setattr(FoldedEngine, 'twin', lambda self, network: rubbish)
    refuses(perceptor, files[1], 'probe frame', expected)

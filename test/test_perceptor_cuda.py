"""The captured graph against the CPU, where there is a CUDA device."""
from dataclasses import replace

import numpy as np
import pytest
import torch

from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Scale
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.model_file import InputRule, ModelCard
from semdepth_ros.networks import build_network, load_network, save_network
from semdepth_ros.perception import Perceptor, Request

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
CAMERA = Camera.from_field_of_view(1242, 375, 80)
DISTORTED = Camera(640, 480, 420, 420, 320, 240, 'plumb_bob', (-0.25, 0.06, 0.0, 0.0))


def picture(width=1242, height=375, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.fixture(scope='module', params=['small', 'default'])
def network(request):
    if request.param == 'default':      # trained: untrained, its depth moves by 2 % in half precision
        return load_network('default')[0]
    torch.manual_seed(0)
    return build_network({'encoder': request.param}).eval()


@pytest.fixture(scope='module')
def card(network):
    return ModelCard(architecture=network.architecture, focal_px=150.0, input=InputRule(pixels=320 * 96))


@pytest.fixture(scope='module')
def perceptor(network, card):
    return Perceptor(network, card, device='cuda')


@pytest.mark.parametrize('frame', [
    Frame(picture(), 'rgb', CAMERA), Frame(picture(), 'bgr', CAMERA), Frame(picture(channels=4), 'bgra', CAMERA),
    Frame(picture()[..., 0].copy(), 'mono8', CAMERA),
    Frame(picture()[..., 0].astype(np.uint16) * 257, 'mono16', CAMERA),
    Frame(picture(640, 480), 'rgb', DISTORTED)], ids=lambda f: f'{f.layout} {f.width}')
def test_cuda_agrees_with_the_cpu(network, card, perceptor, frame):
    there = perceptor.perceive(frame)
    here = Perceptor(network, card, device='cpu', precision='float32').perceive(frame)
    both = np.isfinite(there.depth) & np.isfinite(here.depth)
    assert (np.isfinite(there.depth) == np.isfinite(here.depth)).mean() > 0.99
    assert np.mean(np.abs(np.log(there.depth[both] / here.depth[both]))) < 0.01
    assert np.mean(there.labels == here.labels) > 0.97


def test_the_same_frame_gives_the_same_bytes_and_keeps_them(perceptor):
    first = perceptor.perceive(Frame(picture(), 'rgb', CAMERA))
    kept = first.depth.copy()
    perceptor.perceive(Frame(picture(seed=1), 'rgb', CAMERA))
    np.testing.assert_array_equal(first.depth, kept)
    np.testing.assert_array_equal(perceptor.perceive(Frame(picture(), 'rgb', CAMERA)).depth, kept)


def test_scale_changes_without_a_new_capture(network, card):
    perceptor = Perceptor(network, card, device='cuda', max_range_m=1e4)
    plain = perceptor.perceive(Frame(picture(), 'rgb', CAMERA)).depth
    scaled = perceptor.perceive(Frame(picture(), 'rgb', CAMERA), Scale(2.0, 1.0, True))
    np.testing.assert_allclose(scaled.depth, 2 * plain, rtol=1e-6)
    assert (scaled.sigma >= 0.5 * scaled.depth).all()


def test_weights_are_exchanged_under_a_captured_graph(network, card, tmp_path):
    probes = [picture(320, 96), picture(320, 96, seed=1)]
    first = save_network(tmp_path / '0.safetensors', network, card, probes)
    torch.manual_seed(1)
    other = build_network(network.architecture).eval()
    save_network(tmp_path / '1.safetensors', other, replace(first, version=1, parent=0), probes)
    perceptor, frame = Perceptor.from_file(tmp_path / '0.safetensors', device='cuda'), Frame(picture(), 'rgb', CAMERA)
    before = perceptor.perceive(frame).depth
    perceptor.load_weights(tmp_path / '1.safetensors')
    after = perceptor.perceive(frame)
    alone = Perceptor.from_file(tmp_path / '1.safetensors', device='cuda').perceive(frame)
    np.testing.assert_allclose(after.depth, alone.depth, rtol=0.02)
    perceptor.rollback()
    np.testing.assert_array_equal(perceptor.perceive(frame).depth, before)


REQUESTS = [Request(Frame(picture(), 'rgb', CAMERA)), Request(Frame(picture(seed=1), 'rgb', CAMERA), Scale(2.0, 0.1, True)),
            Request(Frame(picture(seed=2, channels=4), 'bgra', CAMERA), max_range_m=40.0),
            Request(Frame(picture(640, 480), 'rgb', DISTORTED))]


def test_a_captured_batch_agrees_with_its_frames_alone_and_repeats_its_bytes(perceptor):
    together = perceptor.perceive_together(REQUESTS)
    assert perceptor.engine.capturable and perceptor.engine.largest_batch(*together[0].input_size) >= 3
    kept = [p.depth.copy() for p in together]
    for request, perception in zip(REQUESTS, together):
        alone = perceptor.perceive(request.frame, request.scale, request.max_range_m)
        both = np.isfinite(perception.depth) & np.isfinite(alone.depth)
        assert (np.isfinite(perception.depth) == np.isfinite(alone.depth)).mean() > 0.99
        assert np.mean(np.abs(np.log(perception.depth[both] / alone.depth[both]))) < 0.01
        assert np.mean(perception.labels == alone.labels) > 0.97
    perceptor.perceive_together(REQUESTS[::-1])
    for first, again, depth in zip(together, perceptor.perceive_together(REQUESTS), kept):
        np.testing.assert_array_equal(again.depth, depth)
        np.testing.assert_array_equal(first.depth, depth)


def test_what_was_prepared_is_captured_before_its_first_frame(network, card, monkeypatch):
    perceptor = Perceptor(network, card, device='cuda')
    perceptor.prepare([CAMERA, CAMERA, DISTORTED], ['rgb'])
    captures = []
    graph = torch.cuda.graph
    monkeypatch.setattr(torch.cuda, 'graph', lambda *a, **k: captures.append(a) or graph(*a, **k))
    for requests in (REQUESTS[:2], REQUESTS[:1], REQUESTS[3:], REQUESTS[1::-1]):
        perceptor.perceive_together(requests)
    assert captures == []
    perceptor.perceive_together(REQUESTS[2:3])
    assert len(captures) == 1


def test_weights_are_exchanged_under_a_captured_batch(network, card, tmp_path):
    probes = [picture(320, 96), picture(320, 96, seed=1)]
    first = save_network(tmp_path / '0.safetensors', network, card, probes)
    torch.manual_seed(1)
    save_network(tmp_path / '1.safetensors', build_network(network.architecture).eval(),
                 replace(first, version=1, parent=0), probes)
    perceptor = Perceptor.from_file(tmp_path / '0.safetensors', device='cuda')
    before = perceptor.perceive_together(REQUESTS[:2])
    perceptor.load_weights(tmp_path / '1.safetensors')
    after = perceptor.perceive_together(REQUESTS[:2])
    alone = Perceptor.from_file(tmp_path / '1.safetensors', device='cuda').perceive_together(REQUESTS[:2])
    for a, b, c in zip(before, after, alone):
        assert (a.model_version, b.model_version) == (0, 1) and not np.array_equal(a.depth, b.depth)
        np.testing.assert_allclose(b.depth, c.depth, rtol=0.02)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason='needs two CUDA devices')
def test_the_second_device_runs_frames_while_the_first_one_is_current(network, card):
    perceptor, frame = Perceptor(network, card, device='cuda:1'), Frame(picture(), 'rgb', CAMERA)
    perceptor.perceive(frame)
    held = torch.cuda.memory_allocated(0)
    here = Perceptor(network, card, device='cpu', precision='float32').perceive(frame)
    assert np.mean(perceptor.perceive(frame).labels == here.labels) > 0.97
    assert torch.cuda.current_device() == 0 and torch.cuda.memory_allocated(0) == held

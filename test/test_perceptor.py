"""The Perceptor: layouts, sizes, units, masks and ownership, with untrained networks and stand-ins for trained ones."""
from dataclasses import replace
import logging
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from stand_in_engine import StandInEngine
from semdepth_ros.classes import CITYSCAPES, SKY, TRAIN_ID
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Scale
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.input_geometry import input_geometry
from semdepth_ros.model_file import InputRule, ModelCard
from semdepth_ros.networks import Prediction, build_network, depth_to_disparity, disparity_to_depth
from semdepth_ros.perception import Perceptor, device as devices
from semdepth_ros.perception.decoding import most_probable

ROAD, CAR = TRAIN_ID['road'], TRAIN_ID['car']
FOCAL = 150.0
RULE = InputRule(pixels=160 * 64)


def lively(seed=0):
    """Return a small untrained network whose outputs vary over the image."""
    torch.manual_seed(seed)
    network = build_network({'encoder': 'small'}).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.8, 1.2)
            module.bias.data.normal_(0, 0.2)
    for head in network.depth_decoder.heads:
        head.weight.data.mul_(20)
    return network


@pytest.fixture(scope='module')
def network():
    return lively()


@pytest.fixture(scope='module')
def card(network):
    return ModelCard(architecture=network.architecture, focal_px=FOCAL, input=RULE)


@pytest.fixture(scope='module')
def perceptor(network, card):
    return Perceptor(network, card, device='cpu')


class StandIn(StandInEngine):
    """An engine that says what a function of its input says: canonical depth [1, 1, H, W] and class [1, H, W]."""

    def __init__(self, see):
        self.see = see

    def __call__(self, image):
        depth, classes = self.see(image)
        disparity = depth_to_disparity(depth, 0.1, 100.0)
        logits = 8 * torch.nn.functional.one_hot(classes, 19).permute(0, 3, 1, 2).float()
        return Prediction((disparity, disparity[..., ::2, ::2]), logits, {})


def standing_in(card, see, **options):
    """Return a Perceptor whose network is a function."""
    return Perceptor(torch.nn.Identity(), card, device='cpu', engine=StandIn(see), **options)


def everywhere(depth, label=ROAD):
    """Return a function that sees one depth and one class in every pixel."""
    def see(image):
        return torch.full_like(image[:, :1], depth), torch.full(image[:, 0].shape, label)
    return see


def picture(width=620, height=188, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def same(a, b):
    return all(np.array_equal(getattr(a, k), getattr(b, k), equal_nan=k in ('depth', 'sigma'))
               for k in ('depth', 'sigma', 'labels', 'confidence'))


def test_outputs_have_the_documented_types_and_the_size_of_the_image(perceptor):
    camera = Camera.from_field_of_view(620, 188, 80)
    p = perceptor.perceive(Frame(picture(), 'rgb', camera, 123, 'left'))
    assert [p.depth.dtype, p.sigma.dtype, p.labels.dtype, p.confidence.dtype] == ['f4', 'f4', 'u1', 'u1']
    assert p.depth.shape == p.sigma.shape == p.labels.shape == p.confidence.shape == (188, 620)
    assert (p.stamp_ns, p.frame_id, p.camera, p.model_version) == (123, 'left', camera, 0)
    assert np.isfinite(p.depth).any() and np.ptp(p.depth[np.isfinite(p.depth)]) > 0.1


def test_the_same_frame_gives_the_same_bytes(perceptor):
    frame = Frame(picture(), 'rgb', Camera.from_field_of_view(620, 188, 80))
    first = perceptor.perceive(frame)
    perceptor.perceive(Frame(picture(seed=1), 'rgb', frame.camera))
    assert same(first, perceptor.perceive(frame))


def test_a_perception_is_never_written_to_again(perceptor):
    frame = Frame(picture(), 'rgb')
    first = perceptor.perceive(frame)
    copy = first.depth.copy(), first.labels.copy()
    for seed in range(5):
        perceptor.perceive(Frame(picture(seed=seed), 'rgb'))
    np.testing.assert_array_equal(first.depth, copy[0])
    np.testing.assert_array_equal(first.labels, copy[1])


def test_every_layout_of_a_colour_picture_gives_the_same(perceptor):
    rgb = picture()
    alpha = np.full((188, 620, 1), 77, dtype=np.uint8)
    images = {'rgb': rgb, 'bgr': rgb[..., ::-1].copy(), 'rgba': np.concatenate([rgb, alpha], axis=2),
              'bgra': np.concatenate([rgb[..., ::-1], alpha], axis=2)}
    results = {layout: perceptor.perceive(Frame(image, layout)) for layout, image in images.items()}
    for layout, result in results.items():
        assert same(result, results['rgb']), layout
    assert not same(perceptor.perceive(Frame(rgb, 'bgr')), results['rgb'])


def test_every_layout_of_a_grey_picture_gives_the_same(perceptor):
    grey = picture()[..., 0].copy()
    images = {'rgb': np.repeat(grey[..., None], 3, axis=2), 'mono8': grey, 'mono16': grey.astype(np.uint16) * 257}
    results = [perceptor.perceive(Frame(image, layout)) for layout, image in images.items()]
    assert same(results[0], results[1]) and same(results[0], results[2])


def test_padded_rows_reversed_rows_and_read_only_buffers_are_read_as_they_are(perceptor):
    rgb = picture()
    wide = np.zeros((188, 640, 3), dtype=np.uint8)
    wide[:, :620] = rgb
    frozen = np.frombuffer(rgb.tobytes(), dtype=np.uint8).reshape(rgb.shape)
    upside_down = rgb[::-1].copy()[::-1]
    expected = perceptor.perceive(Frame(rgb, 'rgb'))
    for image in (wide[:, :620], frozen, upside_down):
        assert same(perceptor.perceive(Frame(image, 'rgb')), expected)


@pytest.mark.parametrize('size', [(1242, 375), (416, 128), (640, 480), (97, 61), (33, 200)])
def test_any_image_size_is_perceived_at_its_own_size(perceptor, size):
    camera = Camera.from_field_of_view(*size, 70)
    assert perceptor.perceive(Frame(picture(*size), 'rgb', camera)).depth.shape == size[::-1]


def test_the_engine_agrees_with_the_plain_network(network, card):
    exact = Perceptor(network, card, device='cpu', precision='float32', output='network')
    frame = Frame(picture(320, 128), 'rgb', Camera.from_field_of_view(320, 128, 60))
    geometry = exact.geometry(frame)
    assert geometry.padding == (0, 0, 0, 0)
    image = geometry.to_network(torch.from_numpy(frame.image).permute(2, 0, 1)[None]).float() / 255
    with torch.inference_mode():
        plain = network(image)
    depth = disparity_to_depth(plain.disparities[0], 0.1, 100.0)[0, 0] * geometry.depth_factor(FOCAL)
    probability, labels = plain.logits.softmax(1).max(1)
    p = exact.perceive(frame)
    near = np.isfinite(p.depth)
    assert near.mean() > 0.3
    np.testing.assert_allclose(p.depth[near], depth.numpy()[near], rtol=1e-4)
    assert (p.labels == labels[0].numpy()).mean() > 0.9999
    np.testing.assert_allclose(p.confidence, 255 * probability[0].numpy(), atol=0.6)


def test_bfloat16_moves_depth_by_little(network, card):
    frame = Frame(picture(), 'rgb')
    exact, coarse = (Perceptor(network, card, device='cpu', precision=precision).perceive(frame)
                     for precision in ('float32', 'bfloat16'))
    both = np.isfinite(exact.depth) & np.isfinite(coarse.depth)
    assert np.mean(np.abs(np.log(coarse.depth[both] / exact.depth[both]))) < 0.02
    assert np.mean(exact.labels == coarse.labels) > 0.95


def test_depth_labels_and_confidence_land_on_the_pixels_they_were_seen_at(card):
    def see(image):
        return 5 + 20 * image[:, :1], torch.where(image[:, 1] > 0.5, CAR, ROAD)

    v, u = np.mgrid[:240, :500]
    ramp = np.stack([u * 255 / 499, np.where(v > 120, 255, 0), 0 * u], axis=-1)
    p = standing_in(card, see).perceive(Frame(ramp.astype(np.uint8), 'rgb'))
    inner = np.s_[10:-10, 10:-10]
    np.testing.assert_allclose(p.depth[inner], (5 + 20 * u / 499)[inner], rtol=0.02)
    assert (p.labels[:115] == ROAD).all() and (p.labels[126:] == CAR).all()
    assert p.confidence.min() == round(255 * np.exp(8) / (np.exp(8) + 18))


def test_sky_and_what_is_beyond_range_is_infinite_without_sigma(card):
    def see(image):
        classes = torch.full(image[:, 0].shape, ROAD)
        classes[:, :20] = SKY
        depth = torch.full_like(image[:, :1], 10.0)
        depth[..., 100:] = 90.0
        return depth, classes

    p = standing_in(card, see, output='network').perceive(Frame(picture(160, 64), 'rgb'))
    assert np.isposinf(p.depth[:20]).all() and np.isposinf(p.depth[:, 100:]).all()
    np.testing.assert_allclose(p.depth[20:, :100], 10, rtol=1e-5)
    assert np.isnan(p.sigma[:20]).all() and np.isfinite(p.sigma[20:, :100]).all()


def test_a_frame_may_have_a_range_of_its_own(card):
    perceptor, frame = standing_in(card, everywhere(10.0), max_range_m=12), Frame(picture(), 'rgb')
    assert np.isposinf(perceptor.perceive(frame, max_range_m=9).depth).all()
    assert np.isfinite(perceptor.perceive(frame).depth).all()
    with pytest.raises(ValueError, match='max_range_m is 0'):
        perceptor.perceive(frame, max_range_m=0)


def test_a_frame_s_scale_multiplies_its_depth_and_sigma_and_is_handed_on(card):
    perceptor = standing_in(card, everywhere(10.0))
    image = picture()
    frame = Frame(image, 'rgb', Camera.from_field_of_view(image.shape[1], image.shape[0], 80))
    plain = perceptor.perceive(frame)
    scaled = perceptor.perceive(frame, Scale(1.5, 0.0, True))
    np.testing.assert_allclose(scaled.depth, 1.5 * plain.depth, rtol=1e-6)
    np.testing.assert_allclose(scaled.sigma, 1.5 * plain.sigma, rtol=1e-6)
    assert plain.scale == Scale() and scaled.scale == Scale(1.5, 0.0, True)
    assert perceptor.perceive(frame).scale == Scale()


def test_sigma_holds_the_deviation_of_the_scale_beside_that_of_the_network(card):
    perceptor = standing_in(replace(card, sigma={'floor': 0.03, 'gain': 1.0}), everywhere(10.0), scale=Scale(2.0, 0.08))
    perception = perceptor.perceive(Frame(picture(), 'rgb'))
    np.testing.assert_allclose(perception.sigma, 20 * np.hypot(0.03, 0.04), rtol=1e-4)


def test_without_a_camera_depth_is_scaled_but_not_metric(card):
    perceptor = standing_in(card, everywhere(10.0))
    perception = perceptor.perceive(Frame(picture(), 'rgb'), Scale(1.5, 0.1, True))
    np.testing.assert_allclose(perception.depth, 15, rtol=1e-5)
    assert perception.scale == Scale(1.5, 0.1, False)


def test_sigma_grows_with_the_disagreement_of_the_two_scales(card):
    perceptor = standing_in(replace(card, sigma={'floor': 0.1, 'gain': 2.0}), everywhere(10.0))
    agree = perceptor.perceive(Frame(picture(), 'rgb'))
    np.testing.assert_allclose(agree.sigma, 0.1 * 10, rtol=1e-4)

    class Disagreeing(StandIn):
        def __call__(self, image):
            fine, logits, extras = super().__call__(image)
            return Prediction((fine[0], torch.full_like(fine[1], depth_to_disparity(12.0, 0.1, 100.0))), logits, extras)

    other = Perceptor(torch.nn.Identity(), replace(card, sigma={'floor': 0.1, 'gain': 2.0}), device='cpu',
                      engine=Disagreeing(everywhere(10.0)))
    expected = 10 * (0.1 + 2 * np.log(1.2))
    np.testing.assert_allclose(other.perceive(Frame(picture(), 'rgb')).sigma, expected, rtol=1e-3)


def test_labels_are_train_ids_whatever_the_order_of_the_classes(card):
    names = ('sky', 'car', *(c.name for c in CITYSCAPES if c.name not in ('sky', 'car')))
    shuffled = replace(card, classes=tuple(CITYSCAPES[TRAIN_ID[name]] for name in names))
    assert (standing_in(shuffled, everywhere(10.0, 1)).perceive(Frame(picture(), 'rgb')).labels == CAR).all()
    sky = standing_in(shuffled, everywhere(10.0, 0)).perceive(Frame(picture(), 'rgb'))
    assert (sky.labels == SKY).all() and np.isposinf(sky.depth).all()


def test_rows_of_words_may_have_an_odd_padding(perceptor):
    image = np.random.default_rng(3).integers(0, 65536, (64, 96), dtype=np.uint16)
    rows = np.zeros((64, 193), np.uint8)
    rows[:, :192] = image.view(np.uint8)
    odd = np.ndarray((64, 96), np.uint16, rows, strides=(193, 2))
    assert same(perceptor.perceive(Frame(odd, 'mono16')), perceptor.perceive(Frame(image, 'mono16')))


@pytest.mark.parametrize('classes', [CITYSCAPES, CITYSCAPES[::-1]])
def test_where_a_score_is_not_a_number_there_is_no_label_and_no_confidence(card, classes):
    class Failing(StandIn):
        def __call__(self, image):
            disparities, logits, extras = super().__call__(image)
            logits[..., :48] = torch.nan
            return Prediction(disparities, logits, extras)

    perceptor = Perceptor(torch.nn.Identity(), replace(card, classes=classes), device='cpu', output='network',
                          engine=Failing(everywhere(10.0)))
    p = perceptor.perceive(Frame(picture(96, 64), 'rgb'))
    middle = p.labels.shape[1] // 2
    assert (p.labels[:, 0] == 255).all() and (p.confidence[:, 0] == 0).all()
    assert (p.labels[:, middle + 30] != 255).all() and (p.confidence[:, middle + 30] > 0).all()


def test_network_output_comes_with_the_camera_of_its_own_size(network, card):
    camera = Camera.from_field_of_view(1242, 375, 80)
    p = Perceptor(network, card, device='cpu', output='network').perceive(Frame(picture(1242, 375), 'rgb', camera))
    geometry = input_geometry(camera, RULE)
    assert p.depth.shape == (geometry.content_height, geometry.content_width)
    assert p.camera == camera.scaled(geometry.content_width, geometry.content_height)


LENSES = [Camera(640, 480, 420, 420, 320, 240), Camera(1242, 375, 721, 721, 609, 172),
          Camera(1280, 720, 1400, 1400, 640, 360), Camera(640, 192, 250, 240, 330, 90),
          Camera(800, 600, 420, 425, 395, 305, 'plumb_bob', (-0.25, 0.06, 0.001, -0.001)),
          Camera(640, 480, 300, 300, 320, 240, 'equidistant', (0.02, -0.01, 0.0, 0.0))]


@pytest.mark.parametrize('camera', LENSES)
def test_one_scene_through_any_lens_gives_the_same_metres(camera):
    """A red square of 2 m stands 7 m ahead. The stand-in knows its size, and judges it as through its own lens."""
    rays = camera.rays()
    red = (np.abs(rays[..., :2]) < 1 / 7).all(axis=-1)
    image = np.where(red[..., None], (255, 0, 0), (0, 0, 0)).astype(np.uint8)

    def see(image):
        width = image[0, 0, image.shape[2] // 2 - 2:image.shape[2] // 2 + 2].sum(dim=-1).mean()
        return torch.full_like(image[:, :1], FOCAL * 2 / float(width)), torch.full(image[:, 0].shape, ROAD)

    card = ModelCard(architecture={}, focal_px=FOCAL, input=InputRule(pixels=320 * 96))
    p = standing_in(card, see).perceive(Frame(image, 'rgb', camera))
    assert np.median(p.depth[np.isfinite(p.depth)]) == pytest.approx(7, rel=0.02)
    assert not p.camera.is_distorted and (p.camera.fx, p.camera.cx) == (camera.fx, camera.cx)


def test_the_same_network_sees_other_metres_through_a_longer_lens(card):
    short, long = Camera(640, 192, 300, 300, 319.5, 95.5), Camera(640, 192, 600, 600, 319.5, 95.5)
    perceptor = standing_in(card, everywhere(10.0))
    near, far = (perceptor.perceive(Frame(picture(640, 192), 'rgb', camera)).depth[0, 0] for camera in (short, long))
    assert far == pytest.approx(2 * near, rel=1e-5)


def test_pixels_that_a_rectified_image_does_not_show_are_invalid(card):
    camera = Camera(640, 480, 300, 300, 319.5, 239.5, 'plumb_bob', (0.3, 0.0, 0.0, 0.0))
    p = standing_in(card, everywhere(10.0)).perceive(Frame(picture(640, 480), 'rgb', camera))
    assert np.isnan(p.depth[0, 0]) and np.isnan(p.sigma[0, 0]) and (p.labels[0, 0], p.confidence[0, 0]) == (255, 0)
    assert np.isfinite(p.depth[240, 320]) and p.labels[240, 320] == ROAD


def test_a_dozen_distorted_cameras_taking_turns_keep_their_pipelines(card, monkeypatch):
    perceptor, made = standing_in(card, everywhere(10.0)), []
    new = perceptor._runner._passes.pipeline
    monkeypatch.setattr(perceptor._runner._passes, 'pipeline', lambda *key: made.append(key) or new(*key))
    cameras = [Camera(160, 96, 80, 80, 79.5, 47.5, 'plumb_bob', (k / 100, 0, 0, 0)) for k in range(1, 13)]
    for camera in 2 * cameras:
        perceptor.perceive(Frame(picture(160, 96), 'rgb', camera))
    assert len(made) == len(cameras)


def test_without_rectification_the_camera_stays_distorted(card):
    camera = Camera(640, 480, 300, 300, 319.5, 239.5, 'plumb_bob', (0.3, 0.0, 0.0, 0.0))
    p = standing_in(card, everywhere(10.0), rectify=False).perceive(Frame(picture(640, 480), 'rgb', camera))
    assert p.camera == camera and np.isfinite(p.depth).all()


def test_most_probable_agrees_with_argmax_and_softmax():
    logits = torch.randn(2, 19, 40, 50, generator=torch.Generator().manual_seed(0)) * 4
    logits[0, :, 0, 0] = 0.0
    classes, probability = most_probable(logits)
    assert torch.equal(classes.long(), logits.argmax(1))
    torch.testing.assert_close(probability, logits.softmax(1).amax(1), rtol=0, atol=5e-6)


def test_threads_get_the_same_as_one(perceptor):
    frames = [Frame(picture(seed=s), 'rgb') for s in range(4)]
    expected, found = [perceptor.perceive(f) for f in frames], [None] * 4

    def work(i):
        found[i] = [perceptor.perceive(frames[i]) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert all(same(p, expected[i]) for i in range(4) for p in found[i])


@pytest.mark.parametrize('options, message', [
    ({'device': 'tpu'}, "device is 'tpu'"), ({'device': 'cuda:x'}, "device is 'cuda:x'"),
    ({'precision': 'int8'}, "precision is 'int8'"), ({'device': 'cpu', 'precision': 'float16'}, 'float16 on the CPU'),
    ({'output': 'half'}, "output is 'half'"), ({'max_range_m': 0}, 'max_range_m is 0'),
    ({'max_range_m': float('nan')}, 'max_range_m is nan')])
def test_impossible_options_are_refused_in_one_line(network, card, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        Perceptor(network, card, **({'device': 'cpu'} | options))
    assert '\n' not in str(caught.value)


def test_a_machine_without_cuda_says_so_once_and_why(monkeypatch, caplog):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch.version, 'cuda', None)
    devices._warn_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert [devices.choose_device('auto').type for _ in range(3)] == ['cpu'] * 3
    assert len(caplog.messages) == 1 and 'built without it' in caplog.messages[0]
    with pytest.raises(ValueError, match='cuda is asked for, but torch'):
        devices.choose_device('cuda')


def test_precision_follows_the_processor(monkeypatch):
    cpu = torch.device('cpu')
    monkeypatch.setattr(devices, 'bfloat16_flag', lambda: 'amx_bf16')
    assert devices.choose_precision(cpu) == torch.bfloat16
    monkeypatch.setattr(devices, 'bfloat16_flag', lambda: '')
    assert devices.choose_precision(cpu) == torch.float32
    assert devices.choose_precision(torch.device('cuda')) == torch.float16


@pytest.mark.parametrize('given, expected', [({}, 'PASSIVE'), ({'OMP_WAIT_POLICY': 'ACTIVE'}, 'ACTIVE')])
def test_waiting_threads_sleep_unless_the_environment_says_otherwise(given, expected):
    environment = {k: v for k, v in os.environ.items() if k != 'OMP_WAIT_POLICY'} | given
    script = "import semdepth_ros, os; print(os.environ['OMP_WAIT_POLICY'])"
    run = subprocess.run([sys.executable, '-c', script], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == expected

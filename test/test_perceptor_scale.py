"""Scale sources: a given factor, and the camera's height over a road that was perceived too near or too far."""
import numpy as np
import pytest
import torch

from semdepth_ros.classes import TRAIN_ID
from semdepth_ros.frame import Frame
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.input_geometry import input_geometry
from semdepth_ros.model_file import InputRule, ModelCard
from semdepth_ros.networks import Prediction, depth_to_disparity
from semdepth_ros.perception import CameraHeight, GivenScale, Perception, Perceptor, Scale, fixed_scale
from semdepth_ros.perception.scale import LogScaleFilter, ScaleFilterRule

CAMERA = Camera.from_field_of_view(320, 96, 82)
RNG = np.random.default_rng(0)
ROAD, BUILDING, TERRAIN = TRAIN_ID['road'], TRAIN_ID['building'], TRAIN_ID['terrain']


def street(true_scale, source, stamp_s=0.0, height=1.65, noise=0.0, label=ROAD, version=0, pitch_deg=4.0):
    """Return a flat road as a network perceives it whose depth needs true_scale, with the source's scale applied."""
    pitch = np.radians(pitch_deg)
    slope = CAMERA.rays().astype(np.float64) @ [0, np.cos(pitch), np.sin(pitch)]
    with np.errstate(divide='ignore'):
        depth = np.where(slope > 0, height / slope, np.inf)
    road = (slope > 0) & (depth < 60)
    depth = np.where(road, depth, 40.0) * np.exp(noise * RNG.standard_normal(depth.shape)) / true_scale
    labels = np.where(road, label, BUILDING).astype(np.uint8)
    scale = source.scale
    depth = (depth * scale.value).astype(np.float32)
    return Perception(depth, depth, labels, labels, scale, version, CAMERA, int(stamp_s * 1e9), 'camera')


def drive(source, frames, true_scale=1.0, start_s=0.0, **more):
    for i in range(frames):
        source.observe(street(true_scale, source, start_s + 0.1 * i, **more))


def test_without_a_source_scale_is_one_and_not_metric():
    source = GivenScale()
    drive(source, 3, 2.0)
    assert source.scale == Scale(1.0, 0.0, False)


def test_a_fixed_scale_is_metric():
    assert fixed_scale(1.37).scale == Scale(1.37, 0.0, True)


@pytest.mark.parametrize('value', [0, -1.0, float('nan'), float('inf')])
def test_an_impossible_scale_or_height_is_refused(value):
    with pytest.raises(ValueError, match='scale is'):
        fixed_scale(value)
    with pytest.raises(ValueError, match='camera height is'):
        CameraHeight(value)


@pytest.mark.parametrize('true_scale', [0.2, 0.8, 1.0, 3.7])
def test_camera_height_finds_the_scale_and_calls_it_metric(true_scale):
    source = CameraHeight(1.65)
    assert not source.scale.metric
    drive(source, 12, true_scale, noise=0.03)
    assert source.scale.value == pytest.approx(true_scale, rel=0.01)
    assert source.scale.metric and source.scale.sigma < 0.05 * true_scale
    assert np.degrees(source.plane.pitch) == pytest.approx(4, abs=0.5)


def test_the_scale_already_applied_does_not_feed_back():
    source = CameraHeight(1.65)
    drive(source, 60, 2.5)
    assert source.scale.value == pytest.approx(2.5, rel=1e-3)


def test_without_a_road_the_scale_freezes_and_its_deviation_grows():
    source = CameraHeight(1.65)
    drive(source, 10, 2.0)
    known = source.scale
    drive(source, 50, 9.0, start_s=1.0, label=BUILDING)
    assert source.scale.value == known.value and source.scale.sigma > known.sigma and source.plane is None


def test_metric_is_withdrawn_when_no_road_was_seen_for_too_long():
    source = CameraHeight(1.65, filter_rule=ScaleFilterRule(drift=0.02))
    drive(source, 10, 2.0)
    assert source.scale.metric
    for i in range(5):
        source.observe(street(2.0, source, 100.0 * (i + 1), label=BUILDING))
    assert not source.scale.metric and source.scale.value == pytest.approx(2.0, rel=0.01)


def test_a_single_false_plane_does_not_move_the_scale():
    source = CameraHeight(1.65)
    drive(source, 20, 1.0)
    before = source.scale.value
    source.observe(street(1.0, source, 2.1, height=2.6))
    assert source.scale.value == pytest.approx(before, rel=1e-3)


def test_a_lasting_change_is_believed_in_the_end():
    source = CameraHeight(1.65)
    drive(source, 20, 1.0)
    drive(source, 20, 1.5, start_s=2.0)
    assert source.scale.value == pytest.approx(1.5, rel=0.02)


def test_new_weights_start_the_scale_anew():
    source = CameraHeight(1.65)
    drive(source, 20, 1.0)
    source.observe(street(1.6, source, 2.1, version=1))
    assert source.scale.value == pytest.approx(1.6, rel=0.02)


def test_terrain_carries_the_plane_where_there_is_no_road():
    source = CameraHeight(1.65)
    drive(source, 12, 2.0, label=TERRAIN)
    assert source.scale.value == pytest.approx(2.0, rel=0.01)


def test_time_that_runs_backwards_does_not_shrink_the_deviation():
    source = CameraHeight(1.65)
    drive(source, 10, 1.0, start_s=100.0)
    sigma = source.scale.sigma
    source.observe(street(1.0, source, 5.0, label=BUILDING))
    assert source.scale.sigma >= sigma


def test_the_filter_is_the_closed_form_for_constant_measurements():
    f = LogScaleFilter(ScaleFilterRule(drift=0.0))
    for value in (0.10, 0.12, 0.08, 0.10):
        f.measure(value, 0.04)
    assert f.scale.value == pytest.approx(np.exp(0.10))
    assert f.scale.sigma == pytest.approx(np.exp(0.10) * 0.04 / 2)


def test_the_scale_is_learned_from_the_frames_that_are_perceived_with_it():
    """The stand-in sees a flat road at a third of its distance."""
    height, rule = 1.65, InputRule(pixels=320 * 96)
    geometry = input_geometry(CAMERA, rule)

    class Road:
        device, dtype = torch.device('cpu'), torch.float32

        def __call__(self, image):
            slope = torch.from_numpy(geometry.camera.rays()[..., 1].copy())
            depth = torch.where(slope > 0.02, height / slope.clamp(min=0.02), torch.tensor(50.0))[None, None] / 3
            classes = torch.where(slope > 0.02, ROAD, BUILDING)[None]
            logits = 8 * torch.nn.functional.one_hot(classes, 19).permute(0, 3, 1, 2).float()
            disparity = depth_to_disparity(depth / geometry.depth_factor(150.0), 0.1, 100.0)
            assert disparity.shape[-2:] == image.shape[-2:]
            return Prediction((disparity, disparity), logits, {})

    card = ModelCard(architecture={}, focal_px=150.0, input=rule)
    image = np.zeros((96, 320, 3), dtype=np.uint8)
    perceptor, source, perceived = Perceptor(torch.nn.Identity(), card, device='cpu', engine=Road()), CameraHeight(height), []
    for i in range(10):
        perceived.append(perceptor.perceive(Frame(image, 'rgb', CAMERA, i * 10 ** 8), source.scale))
        source.observe(perceived[-1])
    first, last = perceived[0], perceived[-1]
    assert first.scale == Scale() and last.scale.metric
    assert last.scale.value == pytest.approx(3, rel=0.01)
    np.testing.assert_allclose(last.depth[-1], 3 * first.depth[-1], rtol=0.01)

"""Scale from a recorded drive: calibrated, followed as a node would, and through a real Perceptor."""
import json
from types import SimpleNamespace as Fields

import numpy as np
import pytest
import torch

from scale_street import BUILDING, CAMERA, ROAD, Street, perceived, view
from stand_in_engine import StandInEngine
from semdepth_ros.classes import CITYSCAPES
from semdepth_ros.cli.main import main
from semdepth_ros.data.sample import Sample
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Scale
from semdepth_ros.geometry.input_geometry import input_geometry
from semdepth_ros.model_file import InputRule, ModelCard
from semdepth_ros.networks import Prediction, depth_to_disparity
from semdepth_ros.perception import Perceptor
from semdepth_ros.scale import CameraHeight, GivenScale, Mount
from semdepth_ros.scale.calibration import HeightCalibration, calibrate
from semdepth_ros.scale.camera_store import cameras_folder, stored_scale
from semdepth_ros.scale.trial import ScaleTrial, road_error

STREET, SPEED, RATE_HZ = Street(1.4, 5.0), 8.0, 5.0


class Drive(list):
    """Samples with the exact truth, at their places along the street."""

    name, camera = 'drive', CAMERA

    def __init__(self, frames, camera=CAMERA, truth=True):
        for i in range(frames):
            stamp_ns, pose = round(i * 1e9 / RATE_HZ), np.eye(4)
            pose[2, 3] = SPEED * i / RATE_HZ
            depth, labels = view(STREET, round(pose[2, 3], 6)) if truth else (None, None)
            image = np.full((CAMERA.height, CAMERA.width, 3), i, np.uint8)
            self.append(Sample(str(i), image, camera, stamp_ns, depth, labels, pose=pose if truth else None))


def network(true_scale, **more):
    """Return a function that perceives the street's frames with the scale 1."""
    return lambda frame: perceived(STREET, SPEED * frame.stamp_ns / 1e9, Scale(), frame.stamp_ns / 1e9, true_scale,
                                   **more)


@pytest.mark.parametrize('true_scale', [0.6, 1.0, 2.5])
@pytest.mark.parametrize('mount', [Mount(1.4), Mount(1.4, STREET.tilt)], ids=['learned', 'told'])
def test_scale_pitch_and_views_are_found(true_scale, mount):
    result = calibrate(network(true_scale, noise=0.02), Drive(60), mount)
    assert result.scale == pytest.approx(true_scale, rel=0.02) and result.doubt == ''
    assert result.pitch_deg == pytest.approx(5, abs=0.2)
    assert 12 <= result.agreeing <= result.views <= result.frames == 60
    assert 0.05 < result.sigma < 0.15


def test_what_is_left_of_the_road_after_scaling_is_told_by_distance():
    calibration = HeightCalibration(Mount(1.4, STREET.tilt))
    assert calibration.residuals == ()
    for i in range(40):
        calibration.take(perceived(STREET, SPEED * i / RATE_HZ, Scale(2.0), i / RATE_HZ, 1.5, bend=0.1))
    found = {r.from_m: r.error for r in calibration.residuals}
    assert len(found) >= 2 and min(found) <= 6 and abs(found[min(found)]) < 0.06       # measured near, so right there
    assert found[max(found)] - found[min(found)] > 0.05                              # and bent beyond
    assert calibration.found.frames == 40


def test_at_most_the_asked_frames_are_looked_at():
    assert calibrate(network(1.0), Drive(50), Mount(1.4), most=7).frames == 7


def test_a_drive_that_says_nothing_leaves_a_doubt_and_no_trust():
    result = calibrate(network(1.0, label={ROAD: BUILDING}), Drive(20), Mount(1.4))
    assert result.doubt and result.pitch_deg is None
    assert '5 of the 12 views' in calibrate(network(1.0), Drive(50), Mount(1.4, STREET.tilt), most=5).doubt
    with pytest.raises(ValueError, match='camera is not known'):
        calibrate(network(1.0), Drive(9, camera=None), Mount(1.4))


def test_a_trial_compares_what_is_published_with_the_true_road():
    trial = ScaleTrial(GivenScale(Scale(1.5, 0.15, True)))
    for sample in Drive(10):
        trial.take(network(2.0)(Frame(sample.image, 'rgb', CAMERA, sample.stamp_ns)), sample)
    assert [f.log_error for f in trial.frames] == pytest.approx([np.log(2.0 / 1.5)] * 10, abs=1e-5)
    assert trial.frames[3].sigmas == pytest.approx(np.log(2.0 / 1.5) / 0.1, rel=1e-4)
    assert trial.frames[-1].travelled_m == pytest.approx(9 * SPEED / RATE_HZ)
    summary = trial.summary()
    assert (summary['frames'], summary['metric'], summary['metric_with_truth']) == (10, 10, 10)
    assert summary['metric_share_after_50_m'] is None and summary['worst_sigmas'] == pytest.approx(2.88, abs=0.01)


def test_a_trial_follows_the_source_as_a_node_would():
    trial = ScaleTrial(CameraHeight(Mount(1.4, STREET.tilt)))
    calibrate(network(0.7, noise=0.02), Drive(100), Mount(1.4), trial=trial)
    summary = trial.summary()
    assert summary['metric_share_after_50_m'] > 0.9 and summary['metric_within_10_percent_after_50_m'] > 0.9
    assert summary['worst_sigmas'] < 3 and summary['median_sigma'] < 0.1
    assert not trial.frames[0].metric and trial.frames[0].log_error == pytest.approx(np.log(0.7), abs=0.1)


def test_where_the_truth_is_too_little_or_missing_no_error_is_told():
    with_truth, without = Drive(1)[0], Drive(1, truth=False)[0]
    depth, labels = view(STREET, 0.0)
    assert road_error(depth / 2, labels, with_truth) == pytest.approx(np.log(2), abs=1e-5)
    assert road_error(depth, labels, without) is None
    assert road_error(np.full_like(depth, np.inf), labels, with_truth) is None


@pytest.fixture
def stand_in(monkeypatch):
    """Let the command perceive the street at half its distance; return the drive that it opens."""
    drive = Drive(60)
    perceptor = Fields(card=Fields(classes=CITYSCAPES, factory='f' * 64), version=0, perceive=lambda frame, scale: network(2.0)(frame))
    monkeypatch.setattr(Perceptor, 'from_file', lambda name, device: perceptor)
    monkeypatch.setattr('semdepth_ros.data.open_data', lambda spec, camera: [drive])
    return drive


def test_the_command_prints_parameters_and_writes_figures_and_trace(stand_in, tmp_path, capsys):
    figures, trace = tmp_path / 'scale.json', tmp_path / 'out' / 'trace.json'
    arguments = ['calibrate', '--data', 'any', '--height', '1.4', '--pitch', '5']
    assert main([*arguments, '--json', str(figures), '--trace', str(trace)]) == 0
    printed = capsys.readouterr().out
    assert 'scale_source: fixed\n  scale: 2\n' in printed and 'never beyond' in printed
    assert ', and leaves ' in printed and ' m of the road\n' in printed
    found = json.loads(figures.read_text())['drive']
    assert found['frames'] == 60 and len(found['residuals']) > 1 and abs(found['residuals'][0]['error']) < 0.05
    traced = json.loads(trace.read_text())['drive']
    assert len(traced['frames']) == 60 and traced['summary']['worst_sigmas'] < 1


def test_the_command_keeps_the_scale_for_the_camera_that_is_named(stand_in, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('ROS_HOME', str(tmp_path))
    assert main(['calibrate', '--data', 'any', '--height', '1.4', '--pitch', '5', '--store', 'lens']) == 0
    assert f'stored in {tmp_path}' in capsys.readouterr().out
    stored = stored_scale('lens', stand_in.camera, 'f' * 64, cameras_folder())
    assert stored.scale == pytest.approx(2.0, rel=0.01) and 'camera height 1.4 m' in stored.how
    assert main(['calibrate', '--data', 'any', '--height', '1.4', '--frames', '4', '--store', 'other']) == 2
    assert "nothing is stored for 'other'" in capsys.readouterr().err


def test_the_command_says_why_there_is_no_scale_and_fails(stand_in, capsys):
    assert main(['calibrate', '--data', 'any', '--height', '1.4', '--frames', '4']) == 1
    printed = capsys.readouterr().out
    assert 'no scale that could be relied on: 4 planes' in printed and 'scale_source' not in printed


@pytest.mark.parametrize('arguments, words', [
    ([], "height is not known, expected --height"), (['--height', '-1'], 'camera height is -1'),
    (['--height', '1.4', '--pitch', '80'], '--pitch is 80'), (['--height', '1.4', '--frames', '0'], '--frames is 0')])
def test_the_command_refuses_what_cannot_be(stand_in, capsys, arguments, words):
    assert main(['calibrate', '--data', 'any', *arguments]) == 2
    assert words in capsys.readouterr().err


def test_a_perceptor_s_depth_becomes_metres_and_its_sigma_covers_the_rest():
    """The stand-in for the network reads from the image's brightness where it is; its road is a third as far."""
    rule = InputRule(pixels=CAMERA.width * CAMERA.height)
    assert input_geometry(CAMERA, rule).camera == CAMERA

    class Network(StandInEngine):
        def __call__(self, image):
            depth, labels = view(STREET, round(round(float(image.mean() * 255)) * SPEED / RATE_HZ, 6))
            disparity = depth_to_disparity(torch.from_numpy(np.minimum(depth, 200) / 3)[None, None], 0.1, 100.0)
            logits = 8 * torch.nn.functional.one_hot(torch.from_numpy(labels).long()[None], 19).permute(0, 3, 1, 2)
            return Prediction((disparity, disparity), logits.float(), {})
    card = ModelCard(architecture={}, focal_px=CAMERA.fx, input=rule, sigma={'floor': 0.02, 'gain': 1.0})
    perceptor = Perceptor(torch.nn.Identity(), card, device='cpu', engine=Network())
    source = CameraHeight(Mount(1.4, STREET.tilt))
    for sample in Drive(50):
        last = perceptor.perceive(Frame(sample.image, 'rgb', CAMERA, sample.stamp_ns), source.scale)
        source.observe(last)
    assert last.scale.metric and last.scale.value == pytest.approx(3, rel=0.01)
    assert road_error(last.depth, last.labels, sample) == pytest.approx(0, abs=0.01)
    road = (last.labels == ROAD) & np.isfinite(last.depth)
    relative = last.sigma[road] / last.depth[road]
    np.testing.assert_allclose(relative, np.hypot(0.02, last.scale.sigma / last.scale.value), rtol=1e-3)

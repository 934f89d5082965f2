"""Scale from a drive: a flat road that a stand-in sees at a known wrong distance."""
import numpy as np
import pytest
import torch

from semdepth_ros.classes import TRAIN_ID
from semdepth_ros.cli.main import main
from semdepth_ros.data.sample import Sample
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.input_geometry import input_geometry
from semdepth_ros.model_file import InputRule, ModelCard
from semdepth_ros.networks import Prediction, depth_to_disparity
from semdepth_ros.perception import Perceptor
from semdepth_ros.perception.calibration import calibrate

CAMERA = Camera.from_field_of_view(320, 96, 82)
RULE = InputRule(pixels=320 * 96)
HEIGHT = 1.4


class Road:
    """An engine that sees the road, and what is above it, nearer than it is; nothing but a wall in dark images."""

    device, dtype = torch.device('cpu'), torch.float32

    def __init__(self, nearer):
        self.nearer = nearer

    def __call__(self, image):
        geometry = input_geometry(CAMERA, RULE)
        pitch = np.radians(5)
        slope = torch.from_numpy(geometry.camera.rays() @ np.array([0, np.cos(pitch), np.sin(pitch)], np.float32))
        road = (slope > 0.03) & (image.mean() > 0.1)
        depth = torch.where(road, HEIGHT / slope.clamp(min=0.03), torch.tensor(30.0)) / self.nearer
        disparity = depth_to_disparity(depth / geometry.depth_factor(150.0), 0.1, 100.0)[None, None]
        classes = torch.where(road, TRAIN_ID['road'], TRAIN_ID['building'])[None]
        logits = 8 * torch.nn.functional.one_hot(classes, 19).permute(0, 3, 1, 2).float()
        return Prediction((disparity, disparity), logits, {})


def drive(bright, dark=0, camera=CAMERA):
    """Return a sequence of so many frames."""
    class Drive(list):
        name = 'drive'
    images = [np.full((96, 320, 3), 200, np.uint8)] * bright + [np.zeros((96, 320, 3), np.uint8)] * dark
    return Drive(Sample(str(i), image, camera, i * 10 ** 8) for i, image in enumerate(images))


def perceptor(nearer):
    return Perceptor(torch.nn.Identity(), ModelCard(architecture={}, focal_px=150.0, input=RULE), device='cpu',
                     engine=Road(nearer))


@pytest.mark.parametrize('nearer', [0.6, 1.0, 2.5])
def test_scale_pitch_and_coverage_are_found(nearer):
    result = calibrate(perceptor(nearer), drive(10, dark=4), HEIGHT)
    assert result.scale == pytest.approx(nearer, rel=0.01)
    assert result.pitch_deg == pytest.approx(5, abs=0.1) and abs(result.roll_deg) < 0.1
    assert (result.planes, result.frames) == (10, 14) and result.spread < 0.01


def test_at_most_the_asked_frames_are_looked_at():
    assert calibrate(perceptor(1.0), drive(50), HEIGHT, most=7).frames == 7


@pytest.mark.parametrize('sequence, message', [(drive(2, dark=9), '2 of 11 frames'),
                                               (drive(9, camera=None), 'camera is not known')])
def test_a_drive_that_says_nothing_is_refused(sequence, message):
    with pytest.raises(ValueError, match=message):
        calibrate(perceptor(1.0), sequence, HEIGHT)


def test_the_command_prints_parameters(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(Perceptor, 'from_file', lambda name, device: perceptor(2.0))
    monkeypatch.setattr('semdepth_ros.data.open_data', lambda spec, camera: [drive(8)])
    figures = tmp_path / 'scale.json'
    assert main(['calibrate', '--data', 'any', '--height', str(HEIGHT), '--json', str(figures)]) == 0
    assert 'scale_source: fixed\n  scale: 2' in capsys.readouterr().out
    assert '"planes": 8' in figures.read_text()
    assert main(['calibrate', '--data', 'any', '--height', '-1']) == 2
    assert 'camera height is -1' in capsys.readouterr().err

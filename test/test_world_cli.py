"""`semdepth world`: what it writes can be read back, and what it cannot write is said in one line."""
import cv2
import numpy as np
import pytest

from semdepth_ros.cli.main import main
from semdepth_ros.data import open_data

SMALL = ['--frames', '3', '--size', '96x48', '--seed', '7']


def test_a_folder_sequence_holds_the_drive(tmp_path, capsys):
    assert main(['world', '--out', str(tmp_path / 'drive'), *SMALL, '--height', '1.5', '--rate', '5']) == 0
    sequence, = open_data(str(tmp_path / 'drive'))
    assert len(sequence) == 3 and sequence.camera.height_m == 1.5
    sample = sequence[1]
    assert sample.image.shape == (48, 96, 3) and sample.stamp_ns == 200_000_000
    assert sample.depth is not None and sample.labels is not None and sample.pose is not None
    assert '3 frames 96x48' in capsys.readouterr().out


def test_a_bag_holds_the_drive(tmp_path):
    pytest.importorskip('rosbags')
    assert main(['world', '--out', str(tmp_path / 'drive.mcap'), *SMALL, '--jpeg']) == 0
    sequence, = open_data(str(tmp_path / 'drive.mcap'))
    assert len(sequence) == 3
    assert sequence[0].image.shape == (48, 96, 3)


def test_a_preview_shows_colour_depth_and_classes(tmp_path):
    out = tmp_path / 'sheet.png'
    assert main(['world', '--preset', 'dusk', '--preview', str(out), *SMALL, '--fov', '60', '--pitch', '3']) == 0
    sheet = cv2.imread(str(out))
    assert sheet.shape == (3 * 240, 3 * 480, 3) and np.ptp(sheet) > 100


@pytest.mark.parametrize('arguments, words', [(['--preset', 'noon', '--preview', 'x.png'], "preset is 'noon'"),
                                              ([], 'nothing to write'),
                                              (['--seed', '-1', '--preview', 'x.png'], 'seed is -1, expected zero'),
                                              (['--fleet', '1', '--seed', '-1', '--out', 'x'], 'seed is -1, expected'),
                                              (['--height', '-1', '--preview', 'x.png'], 'camera height is -1.0 m'),
                                              (['--height', '0', '--preview', 'x.png'], 'camera height is 0.0 m'),
                                              (['--split', 'dev', '--preview', 'x.png'], "split is 'dev'"),
                                              (['--preview', '/proc/x.png', *SMALL], '/proc/x.png cannot')])
def test_errors_are_one_line(arguments, words, capsys):
    assert main(['world', *arguments]) == 2
    captured = capsys.readouterr().err
    assert words in captured and captured.count('\n') == 1

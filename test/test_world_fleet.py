"""Fleets of drives for training."""
import pytest

from semdepth_ros.cli.main import main
from semdepth_ros.data import open_data
from semdepth_ros.world.fleet import FIELD_OF_VIEW_DEG, HEIGHT_M, SHARES, fleet


def described(drives):
    return [(d.preset, d.seed, d.camera, d.camera_in_base.tolist()) for d in drives]


def test_a_drive_is_the_same_whatever_the_size_of_its_fleet():
    assert described(fleet(2, 3, 64, 32)) == described(fleet(5, 3, 64, 32))[:2]


def test_splits_and_seeds_draw_different_cameras():
    cameras = {d.camera for split in ('train', 'val') for seed in (0, 1) for d in fleet(4, 3, 64, 32, split, seed)}
    assert len(cameras) == 16


def test_cameras_lights_and_heights_vary_within_their_ranges():
    drives = list(fleet(60, 3, 64, 32))
    assert {d.preset for d in drives} == set(SHARES)
    assert all(HEIGHT_M[0] <= d.camera.height_m <= HEIGHT_M[1] for d in drives)
    widest, narrowest = (64 / 2 / d for d in (min(d.camera.fx for d in drives), max(d.camera.fx for d in drives)))
    assert 0.52 < narrowest < 0.62 and 0.95 < widest < 1.1       # tangents of half of 55 and 95 degrees
    assert FIELD_OF_VIEW_DEG == (55.0, 95.0)


def test_the_command_writes_folder_sequences_and_keeps_what_is_there(tmp_path):
    command = ['world', '--fleet', '2', '--frames', '2', '--size', '64x32', '--split', 'train',
               '--out', str(tmp_path / 'f')]
    assert not main(command)
    sequences = open_data(str(tmp_path / 'f'))
    assert [len(s) for s in sequences] == [2, 2] and sequences[0].camera != sequences[1].camera
    before = [p.stat().st_mtime_ns for p in sorted((tmp_path / 'f').glob('*/images/*'))]
    assert not main(command)
    assert [p.stat().st_mtime_ns for p in sorted((tmp_path / 'f').glob('*/images/*'))] == before


@pytest.mark.parametrize('arguments', [['--out', 'x.mcap'], ['--preview', 'x.png'], ['--out', 'x', '--fov', '60']])
def test_a_fleet_without_a_folder_or_with_a_camera_is_refused_in_one_line(arguments, capsys):
    assert main(['world', '--fleet', '2', *arguments]) == 2
    assert 'a fleet goes to a folder and draws its cameras' in capsys.readouterr().err

"""Fleets of drives for training."""
import filecmp
import os
import signal
import subprocess
import sys
import time

import pytest

from semdepth_ros.cli.main import main
from semdepth_ros.data import open_data
from semdepth_ros.world.fleet import FIELD_OF_VIEW_DEG, HEIGHT_M, SHARES, draw_fleet, fleet


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


def fleet_command(out, drives, workers, frames=2):
    return ['world', '--fleet', str(drives), '--frames', str(frames), '--size', '64x32', '--split', 'train',
            '--workers', str(workers), '--out', str(out)]


def files_of(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob('*') if p.is_file())


def test_workers_write_what_one_process_writes_and_do_again_what_is_broken(tmp_path, capsys):
    alone, shared = tmp_path / 'alone', tmp_path / 'shared'
    assert not main(fleet_command(alone, 3, 1)) and not main(fleet_command(shared, 3, 2))
    assert 'frames 6/6' in capsys.readouterr().err
    whole, *broken = sorted(shared.iterdir())
    (broken[0] / 'depth/000001.png').unlink()
    (broken[1] / 'times.txt').unlink()
    kept = (whole / 'times.txt').stat().st_mtime_ns
    assert not main(fleet_command(shared, 3, 2))
    captured = capsys.readouterr()
    assert 'frames 4/4' in captured.err and '1 of them were there' in captured.out
    assert (whole / 'times.txt').stat().st_mtime_ns == kept
    names = files_of(alone)
    assert len(names) == 3 * 9 and files_of(shared) == names
    assert filecmp.cmpfiles(alone, shared, names, shallow=False)[1:] == ([], [])


def test_an_error_of_a_worker_ends_the_command_in_one_line(tmp_path, capsys):
    (tmp_path / 'f').mkdir()
    (tmp_path / f'f/{draw_fleet(2, 2, 64, 32)[1].name}.partial').write_text('no folder can be made here')
    assert main(fleet_command(tmp_path / 'f', 2, 2)) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert 'drive 001_' in last and 'Not a directory' in last


def alone_within(seconds, group):
    """Whether the last process of a group ends in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_ctrl_c_ends_all_workers_and_leaves_nothing_half_written(tmp_path):
    command = [sys.executable, '-m', 'semdepth_ros.cli.main', *fleet_command(tmp_path / 'f', 2, 2, frames=2000)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + 60
    while len(list((tmp_path / 'f').glob('*.partial/depth/*'))) < 20 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    errors = process.communicate(timeout=30)[1].decode()
    assert process.returncode == 130 and 'Traceback' not in errors
    assert alone_within(5, process.pid)
    assert files_of(tmp_path / 'f') == []


@pytest.mark.parametrize('arguments, words', [(['--workers', '0', '--out', 'x'], '--workers is 0, expected at least 1'),
                                              (['--split', 'dev', '--out', 'x'], "split is 'dev', expected one of")])
def test_impossible_fleets_are_refused_in_one_line(arguments, words, capsys):
    assert main(['world', '--fleet', '2', *arguments]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize('arguments', [['--out', 'x.mcap'], ['--preview', 'x.png'], ['--out', 'x', '--fov', '60']])
def test_a_fleet_without_a_folder_or_with_a_camera_is_refused_in_one_line(arguments, capsys):
    assert main(['world', '--fleet', '2', *arguments]) == 2
    assert 'a fleet goes to a folder and draws its cameras' in capsys.readouterr().err

"""semdepth ablate: what it renders, lists, refuses, and that it goes on after Ctrl-C."""
import fcntl
import os
import re
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from tiny_experiment import DECLARED, build_towns, declare, experiment

from semdepth_ros.cli.ablation_data import render_missing
from semdepth_ros.cli.main import main
from semdepth_ros.data import open_data
from semdepth_ros.evaluation.dense_evaluation import CLASS_BANDS, CLASSES, metric_names
from semdepth_ros.experiments import read_experiment
from semdepth_ros.experiments.plan import Folders, expect_sound, fleet_folder, runs_of, town_folders
from semdepth_ros.experiments.results import read_result
from semdepth_ros.world import Drive, default_camera, noisy_labels
from semdepth_ros.world.fleet import draw_fleet


def places(folder):
    return ['--work', str(folder / 'work'), '--docs', str(folder / 'docs')]


def interrupt_once_there_is(path):
    """Send this process what Ctrl-C sends, as soon as the path exists."""
    def watch():
        deadline = time.monotonic() + 300
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=watch, daemon=True).start()


def test_the_command_goes_on_after_ctrl_c_and_ends_with_a_result_and_a_page(tmp_path, capsys):
    arms = [{'name': 'plain'}, {'name': 'odd', 'set': {'losses.magic': 1}}]
    file = declare(tmp_path, steps=60, start=None, arms=arms)
    declared, folders = read_experiment(file), Folders(tmp_path / 'work', tmp_path / 'docs')
    build_towns(declared, folders)
    command = ['ablate', str(file), '--only', 'plain', *places(tmp_path)]
    (run,) = runs_of(declared, 60, ('plain',))
    interrupt_once_there_is(run.training_folder(folders) / 'last.ckpt')
    assert main(command) == 130
    assert (run.training_folder(folders) / 'last.ckpt').exists() and not run.model(folders).exists()
    assert 'continue with: semdepth' in capsys.readouterr().out
    assert not main([*command, '--budget-minutes', '60'])
    result = read_result(tmp_path / 'docs/tiny/results/plain_s1.json')
    assert result['steps'] == 60 and len(result['towns']) == 2
    assert f'page: {tmp_path}/docs/tiny/README.md' in capsys.readouterr().out
    assert not main(['ablate', str(file), '--list', *places(tmp_path)])
    plain, odd = capsys.readouterr().out.splitlines()[1:]
    assert 'measured' in plain and 'model.safetensors' in plain and "cannot run: arm 'odd'" in odd


def test_towns_and_fleets_are_rendered_where_they_are_missing(tmp_path):
    noise = {'flip_rate': 0.5, 'border_rate': 0.0}
    data = {'noisy': {'labels': 'noisy', 'fleet': {'drives': 1, 'frames': 3, 'size': [64, 32], 'label_noise': noise}}}
    towns = {'count': 2, 'frames': 2, 'size': [64, 32], 'first_seed': 310, 'presets': ['fog', 'day'], 'rate_hz': 0.5}
    declared, folders = experiment(tmp_path, data=data, towns=towns), Folders(tmp_path / 'work', tmp_path / 'docs')
    render_missing(declared, runs_of(declared, 3), folders, 'cpu', 1)
    there = town_folders(declared.towns, folders)
    assert list(there) == ['fog_310', 'day_311']
    (sequence,) = open_data(there['day_311'][2])
    frame = Drive('day', 311, 2, default_camera('day', (64, 32)), 0.5, 'test')[1]
    np.testing.assert_array_equal(sequence[1].labels, frame.labels)
    assert sequence[1].stamp_ns == 2 * 10 ** 9
    (drive,) = open_data(fleet_folder(declared.data['noisy'].fleet, folders))
    first = draw_fleet(1, 3, 64, 32, 'train', 0)[0].build()
    wrong = noisy_labels(first[2], first.camera, first.seed, **noise)
    np.testing.assert_array_equal(drive[2].noisy_labels, wrong.labels)
    np.testing.assert_array_equal(drive[2].noisy_confidence, wrong.confidence)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / 'work').rglob('*.png')}
    render_missing(declared, runs_of(declared, 3), folders, 'cpu', 1)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / 'work').rglob('*.png')}


def test_knobs_of_fleets_and_towns_are_rendered(tmp_path):
    data = {'same': {'fleet': {'drives': 1, 'frames': 2, 'size': [64, 32], 'same_speed': 1.0, 'repetitive': 1.0,
                               'preset': 'fog'}}}
    towns = {'count': 2, 'frames': 1, 'size': [64, 32], 'first_seed': 310, 'presets': ['day'], 'same_speed': 1.0}
    declared, folders = experiment(tmp_path, data=data, towns=towns), Folders(tmp_path / 'work', tmp_path / 'docs')
    render_missing(declared, runs_of(declared, 3), folders, 'cpu', 1)
    (sequence,) = open_data(town_folders(declared.towns, folders)['day_310'][2])
    frame = Drive('day', 310, 1, default_camera('day', (64, 32)), 1.0, 'test', same_speed=True)[0]
    np.testing.assert_array_equal(sequence[0].image, frame.image)
    (drive,) = open_data(fleet_folder(declared.data['same'].fleet, folders))
    first = draw_fleet(1, 2, 64, 32, 'train', 0, 1.0, 1.0, 'fog')[0]
    assert first.same_speed and first.repetitive and first.name == '000_fog'
    np.testing.assert_array_equal(drive[1].image, first.build()[1].image)


def test_a_segmenter_that_is_missing_is_told_before_work_begins(tmp_path, capsys):
    arms = [{'name': 'plain', 'about': 'depth alone'}, {'name': 'guided', 'about': 'by a segmenter', 'set': {
        'architecture.guidance': {'kind': 'concatenation', 'segmenter': str(tmp_path / 'none.safetensors')}}}]
    config = declare(tmp_path, arms=arms, hypotheses=[])
    command = ['ablate', str(config), '--work', str(tmp_path / 'work'), '--docs', str(tmp_path / 'docs'), '--device', 'cpu']
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "arm 'guided': " in said and 'none.safetensors' in said and said.count('\n') == 1
    assert not (tmp_path / 'work' / 'data').exists() and not (tmp_path / 'work' / 'starts').exists()


def test_the_experiment_in_the_documentation_can_be_read(tmp_path):
    page = (Path(__file__).resolve().parents[1] / 'docs' / 'ABLATIONS.md').read_text()
    (tmp_path / 'shown.yaml').write_text(re.search(r'```yaml\n(.*?)```', page, re.DOTALL).group(1))
    declared = read_experiment(tmp_path / 'shown.yaml')
    expect_sound(runs_of(declared, declared.steps), Folders(tmp_path / 'work', tmp_path / 'docs'))


def test_the_documentation_names_every_kind_of_figure():
    page = (Path(__file__).resolve().parents[1] / 'docs' / 'ABLATIONS.md').read_text()
    words = {word for name in metric_names() for word in name.split('.')} - {*CLASSES, *CLASS_BANDS}
    words |= {name.replace('road', 'CLASS') for name in CLASS_BANDS if name.startswith('road')}
    missing = [word for word in words if re.sub(r'_\d+px$', '', word).removeprefix('beyond_movable_border') not in page]
    assert not missing


def test_the_experiments_of_the_package_are_listed(capsys):
    assert not main(['ablate', '--list'])
    assert 'core_li2021 ' in capsys.readouterr().out


@pytest.mark.parametrize('arguments, words', [
    ([], 'name an experiment: a file, or one of'),
    (['nowhere'], "no experiment 'nowhere'"),
    (['FILE', '--only', 'none'], "arm is 'none', expected one of ['plain', 'semantic', 'odd']"),
    (['FILE'], "arm 'odd': recipe.losses has unknown key 'magic'"),
    (['FILE', '--jobs', '0'], '--jobs is 0, expected at least 1'),
    (['FILE', '--budget-minutes', '-1'], '--budget-minutes is -1, expected a positive number'),
    (['FILE', '--real', '/no/where'], '--real /no/where: no such folder'),
])
def test_what_cannot_be_run_is_said_in_one_line_before_any_work(tmp_path, arguments, words, capsys):
    file = declare(tmp_path, arms=[*DECLARED['arms'], {'name': 'odd', 'set': {'losses.magic': 1}}])
    assert main(['ablate', *(str(file) if a == 'FILE' else a for a in arguments), *places(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith('semdepth ablate: ') and words in error and len(error.splitlines()) == 1
    assert not (tmp_path / 'work/data').exists()


def test_two_commands_do_not_work_in_one_folder(tmp_path, capsys):
    (tmp_path / 'work').mkdir()
    with open(tmp_path / 'work/lock', 'w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert main(['ablate', str(declare(tmp_path)), *places(tmp_path)]) == 2
    assert f'another semdepth ablate works in {tmp_path}/work' in capsys.readouterr().err


def test_a_report_needs_nothing_but_results(tmp_path, capsys):
    assert not main(['ablate', str(declare(tmp_path)), '--report-only', *places(tmp_path)])
    assert '**not run**' in (tmp_path / 'docs/tiny/README.md').read_text() and not (tmp_path / 'work').exists()

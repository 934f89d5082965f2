"""`semdepth adapt study`: what is declared, run once, kept, and said on the page."""
from __future__ import annotations

import json

import pytest
import yaml
from adaptation_world import CAMERA, STEP_M, pose, view
from tiny_model import write_models

from semdepth_ros.cli.main import main
from semdepth_ros.data import Sample, open_data, write_folder_sequence
from semdepth_ros.experiments.adaptation_study import Cell, Offline, StudyDrive, read_study
from semdepth_ros.experiments.adaptation_study_page import BLOCK, change_of, share_closed, study_page
from semdepth_ros.experiments.adaptation_study_run import StudyFolders, fine_tuned, sequence_of
from semdepth_ros.model_file import read_model
from semdepth_ros.settings import SettingsError
from semdepth_ros.share import shared_names

FRAMES = 62
FAST = {'step': {'anchors_from': 'none'}, 'gates': {'least_parallax_px': 0.2, 'least_tracks': 10},
        'reset': {'settle': 0}}
RECIPE = {'architecture': {'encoder': 'small'}, 'focal_px': 100.0, 'sizes': [[64, 64]], 'scales': 2, 'batch': 2,
          'steps': 3, 'losses': {'photometric': 1.0, 'semantic': 0.3}, 'data': [{'source': 'world:day:1:4'}]}


@pytest.fixture(scope='module')
def study(tmp_path_factory):
    """Return the folder of a study of two arms on two drives, of which one run was made."""
    folder = tmp_path_factory.mktemp('study')
    samples = []
    for i in range(FRAMES):
        image, depth, labels = view(i * STEP_M)
        samples.append(Sample(f'{i:04d}', image, CAMERA, i * 100_000_000, depth=depth, labels=labels, pose=pose(i)))
    write_folder_sequence(folder / 'real' / 'corridor', samples, CAMERA, 10.0)
    content = {'title': 'A corridor', 'model': str(write_models(folder, 1)[0]),
               'drives': {'corridor': {'source': 'corridor'},
                          'images': {'source': 'corridor', 'odometry': False, 'about': 'no | odometry'}},
               'arms': {'ours': {'settings': FAST}, 'naive': {'baseline': 'naive', 'on': ['corridor']}},
               'after': {'source': 'corridor', 'frames': 3}}
    (folder / 'walk.yaml').write_text(yaml.safe_dump(content, sort_keys=False))
    assert main(arguments(folder, '--arms', 'naive')) == 0
    return folder


def arguments(folder, *more):
    return ['adapt', 'study', str(folder / 'walk.yaml'), '--out', str(folder / 'docs'), '--work', str(folder / 'work'),
            '--real', str(folder / 'real'), *more]


def test_a_run_is_kept_as_a_small_file_with_what_the_page_needs(study):
    file = study / 'docs' / 'results' / 'corridor__naive.json'
    result = json.loads(file.read_text())
    assert file.stat().st_size < 20_000
    assert result['frames'] == FRAMES and result['accepted_steps'] > 0 and result['promotions'] == 0
    assert 0 < result['processor_ms_per_step']
    assert len(result['frame_abs_rel']['frozen']) == len(result['frame_abs_rel']['served']) == 20
    assert result['frame_abs_rel']['frozen'] != result['frame_abs_rel']['served']
    assert set(result['abs_rel']['last_third']) == {'frozen', 'scale_only', 'weights_only', 'adapted'}
    assert result['after']['frozen']['median_scaled'] != result['after']['served']['median_scaled']


def test_the_page_says_what_was_not_run(study):
    text = (study / 'docs' / 'README.md').read_text()
    assert text.startswith('# A corridor\n') and 'no \\| odometry' in text
    assert 'Not run: corridor / ours, images / ours.' in text
    assert '## Metric scale' in text and f'| corridor | naive | {FRAMES} | ' in text
    assert '| ours | not run | not run |' in text and '| naive | +' in text.replace('| naive | -', '| naive | +')


def test_what_was_run_is_not_run_again(study, capsys):
    file = study / 'docs' / 'results' / 'corridor__naive.json'
    before, page = file.read_bytes(), (study / 'docs' / 'README.md').read_bytes()
    assert main(arguments(study, '--arms', 'naive')) == 0
    assert main(arguments(study, '--report-only')) == 0
    assert 'corridor, naive' not in capsys.readouterr().out
    assert file.read_bytes() == before and (study / 'docs' / 'README.md').read_bytes() == page


def test_other_settings_make_another_run_and_words_do_not(study):
    declared = read_study(study / 'walk.yaml')
    cell = Cell('corridor', 'ours')
    content = yaml.safe_load((study / 'walk.yaml').read_text())
    content['drives']['corridor']['about'] = 'a walk'
    (study / 'said.yaml').write_text(yaml.safe_dump(content, sort_keys=False))
    assert read_study(study / 'said.yaml').fingerprint(cell, 'm') == declared.fingerprint(cell, 'm')
    content['arms']['ours']['settings']['step']['learning_rate'] = 1e-5
    (study / 'other.yaml').write_text(yaml.safe_dump(content, sort_keys=False))
    assert read_study(study / 'other.yaml').fingerprint(cell, 'm') != declared.fingerprint(cell, 'm')


@pytest.mark.parametrize('change, words', [
    ({'arms': {'ours': {'settings': {'step': {'colour': 1}}}}}, "unknown key 'colour'"),
    ({'arms': {'ours': {'on': ['mars']}}}, "arms.ours.on is 'mars'"),
    ({'arms': {'ours': {'baseline': 'magic'}}}, "baseline is 'magic'"),
    ({'arms': {'best': {'offline': {'towns': 1}}}}, 'expected a recipe'),
    ({'drives': {}}, 'drives is {}'), ({'colour': 1}, "unknown key 'colour'")])
def test_a_mistake_in_a_declaration_is_named(study, tmp_path, change, words):
    content = yaml.safe_load((study / 'walk.yaml').read_text()) | change
    (tmp_path / 's.yaml').write_text(yaml.safe_dump(content, sort_keys=False))
    with pytest.raises(SettingsError, match='s.yaml') as error:
        read_study(tmp_path / 's.yaml')
    assert words in str(error.value) and '\n' not in str(error.value)


def test_arms_and_drives_that_are_not_there_are_refused(study, capsys):
    assert main(arguments(study, '--arms', 'best')) == 2
    assert "has no 'best', expected one of ['ours', 'naive']" in capsys.readouterr().err
    assert main(['adapt', 'study', 'nowhere', '--out', str(study / 'docs')]) == 2
    assert "'adaptation_world'" in capsys.readouterr().err


def outcome(frozen, served):
    """Return a result of these block means."""
    frames = {name: [v for v in values for _ in range(BLOCK)] for name, values in
              (('frozen', frozen), ('served', served))}
    values = {'frozen': sum(frozen) / len(frozen), 'weights_only': sum(served) / len(served)}
    columns = {name: {'median_scaled': value, 'unscaled': value} for name, value in
               (values | {'scale_only': 0.3, 'adapted': 0.2}).items()}
    return {'frames': 90, 'factory': 'f', 'frame_abs_rel': frames, 'abs_rel': {'last_third': columns},
            'after': {}, 'steps': 9, 'accepted_steps': 8, 'promotions': 1, 'rollbacks': 0, 'resets': 0, 'last_step': 80,
            'gates': {'tracks': 2, 'loss': 3}, 'refused': {'gain': 2}, 'ms_per_step': 99.6, 'held_out': {},
            'trials': [{'frame': 50, 'passed': True, 'reason': 'photometric error is 2 % less'}]}


def test_the_figures_of_the_page_are_those_of_the_runs():
    ours, offline = outcome([0.2, 0.2, 0.2], [0.18, 0.19, 0.17]), outcome([0.1, 0.15, 0.05], [0.1, 0.15, 0.05])
    change = change_of(ours)
    assert change.value == pytest.approx(-0.1) and change.low < -0.1 < change.high < 0
    assert share_closed(ours, offline) == pytest.approx(0.2)
    assert share_closed(ours, outcome([0.196] * 3, [0.196] * 3)) is None      # a gap of 2 % is none to close
    study = read_study('adaptation_world')
    text = study_page(study, {Cell('fog', 'ours'): ours, Cell('fog', 'offline'): offline}, False)
    assert '| fog | ours | 0.200 | 0.180 | -10.0 % [-15.0 %, -5.0 %] | 0.100 | 20 % |' in text
    assert '| fog | ours | 90 | 8 of 9 | 80 | 1 | 0 | gain 2 | 0 | loss 3, tracks 2 | 100 | – |' in text
    assert '| night | ours | not run |' in text and '-5.0 %' in text


def test_the_final_towns_are_others_than_those_looked_at_and_learned_from():
    study = read_study('adaptation_world')
    seeds = [int(drive.source.split(':')[2]) for drive in study.drives.values()]
    learned = study.arms['offline'].offline
    assert len(set(seeds)) == len(seeds) == 6
    assert not set(seeds) & set(range(learned.first_seed, learned.first_seed + learned.towns))
    assert {drive.preset for drive in study.drives.values() if drive.final} == {
        'dusk', 'night', 'fog', 'other_town', 'other_camera', 'day'}


def test_a_drive_through_the_world_is_rendered_once_at_the_size_asked_for(tmp_path):
    folders, drive = StudyFolders(tmp_path, tmp_path), StudyDrive('world:day:3', 4, (64, 32))
    first = sequence_of(drive, folders)
    assert len(first) == 4 and (first.camera.width, first.camera.height) == (64, 32) and first.poses is not None
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*.png')}
    assert sequence_of(drive, folders)[2].image.shape == (32, 64, 3)
    assert stamps == {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*.png')} and stamps
    with pytest.raises(ValueError, match='expected --real'):
        sequence_of(StudyDrive('highway'), folders)


def test_the_offline_reference_is_the_model_trained_on_and_kept(tmp_path, study):
    (tmp_path / 'r.yaml').write_text(yaml.safe_dump(RECIPE))
    declared = read_study(study / 'walk.yaml')
    declared = type(declared)(**{**vars(declared), 'recipe': str(tmp_path / 'r.yaml')})
    how, drive = Offline(towns=1, frames=4, steps=1), StudyDrive('world:day:3', 4, (96, 64))
    folders = StudyFolders(tmp_path / 'work', tmp_path)
    path = fine_tuned(declared, how, drive, study / 'v0.safetensors', folders)
    before, after = (read_model(file)[0] for file in (study / 'v0.safetensors', path))
    assert before.keys() <= after.keys() | {'probe.0.image', 'probe.1.image'}
    assert any(not before[name].equal(after[name]) for name in before if 'probe' not in name)
    stamp = path.stat().st_mtime_ns
    assert fine_tuned(declared, how, drive, study / 'v0.safetensors', folders) == path
    assert path.stat().st_mtime_ns == stamp


def test_the_world_has_a_size_or_a_camera(tmp_path):
    assert open_data('world:other_camera:1:3', size=[60, 40])[0].camera.width == 60
    with pytest.raises(ValueError, match='beside a camera'):
        open_data('world:day:1:3', camera=CAMERA, size=[60, 40])


def test_a_declaration_of_the_source_tree_hides_an_installed_one(tmp_path, monkeypatch):
    installed = tmp_path / 'share' / 'semdepth_ros' / 'config' / 'studies'
    installed.mkdir(parents=True)
    for name in ('adaptation_world', 'another'):
        (installed / f'{name}.yaml').write_text('old: true\n')
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    names = shared_names('config', 'studies')
    assert names['another'] == installed / 'another.yaml' and names['adaptation_world'].parent != installed
    assert list(names) == sorted(names) and read_study('adaptation_world').title

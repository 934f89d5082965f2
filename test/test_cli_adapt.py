"""`semdepth adapt`: the contract of adapt.json, the report, the baselines, and what is refused."""
from __future__ import annotations

import json
import re

import numpy as np
import pytest
from adaptation_world import CAMERA, STEP_M, adapter, factory, frame, pose, view
from tiny_model import write_models

from semdepth_ros.adaptation import AdapterSettings, read_journal
from semdepth_ros.cli.adapt import settings_from
from semdepth_ros.cli.main import main
from semdepth_ros.data import Sample, write_folder_sequence
from semdepth_ros.experiments import adaptation_run
from semdepth_ros.experiments.adaptation_baselines import BASELINES
from semdepth_ros.experiments.adaptation_page import page
from semdepth_ros.experiments.adaptation_run import COLUMNS, DriveRun, adapt_drive
from semdepth_ros.experiments.adaptation_scale import FusedColumn
from semdepth_ros.experiments.timeline import Mark, Series, timeline
from semdepth_ros.frame_perception import Scale
from semdepth_ros.networks import load_network
from semdepth_ros.settings import build, merged

FRAMES = 14
FAST = ['step.anchors_from=none', 'step.scales=2', 'gates.least_parallax_px=0.2', 'gates.least_tracks=10',
        'reset.settle=0']


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    """Return a tiny model and a drive down the corridor, as files."""
    folder = tmp_path_factory.mktemp('adapt')
    samples = []
    for i in range(FRAMES):
        image, depth, labels = view(i * STEP_M)
        samples.append(Sample(f'{i:04d}', image, CAMERA, i * 100_000_000, depth=depth, labels=labels, pose=pose(i)))
    write_folder_sequence(folder / 'drive', samples, CAMERA, 10.0)
    return write_models(folder, 1)[0], folder / 'drive'


@pytest.fixture(scope='module')
def run(world, tmp_path_factory):
    """Return the folder of a run."""
    out = tmp_path_factory.mktemp('run') / 'out'
    arguments = ['adapt', str(world[1]), '--model', str(world[0]), '--out', str(out), '--passes', '2', '--set', *FAST]
    assert main(arguments) == 0
    return out


def test_the_result_has_the_contracts_keys_and_counts_every_frame(run):
    result = json.loads((run / 'adapt.json').read_text())
    for name in COLUMNS:
        for part, frames in ((result, FRAMES), (result['last_third'], 4), (result['seen_again'], FRAMES)):
            sequence = part[name]['sequences'][0]
            assert sequence['frames'] == frames and {'unscaled', 'median_scaled', 'one_scale'} <= set(sequence['depth'])
    for name in ('steps', 'accepted_steps', 'promotions', 'rollbacks'):
        assert isinstance(result[name], int)
    assert isinstance(result['gates'], dict) and result['accepted_steps'] <= result['steps']
    assert result['frozen']['sequences'][0]['semantics'] == result['adapted']['sequences'][0]['semantics']
    assert result['ms_per_step'] is None or result['ms_per_step'] > 0


def test_the_scale_that_the_learner_says_is_held_against_the_truth(run, world, tmp_path, capsys):
    result = json.loads((run / 'adapt.json').read_text())
    assert set(result['metric_scale']) == {'factory', 'served'}
    assert result['metric_scale']['factory']['frames'] == 2 * FRAMES and result['metric_scale']['factory']['error'] > 0
    again = ['adapt', str(world[1]), '--model', str(world[0]), '--out', str(tmp_path), '--mode', 'off', '--set', *FAST]
    assert main([*again, '--scale', 'fused']) == 0
    assert 'metric scale: off by' in capsys.readouterr().out
    fused = json.loads((tmp_path / 'adapt.json').read_text())
    assert fused['scale_only']['sequences'][0]['depth']['unscaled'] == fused['adapted']['sequences'][0]['depth']['unscaled']


def test_a_metric_flag_that_lies_is_counted():
    class Metric:
        scale = Scale(2.0, 0.1, True)
        fused = type('Fused', (), {'scale': Scale(1.0, 0.5, False)})

    class Learner:
        metric = Metric

    truth, columns = np.full((4, 6), 8.0, np.float32), [FusedColumn(Learner, served=s) for s in (False, True)]
    for depth in (4.0, 4.2, 8.0):
        for column in columns:
            column.judge(np.full((2, 3), depth, np.float32), truth)
    factory, served = (column.honesty() for column in columns)
    assert factory == {'frames': 3, 'error': pytest.approx(np.log(8 / 4.2)), 'metric': 0.0}
    assert served == {'frames': 3, 'error': pytest.approx(np.log(8.4 / 8)), 'metric': 1.0, 'metric_wrong': 1,
                      'metric_error': pytest.approx(np.log(8.4 / 8)), 'metric_worst': pytest.approx(np.log(2)),
                      'metric_sigmas': pytest.approx(np.sqrt(np.mean(np.log([1, 8.4 / 8, 2]) ** 2)) / 0.05)}
    assert FusedColumn(Learner, served=True).honesty() == {'frames': 0}


def test_every_decision_is_in_the_journal_and_the_page_shows_it(run):
    events = [line['event'] for line in read_journal(run / 'journal.jsonl')]
    assert {'accuracy'} < set(events) and events.count('accuracy') == 2 * FRAMES
    html = (run / 'report.html').read_text()
    assert '<svg' in html and 'Against the truth' in html and 'Gates' in html
    assert not re.search(r'(src|href)="(?!data:|#)', html)
    (run / 'report.html').unlink()
    assert main(['adapt', 'report', str(run)]) == 0 and (run / 'report.html').read_text() == html


def test_a_run_is_not_written_over_unless_that_is_said(world, run, capsys):
    again = ['adapt', str(world[1]), '--model', str(world[0]), '--out', str(run), '--frames', '2', '--set', *FAST]
    assert main(again) == 2
    assert 'holds a run already' in capsys.readouterr().err


@pytest.mark.parametrize('arguments, words', [
    (['adapt', 'report'], 'report takes one folder'), (['adapt', 'report', 'nowhere'], 'holds no run'),
    (['adapt', 'x'], '--out DIR'), (['adapt', 'x', '--out', 'o', '--passes', '0'], '--passes is 0'),
    (['adapt', 'x', '--out', 'o', '--set', 'gates.colour=1'], "unknown key 'colour'"),
    (['adapt', 'x', '--out', 'o', '--set', 'step.profile=heads'], "profile is 'heads'"),
    (['adapt', 'x', '--out', 'o', '--set', 'trial.block=2'], 'block is 2, expected 3 to 25'),
    (['adapt', 'nowhere', '--out', 'o'], 'does not exist')])
def test_what_cannot_be_is_said_in_one_line(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert words in said and said.count('\n') == 1


def test_a_model_can_be_given_a_branch(world, tmp_path, capsys):
    assert main(['adapt', 'branch', str(world[0]), str(tmp_path / 'b.safetensors')]) == 0
    network, card = load_network(tmp_path / 'b.safetensors')
    assert card.architecture['guidance'] == {'kind': 'low_rank', 'rank': 8}
    assert card.factory != load_network(world[0])[1].factory
    assert main(['adapt', 'branch', str(world[0])]) == 2 and 'branch takes a model and' in capsys.readouterr().err


@pytest.mark.parametrize('name', BASELINES)
def test_a_baseline_serves_every_step_at_once(name):
    settings = settings_from([], None, name)
    assert settings.trial.serve == 'latest' and settings.step.motion == 'network'
    assert settings.losses.weight_anchor.weight == 0
    assert settings_from(['step.learning_rate=1e-5'], 'shadow', name).step.learning_rate == 1e-5
    step = {'anchors': 0, 'replay': settings.step.replay, 'steps': settings.step.steps, 'motion': 'network'}
    one = adapter({'step': step, 'trial': {'serve': 'latest'}})
    for i in range(5):
        one.observe(frame(i), pose(i))
    assert one.served.number == one.counts['steps'] and one.held_out.fresh is not None


def test_a_frame_counts_with_the_weights_promoted_before_it_came(tmp_path):
    class Drive:
        name, camera, rate_hz = 'corridor', CAMERA, 10.0
        stamps_ns, poses = [i * 100_000_000 for i in range(50)], [pose(i) for i in range(50)]

        def __len__(self):
            return 50

        def __getitem__(self, index):
            image, depth, labels = view(index * STEP_M)
            return Sample(f'{index}', image, CAMERA, index * 100_000_000, depth=depth, labels=labels, pose=pose(index))

    from adaptation_world import QUICK
    network, card = factory()
    settings = build(AdapterSettings, merged(QUICK, {'step': {'anchors_from': 'none'}}), 'test')
    result = adapt_drive(Drive(), network, card, settings, tmp_path, DriveRun(scale='none'), 'cpu')
    lines = list(read_journal(tmp_path / 'journal.jsonl'))
    promoted = next(line for line in lines if line['event'] == 'promotion')['frame']
    accuracy = {line['frame']: line for line in lines if line['event'] == 'accuracy'}
    assert result['promotions'] == 1 and accuracy[promoted]['version'] == 0 and accuracy[promoted + 1]['version'] == 1
    assert accuracy[promoted]['served'] == accuracy[promoted]['frozen']
    assert accuracy[promoted + 1]['served'] != accuracy[promoted + 1]['frozen']
    after = result['held_out']['after_promotion']
    assert after['served_over_frozen'] < 1 and result['last_third']['weights_only'] != result['last_third']['frozen']
    assert adaptation_run.JOURNAL == 'journal.jsonl'


def test_the_lines_of_a_page_stand_for_what_happened():
    lines = [{'event': 'gate', 'frame': 3, 'gate': 'texture', 'reason': 'too <flat>'},
             {'event': 'block', 'frame': 25, 'first': 20, 'errors': {'factory': 0.05, 'served': 0.04}},
             {'event': 'rollback', 'frame': 30, 'reason': 'worse'}]
    html = page(lines, {})
    assert 'too &lt;flat&gt;' in html and 'rolled back at frame 30' in html and 'worse' in html


def test_a_timeline_is_the_same_bytes_for_the_same_numbers_and_stays_in_its_frame():
    series, marks = [Series('error', ((0, 1.0), (50, 2.0), (99, 1.5)))], [Mark(40, 'promoted', '#3a8f4d')]
    drawn = timeline(series, marks, 100)
    assert drawn == timeline(series, marks, 100)
    points = re.search(r'points="([^"]+)"', drawn)[1].split()
    assert all(0 <= float(v) <= 1180 for point in points for v in point.split(',')) and len(points) == 3
    assert timeline([Series('flat', ((0, 1.0), (1, 1.0)))], [], 2).count('<polyline') == 1

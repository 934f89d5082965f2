"""Promoted weights as files: found again after any end, withdrawn for good, bounded; and the journal beside them."""
from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from adaptation_world import CAMERA, adapter, factory, frame, pose
from tiny_model import PROBES, write_models

from semdepth_ros.adaptation import Adapter, AdapterSettings, Journal, Versions, read_journal
from semdepth_ros.adaptation.versions import Version
from semdepth_ros.model_file import ModelFileError, read_model
from semdepth_ros.networks import load_network
from semdepth_ros.perception import Perceptor
from semdepth_ros.settings import build

# One process that forks a child for every stage: importing torch takes longer than all the rest.
KILLED_WHILE_WRITING = '''
import os, shutil, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from semdepth_ros import model_file
from semdepth_ros.adaptation import Versions
from semdepth_ros.adaptation.versions import Version
from semdepth_ros.networks import load_network
from adaptation_world import CAMERA
from tiny_model import PROBES
import torch
torch.set_num_threads(1)
start = Path(sys.argv[1])
network, card = load_network(start.parent / 'v0.safetensors')
die = lambda *a, **k: os.kill(os.getpid(), 9)
class Half:
    def __init__(self, *a): self.file = open(*a)
    def __enter__(self): return self
    def __exit__(self, *a): self.file.close()
    def write(self, data):
        self.file.write(data[:len(data) // 2]); self.file.flush(); die()
for stage in sys.argv[2:]:
    folder = start.with_name(stage)
    shutil.copytree(start, folder)
    child = os.fork()
    if not child:
        if stage in ('open', 'half'):
            model_file.open = die if stage == 'open' else Half
        elif stage in ('fsync', 'replace'):
            setattr(os, stage, die)
        versions = Versions(folder, card)
        if stage == 'tidy':
            versions._tidy = die
        versions.write(network, Version(network, card), PROBES, CAMERA, {{}})
        os._exit(0)
    print(stage, os.waitpid(child, 0)[1])
'''
STAGES = {'open': 1, 'half': 1, 'fsync': 1, 'replace': 1, 'tidy': 2, 'none': 2}


@pytest.fixture
def tiny(tmp_path):
    """Return the network, card and folder of a tiny model."""
    path = write_models(tmp_path, 1)[0]
    network, card = load_network(path)
    return network, card, tmp_path / 'weights'


def write(versions: Versions, tiny, parent: Version | None = None, camera=CAMERA) -> Version:
    network, card, _ = tiny
    return versions.write(network, parent or versions.newest() or Version(network, card), PROBES, camera, {'gain': 0.1})


def test_a_version_is_a_model_file_that_knows_its_factory_parent_and_metrics(tiny):
    network, card, folder = tiny
    one = write(Versions(folder, card), tiny)
    two = write(Versions(folder, card), tiny)
    assert (one.number, two.number, two.card.parent, two.card.factory) == (1, 2, 1, card.factory)
    assert two.card.metrics['adaptation']['gain'] == 0.1 and two.path.name == 'v000002.safetensors'
    tensors, read = read_model(two.path, two.sha256)
    assert read.version == 2 and torch.equal(tensors['probe.0.image'], torch.from_numpy(PROBES[0]))


def test_perception_takes_it(tiny):
    network, card, folder = tiny
    perceptor = Perceptor(network, card, device='cpu', precision='float32')
    version = write(Versions(folder, card), tiny)
    assert perceptor.load_weights(version.path).version == 1


def test_only_the_newest_are_kept(tiny):
    versions = Versions(tiny[2], tiny[1], keep=2)
    for _ in range(4):
        write(versions, tiny)
    assert sorted(p.name for p in tiny[2].iterdir()) == ['v000003.safetensors', 'v000004.safetensors']
    assert versions.next_number() == 5


def test_withdrawn_weights_are_never_found_again_and_their_number_is_not_used_again(tiny):
    versions = Versions(tiny[2], tiny[1])
    one, two = write(versions, tiny), write(versions, tiny)
    versions.withdraw(two)
    assert versions.newest().number == one.number and versions.next_number() == 3


def test_the_weights_of_another_camera_are_not_started_from(tiny):
    versions = Versions(tiny[2], tiny[1])
    write(versions, tiny)
    write(versions, tiny, camera=replace(CAMERA, fx=70.0))
    assert versions.newest(CAMERA).number == 1 and versions.newest().number == 2
    assert versions.newest(replace(CAMERA, cx=3.0)) is None
    assert versions.newest(replace(CAMERA, height_m=9.0)).number == 1


def test_the_weights_of_another_factory_are_refused_in_one_line(tiny):
    network, card, folder = tiny
    write(Versions(folder, card), tiny)
    other = Versions(folder, replace(card, factory='0' * 64))
    assert other.newest() is None
    with pytest.raises(ModelFileError, match='descends from factory'):
        other.read(1)


def test_whatever_byte_a_file_ends_at_the_start_is_from_the_newest_whole_one(tiny):
    versions = Versions(tiny[2], tiny[1])
    write(versions, tiny)
    two = write(versions, tiny)
    whole = two.path.read_bytes()
    rng = np.random.default_rng(0)
    for length in [0, 8, 9, 200, len(whole) // 2, len(whole) - 1]:
        two.path.write_bytes(whole[:length])
        assert versions.newest().number == 1, length
    for place in rng.integers(0, len(whole), 2).tolist():
        two.path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x5A]) + whole[place + 1:])
        assert versions.newest().number in (1, 2), place
    two.path.write_bytes(whole)
    assert versions.newest().number == 2


def test_a_process_killed_at_any_stage_of_writing_leaves_a_valid_start(tiny):
    write(Versions(tiny[2], tiny[1]), tiny)
    code = KILLED_WHILE_WRITING.format(tests=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, '-c', code, str(tiny[2]), *STAGES], capture_output=True, text=True)
    ended = dict(line.split() for line in done.stdout.splitlines())
    assert ended == {stage: '0' if stage == 'none' else str(int(signal.SIGKILL)) for stage in STAGES}, done.stderr
    for stage, found in STAGES.items():
        versions = Versions(tiny[2].with_name(stage), tiny[1])
        assert versions.newest().number == found, stage
        assert write(versions, tiny).number == found + 1
        assert all(p.name.startswith('v') for p in versions.folder.iterdir()), stage


def test_a_journal_is_read_back_and_a_torn_line_is_left_out(tmp_path):
    journal = Journal(tmp_path / 'deep' / 'j.jsonl')
    journal.write('gate', gate='texture', value=np.float32(0.25), limit=float('nan'))
    journal.close()
    with open(journal.path, 'a') as file:
        file.write('{"event": "ste')
    again = Journal(journal.path)
    again.write('reset', reason='x', errors=(1.0, float('inf')))
    assert list(read_journal(journal.path)) == [{'event': 'gate', 'gate': 'texture', 'value': 0.25, 'limit': None},
                                                {'event': 'reset', 'reason': 'x', 'errors': [1.0, None]}]


def test_a_journal_is_bounded_and_loses_the_oldest_part_alone(tmp_path):
    journal = Journal(tmp_path / 'j.jsonl', most_bytes=200)
    for number in range(30):
        journal.write('step', number=number)
    numbers = [line['number'] for line in read_journal(journal.path)]
    assert numbers == list(range(numbers[0], 30)) and 3 < len(numbers) < 20
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) < 600


def test_a_run_journals_every_decision(tmp_path):
    one = adapter(journal=tmp_path / 'j.jsonl')
    for i in range(43):
        one.observe(frame(i), pose(i))
    lines = list(read_journal(tmp_path / 'j.jsonl'))
    events = {line['event'] for line in lines}
    assert {'gate', 'held', 'step', 'block', 'trial', 'promotion'} <= events
    trial = next(line for line in lines if line['event'] == 'trial')
    assert trial['passed'] and {'gain', 'rank', 'forgetting'} <= {c['name'] for c in trial['criteria']}
    assert json.dumps(lines) and one.last_verdict.startswith('version 1 promoted')


def test_shadow_learns_and_says_what_it_would_promote_and_serves_nothing():
    one = adapter({'mode': 'shadow'})
    events = [one.observe(frame(i), pose(i)).event for i in range(43)]
    assert 'would promote' in events and one.served.number == 0 and one.counts['would_promote'] == 1


def test_off_does_nothing():
    one = adapter({'mode': 'off'})
    assert [one.observe(frame(i), pose(i)).reason for i in range(5)] == ['mode is off'] * 5 and not one.counts['steps']


def test_rollback_serves_the_weights_before_and_there_are_none_before_those():
    one = adapter()
    for i in range(43):
        one.observe(frame(i), pose(i))
    promoted = one.served
    assert promoted.number == 1 and one.rollback().number == 0 and one.served.number == 0
    with pytest.raises(ValueError, match='no earlier weights'):
        one.rollback()
    assert one.counts['rollbacks'] == 1 and one.learner.change() == 0


def test_promoted_weights_that_turn_out_worse_are_rolled_back_by_themselves():
    one = adapter({'watch': {'frames': 40}})
    for i in range(43):
        one.observe(frame(i), pose(i))
    assert one.watching
    with torch.no_grad():                        # as if the trial had been deceived
        one.served.network.depth_decoder.path['map'].mul_(0.8)
    events = [one.observe(frame(i), pose(i)).event for i in range(43, 71)]
    assert 'rolled back' in events and one.served.number == 0 and not one.watching


def test_the_learner_believes_what_is_said_to_be_served(tiny):
    network, card, folder = tiny
    one = Adapter(network, card, AdapterSettings(), folder=folder)
    version = write(one.versions, tiny)
    one.believe(version.number)
    assert one.served.number == 1
    one.believe(0)
    assert one.served.number == 0
    with pytest.raises(ModelFileError):
        one.believe(7)


def test_a_restarted_learner_goes_on_from_its_cameras_newest_weights(tiny, tmp_path):
    network, card, folder = tiny
    version = write(Versions(folder, card), tiny, camera=CAMERA)
    for resume, expected in ((True, version.number), (False, 0)):
        one = Adapter(network, card, build(AdapterSettings, {'step': {'anchors_from': 'none'}}, 'test'), folder=folder,
                      resume=resume)
        one.observe(frame(0))
        assert one.served.number == expected and one.watching == resume     # whether it had passed its watch is not known
        if resume:
            assert one.rollback().number == one.served.number == 0
            assert not version.path.exists() and version.path.with_name(f'{version.path.name}.withdrawn').exists()


def test_a_disk_that_is_full_promotes_nothing(tmp_path, monkeypatch):
    network, card = factory()
    one = adapter(folder=tmp_path)
    monkeypatch.setattr(one.versions, 'write', lambda *a: (_ for _ in ()).throw(OSError(28, 'No space left on device')))
    events = [one.observe(frame(i), pose(i)).event for i in range(43)]
    assert 'promoted' not in events and one.served.number == 0 and 'No space left' in one.last_verdict


def test_a_trial_can_be_asked_for_and_the_candidate_saved(tmp_path):
    one = adapter({'trial': {'steps': 1000}})
    with pytest.raises(ValueError, match='0 held-out blocks are fresh, expected 4'):
        one.promote()
    for i in range(43):
        one.observe(frame(i), pose(i))
    assert one.served.number == 0 and one.promote().passed and one.served.number == 1
    with pytest.raises(ValueError, match='blocks are fresh'):
        one.promote()
    card = one.save(tmp_path / 'candidate.safetensors')
    assert (card.version, card.parent) == (2, 1) and read_model(tmp_path / 'candidate.safetensors')[1] == card
    assert one.served.number == 1


def test_where_all_weights_are_trained_classes_are_held_and_criteria_watch_them():
    one = adapter({'step': {'profile': 'all', 'learning_rate': 2e-3}})
    for i in range(43):
        one.observe(frame(i), pose(i))
    assert {'classes', 'each_class'} <= {c.name for c in one.last_report.criteria}
    before, after = factory()[0].semantic_decoder.scores, one.learner.network.semantic_decoder.scores
    assert one.profile.semantics_fixed is False and torch.equal(before.argmax(0), after.argmax(0))


def test_promotions_are_bounded_in_an_hour():
    one = adapter({'trial': {'promotions_per_hour': 0}})
    for i in range(43):
        one.observe(frame(i), pose(i))
    assert one.served.number == 0 and not one.counts['trials'] and len(one.held_out.fresh) >= 4
    with pytest.raises(ValueError, match='0 versions were promoted within an hour, expected less'):
        one.promote()                                       # nor is one that is asked for


def test_failed_trials_slow_the_learner_down_and_several_begin_it_anew():
    one = adapter({'trial': {'least_gain': 0.99, 'failures': 2, 'blocks': 2, 'steps': 4, 'level': 1.0}})
    rates, changes = [], []
    for i in range(44):
        if one.observe(frame(i), pose(i)).event == 'trial failed':
            rates.append(one.learner.rate)
            changes.append(one.learner.change())
    assert rates[:2] == [0.5, 1.0] and changes[0] > 0 == changes[1]
    assert one.counts['resets'] == 1 and one.served.number == 0 and 'not promoted' in one.last_verdict


def test_a_gap_a_new_camera_and_a_cut_drop_trial_weights_and_evidence():
    for broken, words in ((frame(33, stamp_ns=33 * 100_000_000 + 5_000_000_000), 'gap'),
                          (frame(33, replace(CAMERA, fx=60.0)), 'new camera'),
                          (replace(frame(33), image=255 - frame(33).image), 'scene cut')):
        one = adapter()
        for i in range(33):
            one.observe(frame(i), pose(i))
        assert one.held_out.fresh and one.learner.change() > 0
        assert one.observe(broken, pose(33)).event == 'reset', words
        assert not one.held_out.fresh and one.learner.change() == 0 and one.served.number == 0


def test_there_is_no_step_where_there_is_no_time_for_it():
    one = adapter()
    reasons = {one.observe(frame(i), pose(i), may_step=False).gate for i in range(14)}
    assert 'budget' in reasons and one.counts['steps'] == 0

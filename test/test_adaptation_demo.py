"""The demonstration of adaptation: both nodes as processes, a drive again and again, and what came of it."""
import json
import re
import signal

import numpy as np
import pytest
from adaptation_world import CAMERA, PERIOD_NS, pose, view
from test_adaptation_node import EASY
from tiny_model import write_models

from semdepth_ros.adaptation import read_journal
from semdepth_ros.bags.bag_reader import BagReader
from semdepth_ros.cli.main import main
from semdepth_ros.data import Sample
from semdepth_ros.data.bag import BagSequence
from semdepth_ros.evaluation.pictures import change_picture
from semdepth_ros.evaluation.side_by_side import side_by_side
from semdepth_ros.experiments.adaptation_words import what_came_of
from semdepth_ros.frame import Frame
from semdepth_ros.geometry.transform_tree import pose_of_text
from semdepth_ros.live.adaptation_report import lead
from semdepth_ros.live.adaptation_run import learner_start, pose_text
from semdepth_ros.perception import Perceptor
from semdepth_ros.recordings.sequence_bag import write_sequence_bag
from semdepth_ros.recordings.served_versions import Told, answered_by, beside_changes, nearest_version


class Drive:
    """Along the corridor and along it again, with poses and exact depth."""

    name, camera = 'corridor', CAMERA

    def __init__(self, frames):
        self._frames = frames

    def __len__(self):
        return self._frames

    def __getitem__(self, index):
        image, depth, labels = view(index * 0.45 % 40.0)
        return Sample(f'{index:06d}', image, CAMERA, index * PERIOD_NS, pose=pose(index), depth=depth, labels=labels)


def test_a_learner_beside_perception_on_a_drive_that_is_played_again(tmp_path, processes):
    frames, out, model = 26, tmp_path / 'out', write_models(tmp_path, 1)[0]
    write_sequence_bag(tmp_path / 'drive.mcap', Drive(frames))
    child = processes.python('-m', 'semdepth_ros.cli.main', 'demo', '--adapt', '--turns', 2, '--out', out, '--drive',
                             tmp_path / 'drive.mcap', '--model', model, '--set', *EASY)
    assert child.wait(240) == 0, child.output
    metrics = json.loads((out / 'metrics.json').read_text())
    adaptation = metrics['adaptation']
    events = [line['event'] for line in read_journal(out / 'weights' / 'journal.jsonl')]
    assert events.count('promotion') == metrics['promotions'] >= 1 and 'odometry' not in (out / 'learner.log').read_text()
    assert metrics['frames_in'] == 2 * frames == metrics['frames_perceived'] + metrics['frames_dropped']
    assert sum(sum(versions.values()) for versions in adaptation['by_version']) == metrics['frames_perceived'] > 2 * frames - 5
    assert {int(v) for versions in adaptation['by_version'] for v in versions} >= {0, 1}
    assert adaptation['frames_of_another_version'] == 0 and ': 0 look like another' in adaptation['versions_checked']
    assert 'was promoted at frame' in adaptation['outcome'] and adaptation['outcome'] in child.output
    assert [s['name'] for s in metrics['sequences']] == ['frozen weights', 'way 1, as served', 'way 2, as served']
    received, missed = adaptation['learner_frames']
    assert 2 * frames - 5 < received <= 2 * frames and missed < 5
    assert all('unscaled' in s['depth'] for s in metrics['sequences'])
    page = (out / 'report.html').read_text()
    assert page.count('<figure>') >= 2 and 'What the learner did' in page and 'Trial at frame' in page
    with BagReader(out / 'perceived_2.mcap') as reader:
        assert {t.name for t in reader.topics.values() if t.count} == {'/depth/image', '/semantic/image'}


def test_who_answered_which_frame_is_told_by_the_first_image_of_each_version():
    told = [Told(3, 1, 'v1', 'a'), Told(3, 1, 'v1', 'a'), Told(7, 0, 'f', 'b')]
    versions = answered_by([1, 2, 3, 5, 7, 9], told)
    assert versions == {1: 0, 2: 0, 3: 1, 5: 1, 7: 0, 9: 0} and beside_changes(versions) == [2, 3, 5, 7]
    assert answered_by([1, 2], [], before=4) == {1: 4, 2: 4} and beside_changes({1: 4, 2: 4}) == []
    with pytest.raises(ValueError, match='version 1 is said to begin with the image at 4 ns, which was not answered'):
        answered_by([1, 2, 3], [Told(4, 1, 'v1', 'a')])
    with pytest.raises(ValueError, match='version 1 is said to be b and a'):
        answered_by([1, 2, 3], [Told(1, 1, 'v1', 'a'), Told(2, 1, 'v1', 'b')])


def test_a_frame_shows_which_weights_have_answered_it(tmp_path):
    perceptors = {i: Perceptor.from_file(path, device='cpu') for i, path in enumerate(write_models(tmp_path, 3))}
    frame = Frame(view(3.0)[0], 'rgb', CAMERA, 0)
    for version, perceptor in perceptors.items():
        nearest, far = nearest_version(frame, perceptor.perceive(frame), perceptors)
        assert nearest == version and far < 1e-6


LINES = {
    'promoted': [{'event': 'trial', 'frame': 9, 'passed': True, 'reason': 'x'},
                 {'event': 'promotion', 'frame': 9, 'version': 1, 'reason': 'photometric error is 3 % less'},
                 {'event': 'rollback', 'frame': 20, 'version': 1, 'to': 0, 'reason': 'asked for'}],
    'refused': [{'event': 'trial', 'frame': 9, 'passed': False, 'reason': 'p is 0.4, expected less than 0.05'}],
    'closed': [{'event': 'gate', 'frame': i, 'gate': 'texture', 'reason': 'a blurred image'} for i in range(5)],
    'short': [{'event': 'step', 'frame': i, 'taken': 1} for i in range(5)], 'empty': []}


@pytest.mark.parametrize('name, words', [
    ('promoted', r'Version 1 was promoted at frame 9: photometric .*; version 1 was rolled back to 0 at frame 20: asked for\.'),
    ('refused', r'Nothing was promoted: a trial was held and the trained weights did not pass: p is 0.4, expected .*\.'),
    ('closed', r"Nothing was promoted, for no trial was held: .*'texture' turned away 5 frames \(a blurred image\)\."),
    ('short', r'Nothing was promoted, .* it takes 6 held-out blocks .*, and the drive is too short \(5 frames\)\.'),
    ('empty', r'Nothing was promoted, .* and the drive is too short \(0 frames\)\.')])
def test_what_came_of_it_is_one_plain_sentence(name, words):
    assert re.fullmatch(words, what_came_of(LINES[name], 6))


def test_the_learner_is_told_where_the_camera_sits_and_the_shell_of_ros_reads_it_so(tmp_path):
    write_sequence_bag(tmp_path / 'drive.mcap', Drive(3))
    sequence = BagSequence(tmp_path / 'drive.mcap')
    start = learner_start(sequence, 0, 'default', 'cpu', tmp_path, ('a.b=1', 'gates.off=[x, y]'))
    np.testing.assert_allclose(pose_of_text(start.parameters['camera_in_base']), sequence.camera_in_base, atol=1e-12)
    assert start.remaps['odometry'] == '/odometry' and "settings:=['a.b=1', 'gates.off=[x, y]']" in start.arguments()
    turned = pose_of_text('1.5 -2 0.25 0.5 0.5 0.5 0.5')
    np.testing.assert_allclose(pose_of_text(pose_text(turned)), turned, atol=1e-12)


def test_depth_that_came_nearer_is_blue_and_farther_red_and_where_nothing_is_known_grey():
    before = np.array([[10.0, 10.0, 10.0, np.nan, np.inf]], np.float32)
    after = np.array([[8.0, 10.0, 12.0, 5.0, 5.0]], np.float32)
    nearer, same, farther, unknown, sky = change_picture(before, after, 0.2)[0].astype(int)
    assert nearer[2] > nearer[0] + 100 and farther[0] > farther[2] + 100 and (same == 245).all()
    np.testing.assert_array_equal(unknown, sky)


def test_two_weights_are_drawn_beside_each_other_with_errors_where_there_is_truth(tmp_path):
    one, two = (Perceptor.from_file(path, device='cpu') for path in write_models(tmp_path, 2))
    sample = Drive(1)[0]
    seen = [p.perceive(Frame(sample.image, 'rgb', CAMERA, 0)) for p in (one, two)]
    with_truth = side_by_side(sample, *seen, ('frozen', 'version 1'))
    bare = side_by_side(Sample('0', sample.image, CAMERA, 0), *seen, ('frozen', 'version 1'))
    assert with_truth.dtype == np.uint8 == bare.dtype and with_truth.shape[1] == bare.shape[1]
    width = bare.shape[1] // 3                                 # the second and third tile of the last row
    assert np.ptp(bare[-60:, width:]) == 0 < np.ptp(with_truth[-60:, width:])


def test_the_reports_lead_says_it_in_html_that_cannot_be_broken():
    html = lead({'outcome': 'a < b', 'versions_checked': 'all', 'learner_frames': [9, 2], 'by_version': [{0: 3, 1: 2}], 'held_out': {
        'seen_again': {'blocks': 2, 'frozen': 0.05, 'served': 0.04, 'served_over_frozen': 0.8}}})
    assert 'received 9 images and missed 2' in html and 'a &lt; b' in html and 'frozen: 3, version 1: 2' in html and '-20.0 %' in html and 'later ways' in html


def test_what_cannot_be_is_said_before_anything_begins(tmp_path, capsys):
    for arguments, message in ((['--turns', '0'], '--turns is 0, expected at least 1'),
                               (['--adapt', '--set', 'gates.nothing=1'], 'nothing')):
        before = signal.getsignal(signal.SIGINT)
        assert main(['demo', '--out', str(tmp_path / 'out'), *arguments]) == 2
        assert signal.getsignal(signal.SIGINT) is before
        assert message in capsys.readouterr().err

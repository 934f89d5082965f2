"""A learner that is too slow for its camera, and one whose camera says things twice."""
from __future__ import annotations

from adaptation_world import PERIOD_NS, adapter, frame, pose

from semdepth_ros.adaptation import read_journal
from semdepth_ros.adaptation.odometry import OdometryTrack
from semdepth_ros.nodes.newest_frames import NewestFrames


def test_the_newest_frames_wait_together_and_know_what_came_right_before_them():
    frames = NewestFrames()
    assert [frames.put(f'image {i}', i, 3) for i in range(5)] == [0, 0, 0, 1, 1]
    assert frames.take() == [('image 2', 1), ('image 3', 2), ('image 4', 3)] and frames.take() == []
    assert frames.put('image 5', 5, 3) == 0 and frames.take() == [('image 5', 4)]
    assert [frames.put('image', 6 + i, 3 if i < 4 else 1) for i in range(5)] == [0, 0, 0, 1, 3]


def grouped(learner, groups, told=True):
    """Let a learner take three frames of every two seconds, those between left out; return what came of each."""
    seen = []
    for group in range(groups):
        for i in range(3):
            number, stamp_ns = 4 * group + i, 20 * group * PERIOD_NS + i * PERIOD_NS
            follows_ns = stamp_ns - PERIOD_NS if told and stamp_ns else None
            seen.append(learner.observe(frame(number, stamp_ns=stamp_ns), pose(number), follows_ns=follows_ns))
    return seen


def test_frames_that_the_learner_had_no_time_for_are_no_gap():
    learner = adapter({'trial': {'blocks': 3, 'level': 0.2}})
    seen = grouped(learner, 40)
    assert learner.counts['resets'] == 0 and not learner.gates.rejections['stamps']
    assert sum(o.stepped for o in seen) >= 10 and learner.counts['trials'] >= 1
    untold = adapter()
    grouped(untold, 6, told=False)
    assert untold.counts['resets'] == 5


def test_a_gap_in_what_came_is_one_and_so_is_a_bag_that_begins_again():
    learner = adapter()
    for i in (0, 1, 2, 40, 41, 42):
        learner.observe(frame(i), pose(i), follows_ns={40: 2}.get(i, i - 1) * PERIOD_NS)
    assert learner.counts['resets'] == 1
    learner.observe(frame(30), pose(30), follows_ns=45 * PERIOD_NS)         # 43 to 45 had to wait, then time went back
    assert learner.counts['resets'] == 2


def test_a_held_out_frame_that_comes_twice_is_never_learned_from(tmp_path):
    learner = adapter(journal=tmp_path / 'j.jsonl')
    for i in range(64):
        for _ in range(1 + learner.held_out.is_held(learner._index + 1)):
            learner.observe(frame(i), pose(i))
    numbers = {line['frame']: line for line in read_journal(tmp_path / 'j.jsonl')}
    assert numbers and learner.gates.rejections['stamps'] >= 8
    lines = list(read_journal(tmp_path / 'j.jsonl'))
    held = {line['target'] for line in lines if line['event'] == 'held'}
    stepped = {line['target'] for line in lines if line['event'] == 'step'}
    assert held and stepped and not held & stepped
    # of every period the held-out frames are the last: by index, which a frame that comes twice has once
    assert learner._index == 63


def test_odometry_that_comes_twice_is_taken_once_and_one_that_goes_back_begins_anew():
    track = OdometryTrack()
    for stamp in (0, 0, PERIOD_NS, PERIOD_NS, 2 * PERIOD_NS, 2 * PERIOD_NS):
        track.add(stamp, pose(stamp // PERIOD_NS))
    assert track.at(PERIOD_NS // 2) is not None and track.newest_ns == 2 * PERIOD_NS
    track.add(PERIOD_NS, pose(1))
    assert track.at(PERIOD_NS // 2) is None and track.newest_ns == PERIOD_NS

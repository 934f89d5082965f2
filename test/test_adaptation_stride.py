"""Frames that the camera hardly moves between: the learner looks at fewer of them, instead of at none for ever."""
from __future__ import annotations

import pytest
from adaptation_world import PERIOD_NS, STEP_M, adapter, frame, pose

from semdepth_ros.adaptation import read_journal
from semdepth_ros.adaptation.settings import Stride
from semdepth_ros.adaptation.stride import FrameStride
from semdepth_ros.cli.adapt import settings_from

SLOW_M = STEP_M / 6       # 0.075 m a frame: less than the gate for travel asks of a pair


def drive(learner, frames, step_m=SLOW_M, odometry=True, first=0):
    """Let a learner take frames of a slow drive; return what came of each."""
    return [learner.observe(frame(i, step_m=step_m), pose(i, step_m) if odometry else None)
            for i in range(first, first + frames)]


@pytest.mark.parametrize('moved, length', [(0.9, 2), (0.5, 3), (0.26, 6), (0.1, 8), (0.0, 8), (1.0, 1), (9.0, 1)])
def test_the_next_pair_is_half_as_far_again_apart_as_is_asked_for(moved, length):
    pace = FrameStride(Stride(most=8, longest_s=10.0))
    assert pace.take(moved, 0.1) == (length > 1) and pace.length == length
    assert [pace.passes_over() for _ in range(2 * length)] == 2 * ([True] * (length - 1) + [False])


def test_the_pace_comes_back_as_the_camera_moves_again_and_does_not_swing():
    pace = FrameStride(Stride(longest_s=10.0))
    pace.take(0.2, 0.1)
    assert pace.length == 8
    assert not pace.take(2.9, 0.8) and not pace.take(1.0, 0.8) and pace.length == 8
    assert pace.take(6.0, 0.8) and pace.length == 2
    assert pace.take(4.0, 0.2) and pace.length == 1 and not pace.take(2.0, 0.1)


def test_a_pair_is_no_longer_apart_than_it_may_be_in_time():
    pace = FrameStride(Stride(most=8, longest_s=0.4))
    assert pace.take(0.01, 0.1) and pace.length == 4
    assert not pace.take(0.01, 0.4) and pace.length == 4
    assert not FrameStride(Stride(most=1)).take(0.01, 0.1) and not FrameStride(Stride()).take(0.01, 0.5)


@pytest.mark.parametrize('odometry', [True, False])
def test_a_slow_drive_is_learned_from_too(odometry, tmp_path):
    settings = {'stride': {'longest_s': 1.0}, 'gates': {'least_flow_px': 1.0}}
    learner = adapter(settings, journal=tmp_path / 'j.jsonl')
    seen = drive(learner, 160, odometry=odometry)
    fixed = adapter(settings | {'stride': {'most': 1}})
    assert not any(o.stepped for o in drive(fixed, 60, odometry=odometry))
    assert fixed.gates.rejections['translation'] > 20
    assert sum(o.stepped for o in seen) >= 6 and learner.stride.length > 1
    assert sum('passed over' in o.reason for o in seen) > 20
    lines = list(read_journal(tmp_path / 'j.jsonl'))
    steps = [line for line in lines if line['event'] == 'step']
    assert steps and all(line['frame'] - line['target'] == learner.stride.length for line in steps[-2:])
    assert [line['frames'] for line in lines if line['event'] == 'stride'][-1] == learner.stride.length


def test_held_out_blocks_of_a_slow_drive_have_the_numbers_of_its_frames(tmp_path):
    learner = adapter({'stride': {'longest_s': 1.0}}, journal=tmp_path / 'j.jsonl')
    drive(learner, 180)
    lines = list(read_journal(tmp_path / 'j.jsonl'))
    blocks = [line for line in lines if line['event'] == 'block']
    held = [line['target'] for line in lines if line['event'] == 'held']
    assert len(blocks) >= 2 and all(block['first'] < block['frame'] < 180 for block in blocks)
    assert all(any(0 < target - block['first'] <= 3 * learner.stride.length for target in held) for block in blocks)
    targets = [line['target'] for line in lines if line['event'] == 'step']
    assert not {target + k * learner.stride.length for target in targets for k in (-1, 0, 1)} & set(held)


def test_a_standing_camera_teaches_nothing_and_what_comes_after_it_does():
    learner = adapter({'stride': {'longest_s': 1.0}})
    drive(learner, 12, STEP_M)
    before = learner.counts['steps']
    assert before > 0
    for i in range(12, 60):
        learner.observe(frame(12, stamp_ns=i * PERIOD_NS), pose(12))
    assert learner.counts['steps'] <= before + 1 and learner.stride.length == 8
    for i in range(60, 100):
        learner.observe(frame(i - 48, stamp_ns=i * PERIOD_NS), pose(i - 48))
    assert learner.counts['steps'] > before + 5 and learner.stride.length == 1


def test_a_baseline_looks_at_every_frame_and_learns_as_fast_as_is_published():
    settings = settings_from([], None, 'covio')
    assert settings.stride.most == 1 and settings.step.learning_rate == 1e-4

"""An evaluation whose frames come one by one: which of them are shown, and what is written."""
import json

import numpy as np
import pytest

from plane_world import Corridor
from semdepth_ros.evaluation.live_evaluation import LiveEvaluation
from semdepth_ros.evaluation.spread_frames import SpreadFrames
from semdepth_ros.frame_perception import Perception, Scale


@pytest.mark.parametrize('count', [1, 2, 3, 12, 13, 100, 1001])
def test_frames_of_a_stream_are_evenly_spread_however_long_it_is(count):
    frames = SpreadFrames(3)
    for index in range(count):
        frames.offer(index)
    chosen = frames.chosen()
    assert len(chosen) == min(3, count) and chosen == sorted(set(chosen))
    if count >= 12:
        expected = [(i + 0.5) * count / 3 for i in range(3)]
        assert np.abs(np.subtract(chosen, expected)).max() <= count / 6


def test_no_frame_is_kept_where_none_is_asked_for():
    frames = SpreadFrames(0)
    frames.offer('frame')
    assert frames.chosen() == []


def perceived(sample, factor=1.0):
    depth = (sample.depth * factor).astype(np.float32)
    return Perception(depth, depth, sample.labels, sample.labels, Scale(), 0, sample.camera, sample.stamp_ns, 'lens')


def test_figures_and_report_are_written_whole_and_replace_older_ones(tmp_path):
    (tmp_path / 'metrics.json').write_text('old')
    evaluation = LiveEvaluation('drive', 2)
    for index in range(4):
        sample = Corridor(4)[index]
        evaluation.add(sample, perceived(sample, 2.0), 5.0)
    result = evaluation.result('a model', 6, {'pairing': 'by hand'})
    assert evaluation.write(tmp_path, result) == tmp_path / 'report.html'
    written = json.loads((tmp_path / 'metrics.json').read_text())
    assert (written['frames_in'], written['frames_perceived'], written['frames_dropped']) == (6, 4, 2)
    assert written['sequences'][0]['depth']['median_scaled']['abs_rel'] == pytest.approx(0, abs=1e-6)
    assert written['sequences'][0]['depth']['unscaled']['abs_rel'] > 0.9
    assert written['protocol']['pairing'] == 'by hand' and 'by hand' in (tmp_path / 'report.html').read_text()
    assert not list(tmp_path.glob('*.partial')) and len(list((tmp_path / 'pictures').iterdir())) == 3


def test_where_the_camera_was_not_listened_to_every_frame_perceived_came_in():
    evaluation = LiveEvaluation('drive', 0)
    evaluation.add(Corridor(1)[0], perceived(Corridor(1)[0]), None)
    result = evaluation.result('', 0, {})
    assert (result['frames_in'], result['frames_dropped']) == (1, 0) and 'latency_ms' not in result['sequences'][0]

"""The learner's metric scale and flicker, on the corridor whose depth is known."""
import math
from dataclasses import replace

import numpy as np
import pytest
from adaptation_world import CAMERA, PERIOD_NS, adapter, frame, pose, view

from semdepth_ros.adaptation import read_journal, status_of
from semdepth_ros.adaptation.factory import Seen
from semdepth_ros.adaptation.flicker import Flicker, change_between
from semdepth_ros.adaptation.metric_scale import MetricScale
from semdepth_ros.adaptation.network_frame import FrameReader
from semdepth_ros.model_file import InputRule
from semdepth_ros.scale import Mount

TRUE, READER = 1.6, FrameReader(InputRule(pixels=128 * 64))
LENS = replace(CAMERA, height_m=None)


def seen(number, scale=1.0):
    """Return a frame of the drive with its pose, and what weights see of it whose depth is to be multiplied by 1.6."""
    _, depth, labels = view(number * 0.45)
    return Seen((depth / TRUE * scale).astype(np.float32), labels, np.zeros(1))


def drive(metric, frames, start=0, told=pose, camera=LENS, odometry=True):
    """Return whether the scale was metric after each frame, and its largest error while it was."""
    said, worst = [], 0.0
    for n in range(start, start + frames):
        metric.frame(READER.read(frame(n, camera), told(n) if odometry else None), seen(n))
        if odometry and n:
            way = np.linalg.norm(told(n)[:3, 3] - told(n - 1)[:3, 3])
            metric.triplet(n * PERIOD_NS, [math.log(way / (0.45 / TRUE))])
        said.append(metric.scale.metric)
        worst = max(worst, abs(math.log(metric.scale.value / TRUE))) if said[-1] else worst
    return said, worst


def gains(gain, since):
    """Return odometry that tells this times the way from a frame on."""
    def told(n):
        place = pose(n)
        place[2, 3] = 0.45 * (min(n, since) + gain * max(n - since, 0))
        return place
    return told


def test_points_along_the_way_and_odometry_make_depth_metric_once_there_are_enough():
    metric = MetricScale()
    assert metric.scale.sigma == 0 and not metric.scale.metric
    said, worst = drive(metric, 80)
    assert said.index(True) * 0.45 >= 20 and said[-1] and worst < 0.06
    assert set(metric.fused.sources) == {'tracks', 'odometry'} and metric.doubt == ''
    assert metric.scale.value == pytest.approx(TRUE, rel=0.06) and 0.07 < metric.scale.sigma / metric.scale.value < 0.15
    before = metric.scale
    metric.cut()
    said, _ = drive(metric, 10, 80, odometry=False)         # odometry falls silent: what is known stays
    assert said[-1] and metric.scale.value == pytest.approx(before.value, rel=1e-4) and metric.scale.sigma > before.sigma
    metric.clear()
    assert not metric.scale.metric and metric.scale.sigma == 0


def test_odometry_that_doubles_is_not_metric_when_it_has_just_begun_to():
    metric = MetricScale()
    drive(metric, 80)
    said, worst = drive(metric, 30, 80, gains(2.0, 80))
    assert said[0] and said.index(False) <= 14 and worst < 0.1 and 'views along the way' in metric.doubt
    assert not any(said[said.index(False):])


def test_the_height_is_the_camera_s_own_or_what_is_told():
    metric = MetricScale(mount=Mount(1.5))
    drive(metric, 3, camera=LENS)
    assert metric.fused.camera_height.mount == Mount(1.5)
    metric.move(None)
    drive(metric, 1, 3, camera=replace(LENS, height_m=1.4))
    assert metric.fused.camera_height.mount == Mount(1.4)
    drive(metric, 1, 4)
    assert metric.fused.camera_height is None


def test_promoted_weights_have_the_scale_that_they_differ_by_once_they_have_been_looked_at():
    metric = MetricScale()
    drive(metric, 80)
    factory, base = seen(80).depth, metric.scale
    assert not metric.is_due(0, 80) and metric.is_due(3, 81) and not metric.scale.metric and 'looks' in metric.doubt
    for n in range(81, 84):
        assert metric.is_due(3, n)
        metric.look(factory, factory * 1.1)
    assert metric.scale.metric and metric.scale.value == pytest.approx(base.value / 1.1, rel=1e-3)
    assert not metric.is_due(3, 84) and metric.is_due(3, 90)
    metric.look(factory, factory * 2.2)
    metric.look(factory, factory * 2.2)
    assert not metric.scale.metric and 'differ too much' in metric.doubt
    assert not metric.is_due(0, 91) and metric.scale == base                # rolled back


def test_a_learner_says_scale_sources_and_flicker_and_writes_when_depth_becomes_metric(tmp_path):
    one = adapter({'gates': {'off': ['odometry', 'parallax']}}, journal=tmp_path / 'journal.jsonl')
    for n in range(75):
        observation = one.observe(frame(n), pose(n), may_step=False)
    status = status_of(one, observation, 75)
    assert math.isfinite(status.scale) and 0 < status.scale_sigma and set(status.scale_sources) <= {'tracks', 'odometry'}
    assert status.metric == (status.scale_doubt == '') and 0 <= status.flicker < 0.2
    one.journal.close()
    told = [line for line in read_journal(tmp_path / 'journal.jsonl') if line['event'] == 'metric']
    assert status.metric and [line['metric'] for line in told] == [True] and told[0]['sources']
    assert told[0]['scale'] == pytest.approx(status.scale, rel=0.1)


def between(first, second, change=0.0, turn=0.0):
    """Return the change of scale that is seen between two places, the second's depth being off by so much."""
    import cv2
    (one, depth, labels), (two, other, _) = view(first * 0.45), view(second * 0.45, yaw=turn)
    greys = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (one, two)]
    return change_between(*greys, depth / TRUE, other / TRUE * np.exp(change), CAMERA.matrix, np.ones_like(labels, bool))


@pytest.mark.parametrize('change', [-0.1, 0.0, 0.03, 0.2])
@pytest.mark.parametrize('second, turn', [(0, 0.0), (1, 0.0), (1, 0.02)])
def test_flicker_is_the_change_of_scale_once_motion_is_taken_out(change, second, turn):
    assert between(0, second, change, turn) == pytest.approx(change, abs=0.012)


def test_flicker_is_said_when_there_is_enough_and_not_where_nothing_is_seen():
    flicker = Flicker()
    for change in (0.02, -0.02, None, 0.02, -0.02):
        flicker.take(change)
    assert math.isnan(flicker.value)
    flicker.take(0.5)                                                       # a cut is no flicker
    assert flicker.value == pytest.approx(1.4826 * 0.02)
    flicker.clear()
    assert math.isnan(flicker.value)
    blank = np.zeros((64, 128), np.uint8)
    assert change_between(blank, blank, np.ones((64, 128)), np.ones((64, 128)), CAMERA.matrix, blank == 0) is None

"""Several sources of one scale: together more certain, never metric while they contradict each other."""
import math

import numpy as np
import pytest
from scale_street import Street, perceived

from semdepth_ros.frame_perception import Scale
from semdepth_ros.scale import CameraHeight, Mount
from semdepth_ros.scale.fusion import FusedScale, ViewScale

STREET, SPEED, RATE_HZ, TRUE = Street(), 8.0, 5.0, 1.5


def told(frames, gain, start=0, noise=0.04, first=0):
    """Return what odometry measures at each frame: ln of the true scale times the odometry's own gain."""
    rng = np.random.default_rng(start)
    return [[math.log(TRUE * gain) + noise * rng.standard_normal() for _ in range(2)] for _ in range(frames)]


def drive(fused, seconds, start_s=0.0, gain=1.0, road=True, names=('odometry',)):
    """Drive on; return whether it was metric at each frame, and the largest error while it was."""
    metric, worst = [], 0.0
    for i, measured in enumerate(told(round(seconds * RATE_HZ), gain)):
        stamp_s = start_s + i / RATE_HZ
        frame = perceived(STREET, SPEED * stamp_s, fused.scale, stamp_s, TRUE, noise=0.01,
                          label=None if road else {0: 2})
        published = fused.observe(frame)
        for name in names:
            fused.take(name, stamp_s, SPEED * stamp_s, measured if gain is not None else [])
        metric.append(published.scale.metric and fused.scale.metric)
        if metric[-1]:
            worst = max(worst, abs(math.log(fused.scale.value / TRUE)))
    return metric, worst


def with_height():
    return FusedScale(CameraHeight(Mount(STREET.height_m, STREET.tilt)))


def test_odometry_alone_becomes_metric_over_time_and_distance():
    fused = FusedScale()
    assert fused.scale == Scale() and not fused.sources and 'nothing has been measured' in fused.doubt
    metric, worst = drive(fused, 2.0)
    assert not any(metric) and 'of the 12 views' in fused.doubt
    metric, worst = drive(fused, 6.0, 2.0)
    assert metric[-1] and worst < 0.05 and fused.sources == ('odometry',) and 0.07 < fused.scale.sigma / fused.scale.value < 0.15


def test_a_robot_that_creeps_takes_the_way_and_one_that_stands_learns_nothing():
    creeps, stands = ViewScale(), ViewScale()
    for i in range(400):
        creeps.take(i / 10, 0.02 * i, [math.log(TRUE)])
        stands.take(i / 10, 5.0, [math.log(TRUE)])
    assert 'views' in creeps.doubt and not stands.is_started
    for i in range(400, 2000):
        creeps.take(i / 10, 0.02 * i, [math.log(TRUE)])
    assert creeps.doubt == '' and creeps.log == pytest.approx(math.log(TRUE), abs=0.01)


def test_frames_that_stray_about_a_scale_that_holds_make_it_less_certain():
    """The medians of views agree, and single frames, which are what is published, do not: a network that flickers."""
    rng, steady, flickers = np.random.default_rng(0), ViewScale(), ViewScale()
    for i in range(600):
        steady.take(i / 10, 0.1 * i, [math.log(TRUE) + 0.02 * rng.standard_normal()])
        flickers.take(i / 10, 0.1 * i, [math.nan, math.log(TRUE) + 0.25 * (-1) ** i])
    assert flickers.doubt == '' and flickers.log == pytest.approx(math.log(TRUE), abs=0.15)
    assert steady.stray < 0.03 and steady.sigma < 0.13 < 0.15 < flickers.stray < flickers.sigma


def test_two_sources_are_together_more_certain_but_not_two_that_share_odometry():
    both, height, twice = with_height(), with_height(), FusedScale()
    assert drive(both, 12.0)[0][-1] and drive(height, 12.0, names=())[0][-1]
    one = FusedScale()
    drive(one, 12.0)
    drive(twice, 12.0, names=('odometry', 'tracks'))
    assert set(both.sources) == {'camera_height', 'odometry'} and both.scale.sigma < min(height.scale.sigma, one.scale.sigma)
    assert twice.scale.sigma == pytest.approx(one.scale.sigma, rel=0.05)
    assert both.scale.sigma / both.scale.value >= 0.07 and both.scale.value == pytest.approx(TRUE, rel=0.05)


def test_sources_that_are_apart_make_the_scale_less_certain_before_they_contradict_each_other():
    alike, apart, far = with_height(), with_height(), with_height()
    drive(alike, 15.0)
    assert drive(apart, 15.0, gain=1.2)[0][-1] and not any(drive(far, 20.0, gain=1.38)[0][-25:])
    assert alike.scale.sigma / alike.scale.value < 0.08 < apart.scale.sigma / apart.scale.value < 0.15
    error = abs(math.log(apart.scale.value / TRUE))
    assert 0.05 < error < 1.3 * apart.scale.sigma / apart.scale.value                  # whichever is right


def test_odometry_times_two_beside_a_camera_height_withdraws_metric():
    fused = with_height()
    assert drive(fused, 12.0)[0][-1]
    metric, worst = drive(fused, 20.0, 12.0, gain=2.0)
    first = metric.index(False)
    assert first <= RATE_HZ * 2.0 and not any(metric[first:]) and worst < 0.15         # within 16 m, and for as long as it lies
    assert 'odometry say' in fused.doubt and '%' in fused.doubt
    metric, _ = drive(fused, 20.0, 32.0)                                                # it comes to its senses
    assert metric[-1] and fused.scale.value == pytest.approx(TRUE, rel=0.05)


def test_odometry_that_lies_from_the_start_is_never_metric_beside_a_camera_height():
    fused = with_height()
    metric, _ = drive(fused, 25.0, gain=2.0)
    late = metric[round(4 * RATE_HZ):]
    assert not any(late[-round(15 * RATE_HZ):])
    assert not any(drive(FusedScale(CameraHeight(Mount(STREET.height_m))), 25.0, gain=0.5)[0][-75:])    # the tilt is learned


def test_a_scale_that_changes_for_good_is_metric_again_when_it_has_been_measured_anew():
    fused = FusedScale()
    drive(fused, 20.0)
    metric, _ = drive(fused, 40.0, 20.0, gain=2.0)
    assert not all(metric) and all(metric[round(12 * RATE_HZ):])       # strays from the scale before are forgotten with it
    assert fused.scale.value == pytest.approx(2 * TRUE, rel=0.05)


def test_where_nothing_is_measured_the_scale_stays_and_its_deviation_grows_until_it_is_no_more_metric():
    fused = FusedScale()
    drive(fused, 10.0)
    before = fused.scale
    metric = []
    for i in range(1, 120):
        fused.observe(perceived(STREET, 80.0, fused.scale, 10.0 + 10 * i, TRUE))
        metric.append(fused.scale.metric)
    assert before.metric and metric[0] and not metric[-1]
    assert fused.scale.value == pytest.approx(before.value)
    assert fused.scale.sigma > 1.5 * before.sigma and 'known to' in fused.doubt
    assert metric.index(False) == metric.count(True)                                    # once, for good


def test_measurements_that_scatter_are_not_believed():
    fused, rng = FusedScale(), np.random.default_rng(1)
    for i in range(300):
        fused.take('tracks', i / 5, 1.6 * i, list(rng.normal(0, 0.8, 2)))
        fused.observe(perceived(STREET, 1.6 * i, fused.scale, i / 5, TRUE))
    assert not fused.scale.metric and fused.doubt

"""What the scale of a camera is made of: given scales, the filter, the tilt of a mount, and views that are new."""
import numpy as np
import pytest

from scale_street import BUILDING, ROAD, SKY, TRUCK, Street, perceived
from semdepth_ros.frame_perception import Scale
from semdepth_ros.geometry.ground_plane import GroundPlane
from semdepth_ros.scale import GivenScale, Tilt, fixed_scale
from semdepth_ros.scale.agreement import Agreement, ScaleView
from semdepth_ros.scale.fresh_view import FreshView
from semdepth_ros.scale.log_filter import LogFilterRule, LogScaleFilter
from semdepth_ros.scale.tilt import LearnedTilt


def test_without_a_source_scale_is_one_and_not_metric():
    source = GivenScale()
    source.observe(perceived(Street(), 0.0))
    assert source.scale == Scale(1.0, 0.0, False) and source.doubt


def test_a_fixed_scale_is_metric_without_doubt():
    assert fixed_scale(1.37).scale == Scale(1.37, 0.0, True) and fixed_scale(1.37).doubt == ''


@pytest.mark.parametrize('value', [0, -1.0, float('nan'), float('inf')])
def test_an_impossible_scale_is_refused(value):
    with pytest.raises(ValueError, match='scale is'):
        fixed_scale(value)


def test_the_filter_is_the_closed_form_for_constant_measurements():
    f = LogScaleFilter(LogFilterRule(drift=0.0))
    for value in (0.10, 0.12, 0.08, 0.10):
        assert f.measure(value, 0.04)
    assert f.log == pytest.approx(0.10) and f.variance == pytest.approx(0.04 ** 2 / 4)


def test_the_filter_s_variance_grows_with_time_but_not_backwards_nor_beyond_the_longest_gap():
    f = LogScaleFilter(LogFilterRule(drift=0.1, longest_gap_s=5.0))
    f.measure(0.0, 0.1)
    for elapsed_s, variance in ((2.0, 0.03), (-7.0, 0.03), (100.0, 0.08)):
        f.predict(elapsed_s)
        assert f.variance == pytest.approx(variance)


def test_outliers_are_believed_when_there_are_many_that_agree_and_not_before():
    f = LogScaleFilter(LogFilterRule(patience=4))
    for _ in range(5):
        f.measure(0.0, 0.05)
    assert [f.measure(0.5, 0.05) for _ in range(3)] == [False] * 3 and f.log == pytest.approx(0.0)
    assert f.measure(0.5, 0.05) and f.log == pytest.approx(0.5) and f.starts == 2


def test_outliers_that_contradict_each_other_are_never_believed():
    f = LogScaleFilter(LogFilterRule(patience=4))
    f.measure(0.0, 0.05)
    assert not any(f.measure(value, 0.05) for value in (0.5, 1.5, -0.5, -1.5) * 3)
    assert f.starts == 1


@pytest.mark.parametrize('pitch_deg, roll_deg', [(0, 0), (12, 0), (-5, 3), (3, 178)])
def test_a_tilt_is_read_off_the_pose_of_an_optical_frame(pitch_deg, roll_deg):
    """Columns of the pose: where the camera's right, down and ahead point in a frame with x ahead and z up."""
    pitch, roll = np.radians([pitch_deg, roll_deg])
    ahead = np.array([np.cos(pitch), 0, -np.sin(pitch)])
    right, below = np.array([0.0, -1, 0]), np.cross(ahead, [0.0, -1, 0])
    pose = np.eye(4)
    pose[:3, 0] = np.cos(roll) * right + np.sin(roll) * below
    pose[:3, 1] = -np.sin(roll) * right + np.cos(roll) * below
    pose[:3, 2] = ahead
    tilt = Tilt.of_pose(pose)
    assert np.degrees(tilt.pitch) == pytest.approx(pitch_deg)
    assert abs(np.degrees(tilt.roll)) == pytest.approx(abs(roll_deg))
    np.testing.assert_allclose(tilt.down, pose[:3, :3].T @ [0, 0, -1], atol=1e-12)


def test_a_frame_that_is_not_optical_has_no_tilt():
    """camera_link: x ahead, y left, z up; as an optical frame it would look at the sky."""
    assert Tilt.of_pose(np.eye(4)) is None


def plane(pitch_deg, roll_deg=0.0):
    pitch, roll = np.radians([pitch_deg, roll_deg])
    return GroundPlane(np.array([0, 1.0, 0]), 1.0, float(pitch), float(roll), 1.0, 100)


@pytest.mark.parametrize('planes, expected', [
    ([(3, 0)] * 12, 3), ([(3, 0)] * 11, None), ([(3 + 0.5 * (-1) ** i, 0) for i in range(13)], 3.5),
    ([(2, 0), (22, 0)] * 8, None), ([(3, -8), (3, 8)] * 8, None), ([(3, -6)] * 16, None),
    ([(3, 0)] * 20 + [(6, 0)] * 12, None)],
    ids=['agreeing', 'too few', 'scattered', 'pitches of traffic', 'rolls apart', 'rolled', 'changed'])
def test_a_tilt_is_learned_from_planes_that_agree_only(planes, expected):
    learned = LearnedTilt()
    for pitch, roll in planes:
        learned.take(plane(pitch, roll))
    assert (learned.tilt is None) if expected is None else np.degrees(learned.tilt.pitch) == pytest.approx(expected)


def fresh_after(moves, **more):
    """Return for each place and change whether it is a fresh view."""
    views = FreshView()
    return [views.is_fresh(perceived(Street(), place, stamp_s=float(i), **{**more, **change}))
            for i, (place, change) in enumerate(moves)]


def test_the_same_place_is_no_fresh_view_and_one_ten_metres_on_is():
    assert fresh_after([(0, {}), (0, {}), (0, {}), (10, {}), (10, {})], noise=0.03) == [True, False, False, True, False]


def test_a_network_that_flickers_makes_no_fresh_view():
    assert fresh_after([(0, {}), (0, {'true_scale': 1.4}), (0, {'true_scale': 0.7})]) == [True, False, False]


def test_a_lorry_that_passes_makes_no_fresh_view():
    views = FreshView()
    assert views.is_fresh(perceived(Street(), 0.0))
    assert not any(views.is_fresh(perceived(Street(truck_m=metres), 0.0, stamp_s=metres)) for metres in (4.0, 6.0, 9.0))


def test_what_is_seen_next_a_moment_later_is_no_fresh_view():
    views = FreshView()
    assert [views.is_fresh(perceived(Street(), 20.0 * i, stamp_s=0.2 * i)) for i in range(3)] == [True, False, True]


def test_where_nothing_stands_still_no_view_is_fresh():
    assert fresh_after([(0, {}), (10, {}), (20, {})], label={BUILDING: TRUCK, SKY: TRUCK}) == [True, False, False]
    assert fresh_after([(0, {}), (10, {}), (20, {})], label={BUILDING: ROAD}) == [True, False, False]


def test_agreement_says_what_is_missing():
    agreement = Agreement()

    def take(number, log_scale=0.0, bend=0.0, agrees=True, start_s=0.0):
        for i in range(number):
            agreement.take(ScaleView(start_s + i / 2, log_scale, 0.0, bend, 4.0, agrees))
    take(11)
    assert '11 of the 12 views' in agreement.doubt
    take(5, start_s=6.0)
    assert agreement.doubt == ''
    take(5, 0.3, agrees=False)
    assert '5 of the newest 8 views do not agree' in agreement.doubt
    agreement.clear()
    take(20, bend=0.1)
    assert 'bend down by 10 %' in agreement.doubt
    agreement.clear()
    for i in range(20):
        agreement.take(ScaleView(0.1 * i, 0.0, 0.0, 0.0, 4.0, True))
    assert '1.9 of the 3.0 s' in agreement.doubt


def test_scatter_counts_views_that_do_not_agree_too():
    agreement = Agreement()
    for i in range(30):
        agreement.take(ScaleView(float(i), 0.0, 0.3 * (i % 3 - 1), 0.0, 4.0, i % 3 == 1))
    assert agreement.scatter == pytest.approx(0.3 / 1.645, rel=0.01)

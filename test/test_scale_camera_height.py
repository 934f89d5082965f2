"""The camera's height over the road it sees: the scale is found, and metric only where that can be believed."""
import numpy as np
import pytest

from scale_street import BUILDING, ROAD, TRUCK, Street, drive, perceived, view
from semdepth_ros.classes import TRAIN_ID
from semdepth_ros.frame_perception import Scale
from semdepth_ros.scale import CameraHeight, Mount, Tilt
from semdepth_ros.scale.camera_height import CameraHeightRule
from semdepth_ros.scale.log_filter import LogFilterRule

TOLD, LEARNED = 'told', 'learned'


def source_on(street, how=TOLD, **more):
    return CameraHeight(Mount(street.height_m, street.tilt if how == TOLD else None), **more)


def never_false(published, true_scale):
    """Return whether no metric scale was farther from the truth than three of its standard deviations."""
    return all(abs(np.log(true_scale / scale.value)) <= 3 * scale.sigma / scale.value
               for scale, _ in published if scale.metric)


@pytest.mark.parametrize('height', [0, -1.0, float('nan'), float('inf')])
def test_an_impossible_height_is_refused_at_first_and_later(height):
    with pytest.raises(ValueError, match='camera height is'):
        CameraHeight(Mount(height))
    with pytest.raises(ValueError, match='camera height is'):
        CameraHeight(Mount(1.0)).move(Mount(height))


@pytest.mark.parametrize('how', [TOLD, LEARNED])
@pytest.mark.parametrize('true_scale, height_m, pitch_deg',
                         [(0.2, 1.65, 2), (1.0, 1.2, -2), (3.7, 2.4, 8), (1.4, 0.5, 4)])
def test_the_scale_is_found_and_becomes_metric(how, true_scale, height_m, pitch_deg):
    street = Street(height_m, pitch_deg)
    source = source_on(street, how)
    published = drive(source, street, 16.0, true_scale=true_scale, noise=0.03)
    assert source.scale.value == pytest.approx(true_scale, rel=0.03)
    assert source.scale.metric and source.doubt == ''
    assert source.scale.sigma / source.scale.value < (0.10 if how == TOLD else 0.15)
    assert np.degrees(source.tilt.pitch) == pytest.approx(pitch_deg, abs=0.3)
    assert never_false(published, true_scale)


def test_the_scale_already_applied_does_not_feed_back():
    source = source_on(Street())
    drive(source, Street(), 20.0, true_scale=2.5)
    assert source.scale.value == pytest.approx(2.5, rel=0.01)


@pytest.mark.parametrize('how', [TOLD, LEARNED])
def test_it_takes_several_views_and_some_seconds(how):
    source = source_on(Street(), how)
    published = drive(source, Street(), 12.0, true_scale=0.7)
    first_s = next(time_s for scale, time_s in published if scale.metric)
    assert first_s >= 3.0
    assert not published[0][0].metric and published[5][0].value == pytest.approx(0.7 if how == TOLD else 1.0, rel=0.05)


@pytest.mark.parametrize('how', [TOLD, LEARNED])
def test_a_camera_that_stands_is_never_metric_however_long_and_whatever_the_noise(how):
    source = source_on(Street(), how)
    published = drive(source, Street(), 60.0, speed=0.0, noise=0.03, rate_hz=2.5)
    assert not any(scale.metric for scale, _ in published)
    assert 'views' in source.doubt or 'planes' in source.doubt


def test_a_bias_stays_however_many_views_there_are():
    source = source_on(Street())
    drive(source, Street(), 20.0)
    rule = source.rule
    assert source.scale.sigma / source.scale.value > np.hypot(rule.bias, rule.agreement.scatter)
    learned = source_on(Street(), LEARNED)
    drive(learned, Street(), 20.0)
    assert learned.scale.sigma / learned.scale.value > rule.learned_bias


def test_sigma_holds_how_much_frames_scatter():
    calm, shaky = source_on(Street()), source_on(Street())
    drive(calm, Street(), 20.0)
    drive(shaky, Street(), 20.0, noise=0.12)
    assert shaky.scale.sigma / shaky.scale.value > np.hypot(calm.scale.sigma / calm.scale.value, 0.06)


def test_without_a_road_the_scale_stays_and_its_deviation_grows():
    source = source_on(Street())
    drive(source, Street(), 10.0, true_scale=2.0)
    known = source.scale
    drive(source, Street(), 10.0, 10.0, true_scale=9.0, label={ROAD: BUILDING})
    assert source.scale.value == known.value and source.scale.sigma > known.sigma


def test_metric_is_withdrawn_when_no_road_was_seen_for_too_long():
    source = source_on(Street(), rule=CameraHeightRule(filter=LogFilterRule(drift=0.03)))
    drive(source, Street(), 10.0, true_scale=2.0)
    assert source.scale.metric
    drive(source, Street(), 40.0, 10.0, label={ROAD: BUILDING}, rate_hz=2)
    assert not source.scale.metric and source.scale.value == pytest.approx(2.0, rel=0.02)
    assert 'is known to' in source.doubt


def test_metric_is_withdrawn_when_later_views_disagree_and_comes_back_with_what_they_say():
    source = source_on(Street())
    drive(source, Street(), 15.0)
    assert source.scale.metric
    published = drive(source, Street(), 12.0, 15.0, true_scale=1.5)
    withdrawn_s = next(time_s for scale, time_s in published if not scale.metric)
    assert withdrawn_s - 15.0 < 3.0
    assert source.scale.metric and source.scale.value == pytest.approx(1.5, rel=0.03)


def test_a_frame_whose_own_road_speaks_against_the_scale_is_not_metric_and_does_not_move_it():
    """As a network that takes a wide crossing for a lane: for a moment everything is perceived too near."""
    source = source_on(Street())
    drive(source, Street(), 12.0)
    before = source.scale
    published = source.observe(perceived(Street(), 100.0, before, 12.5, true_scale=1.5))
    assert before.metric and published.scale == Scale(before.value, before.sigma, False)
    assert source.scale.value == pytest.approx(before.value, rel=1e-3)
    assert not source.scale.metric and 'the road in view says +50 %' in source.doubt
    drive(source, Street(), 1.0, 12.6)
    assert not source.scale.metric and 'a moment ago' in source.doubt
    drive(source, Street(), 1.0, 13.6)
    assert source.scale.metric


def test_a_frame_that_agrees_is_published_as_it_is():
    source = source_on(Street())
    drive(source, Street(), 12.0)
    frame = perceived(Street(), 100.0, source.scale, 12.5)
    assert source.observe(frame) is frame


def test_new_weights_start_the_scale_anew():
    source = source_on(Street())
    drive(source, Street(), 12.0)
    source.observe(perceived(Street(), 100.0, source.scale, 12.1, true_scale=1.6, version=1))
    assert source.scale.value == pytest.approx(1.6, rel=0.02) and not source.scale.metric


def test_terrain_carries_the_plane_where_there_is_no_road():
    source = source_on(Street())
    drive(source, Street(), 8.0, true_scale=2.0, label={ROAD: TRAIN_ID['terrain']})
    assert source.scale.value == pytest.approx(2.0, rel=0.01)


def test_time_that_runs_backwards_does_not_shrink_the_deviation():
    source = source_on(Street())
    drive(source, Street(), 8.0, 100.0)
    sigma = source.scale.sigma
    source.observe(perceived(Street(), 3.0, source.scale, 5.0, label={ROAD: BUILDING}))
    assert source.scale.sigma >= sigma


def test_a_frame_without_a_camera_is_left_out():
    source = source_on(Street())
    for i in range(40):
        frame = perceived(Street(), 1.6 * i, source.scale, 0.2 * i)
        source.observe(type(frame)(**{**vars(frame), 'camera': None}))
    assert source.scale == Scale()


def test_a_road_that_rises_ahead_is_not_taken_for_the_one_under_the_wheels():
    """The ramp begins 7 m ahead of the lens all the time; its plane is not the one whose height is known."""
    source, metric = source_on(Street()), []
    for i in range(100):
        metric.append(source.scale.metric)
        source.observe(perceived(Street(ramp=(1.6 * i + 7.0, 0.12)), 1.6 * i, source.scale, i / 5))
    assert not any(metric)


@pytest.mark.parametrize('how', [TOLD, LEARNED])
def test_a_hill_on_the_way_makes_no_scale_false(how):
    street, source = Street(ramp=(120.0, 0.08)), source_on(Street(), how)
    published = drive(source, street, 14.0, true_scale=0.8, noise=0.03)
    assert published[-1][0].metric and never_false(published, 0.8)


@pytest.mark.parametrize('how', [TOLD, LEARNED])
def test_a_truck_ahead_that_is_taken_for_road_makes_no_scale_false(how):
    street, source = Street(truck_m=7.5), source_on(Street(), how)
    published = drive(source, street, 15.0, true_scale=0.8, noise=0.03, label={TRUCK: ROAD})
    assert never_false(published, 0.8)


def test_road_that_is_seen_only_near_is_no_evidence():
    """A lorry's bumper hides all road farther than 7 m."""
    source = source_on(Street())
    for i in range(75):
        frame = perceived(Street(), 1.6 * i, source.scale, i / 5)
        hidden = (frame.labels == ROAD) & (frame.depth > 7.0)
        frame.labels[hidden], frame.depth[hidden] = TRUCK, 7.0
        source.observe(frame)
    assert not source.scale.metric


@pytest.mark.parametrize('bend', [-0.6, -0.4, 0.4, 0.6])
def test_depth_that_bends_under_a_told_tilt_is_never_metric(bend):
    source = source_on(Street())
    published = drive(source, Street(), 15.0, bend=bend)
    assert not any(scale.metric for scale, _ in published) and source.doubt


@pytest.mark.parametrize('bend', [-0.3, -0.2, 0.2, 0.3])
def test_depth_that_bends_under_a_learned_tilt_stays_within_what_is_said(bend):
    """Near and far agree then, for the bend passes for a tilt: the deviation has to hold it."""
    source = source_on(Street(), LEARNED)
    assert never_false(drive(source, Street(), 15.0, bend=bend), 1.0)


@pytest.mark.parametrize('error_deg', [-6, -4, 4, 6])
def test_a_tilt_that_is_told_wrong_is_not_believed(error_deg):
    street = Street()
    source = CameraHeight(Mount(street.height_m, Tilt(street.tilt.pitch + np.radians(error_deg))))
    published = drive(source, street, 15.0, noise=0.03)
    assert not any(scale.metric for scale, _ in published) and source.doubt


@pytest.mark.parametrize('error_deg', [-2.5, -1, 1, 2.5])
def test_a_tilt_that_is_told_a_little_wrong_stays_within_what_is_said(error_deg):
    street = Street()
    source = CameraHeight(Mount(street.height_m, Tilt(street.tilt.pitch + np.radians(error_deg))))
    assert never_false(drive(source, street, 15.0), 1.0)


def test_planes_that_differ_in_tilt_say_no_tilt():
    """Pitches of 2 and 22 degrees on a camera that is level, as a network gave them in traffic."""
    source = CameraHeight(Mount(1.65))
    streets = [Street(pitch_deg=pitch) for pitch in (2, 22, 20, -3)]
    for i in range(80):
        source.observe(perceived(streets[i // 3 % 4], 1.6 * i, source.scale, i / 5))
    assert not source.scale.metric and 'mounted' in source.doubt


def test_a_plane_above_which_sky_lies_below_the_horizon_is_refused():
    """Depth that says the camera looks down by 15 degrees, on a camera that sees sky down to the horizon."""
    seen, believed, source = Street(pitch_deg=0), Street(pitch_deg=15), CameraHeight(Mount(1.65))
    for i in range(60):
        frame = perceived(believed, 1.6 * i, source.scale, i / 5)
        frame.labels[np.isinf(view(seen, 1.6 * i)[0])] = TRAIN_ID['sky']
        source.observe(frame)
    assert not source.scale.metric


def test_a_mount_that_moves_keeps_what_was_learned():
    low, high = Street(1.2, 2.0), Street(1.8, 6.0)
    source = source_on(low)
    drive(source, low, 12.0, true_scale=1.3)
    source.move(Mount(high.height_m, high.tilt))
    assert source.scale.metric
    published = drive(source, high, 8.0, 12.0, true_scale=1.3)
    assert all(scale.metric for scale, _ in published) and source.scale.value == pytest.approx(1.3, rel=0.02)

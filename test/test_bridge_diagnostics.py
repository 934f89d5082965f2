"""Counts, rates, gaps and latencies as diagnostics show them."""
import numpy as np
import pytest

from bridge_messages import header
from semdepth_ros.bridge.diagnostics import WARN, Statistics, make_diagnostics, make_status
from semdepth_ros.bridge.stamps import StampPace, StampWatch

TENTH, SECOND = 100_000_000, 1_000_000_000


def test_rate_is_that_of_the_last_ten_seconds():
    statistics = Statistics()
    for t in [0.0, 1.0, *np.arange(20, 25, 0.1)]:
        statistics.count('frames', t)
    assert statistics.total('frames') == 52
    assert abs(statistics.rate('frames', 25.0) - 10) < 0.01
    assert statistics.rate('frames', 100.0) == 0 == statistics.rate('unheard of', 1.0)


def test_the_rate_of_what_has_stopped_falls_at_once():
    statistics = Statistics()
    assert (statistics.last_s('frames'), statistics.period_s('frames')) == (None, 0)
    for t in np.arange(0, 2, 0.1):
        statistics.count('frames', t)
    assert [round(statistics.rate('frames', now), 6) for now in (1.95, 2.0, 4.0, 8.0)] == [10, 10, 5, 2.5]
    assert abs(statistics.last_s('frames') - 1.9) < 1e-9 and abs(statistics.period_s('frames') - 0.1) < 1e-9


def test_latency_percentiles_by_stage():
    statistics = Statistics()
    for value in range(101):
        statistics.latency({'network': float(value), 'publish': 1.0})
    assert statistics.percentiles() == {'network': (50.0, 95.0, 99.0), 'publish': (1.0, 1.0, 1.0)}


def test_frames_missing_from_a_regular_stream_are_counted():
    watch, stamps = StampWatch(), [i * TENTH for i in range(30) if i not in (10, 20, 21)]
    assert all(watch.see(s + (i % 3) * 1_000_000) for i, s in enumerate(stamps))
    assert watch.missing == 3


def test_an_interruption_or_a_driver_without_a_clock_is_no_gap():
    watch = StampWatch()
    for stamp in [*range(0, 10 * TENTH, TENTH), 20_000_000_000, *range(20_100_000_000, 21_000_000_000, TENTH)]:
        assert watch.see(stamp)
    assert watch.missing == 0
    still = StampWatch()
    assert all(still.see(0) for _ in range(20)) and still.missing == 0


def test_time_going_backwards_is_told_once_and_starts_the_stream_anew():
    watch = StampWatch()
    for stamp in range(0, 20 * TENTH, TENTH):
        watch.see(stamp)
    assert not watch.see(0)
    assert watch.period_ns is None
    assert all(watch.see(stamp) for stamp in range(TENTH, 20 * TENTH, TENTH)) and watch.missing == 0


def test_a_restarted_stream_does_not_count_the_pause():
    watch = StampWatch()
    for stamp in range(0, 20 * TENTH, TENTH):
        watch.see(stamp)
    watch.restart()
    assert watch.see(40 * TENTH) and watch.missing == 0


def test_a_status_shows_its_values_in_order_as_text():
    from semdepth_ros.bags.rosbags_types import rosbags_types
    values = {'rate': 9.87654, 'drops': 3, 'a': 'b'}
    status = make_status(rosbags_types(), 'perception: camera', 'cpu', WARN, 'slow', values)
    assert [(v.key, v.value) for v in status.values] == [('rate', '9.877'), ('drops', '3'), ('a', 'b')]
    assert make_diagnostics(rosbags_types(), header(), [status]).status == [status]


@pytest.mark.parametrize('rate, expected', [(0, 40), (20, 40), (10, 40), (4, 16), (3, 12), (0.5, 2)])
def test_so_many_frames_a_second_pass_whatever_divides_the_camera_s_rate(rate, expected):
    pace = StampPace()
    assert sum(pace.lets_pass(5 * SECOND + i * TENTH, rate) for i in range(40)) == expected


def test_a_pace_begins_anew_after_a_gap_and_when_time_goes_backwards():
    pace = StampPace()
    passed = [pace.lets_pass(round(t * SECOND), 1) for t in (5, 5.5, 6, 20, 20.5, 21, 3, 3.5, 4, 4, 4)]
    assert passed == [True, False, True, True, False, True, True, False, True, True, True]

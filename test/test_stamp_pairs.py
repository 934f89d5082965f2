"""Messages paired by their stamps, and frames put together of what has come for them."""
from types import SimpleNamespace as Fields

import numpy as np
import pytest

from semdepth_ros.bridge.frame_assembly import FrameAssembly
from semdepth_ros.bridge.stamp_pairs import StampPairs

MS = 1_000_000


def message(stamp_ns, name=''):
    return Fields(name=name, header=Fields(stamp=Fields(sec=stamp_ns // 10 ** 9, nanosec=stamp_ns % 10 ** 9)))


def paired(pairs, arrivals):
    """Return the pairs of stamps [ms] that come of messages arriving in this order, as (topic, stamp [ms])."""
    found = []
    for topic, stamp in arrivals:
        pair = pairs.add(topic, message(round(stamp * MS), stamp))
        found += [tuple(part.name for part in pair)] if pair else []
    return found


def test_equal_stamps_are_paired_whichever_comes_first_and_once():
    arrivals = [(0, 1), (1, 2), (1, 1), (0, 2), (0, 3), (1, 4), (1, 3), (1, 3)]
    assert paired(StampPairs(10), arrivals) == [(1, 1), (2, 2), (3, 3)]


def test_with_a_slop_the_nearest_that_is_there_is_taken_if_it_is_less_than_that_away():
    assert paired(StampPairs(10, 50 * MS), [(1, 60), (1, 120), (0, 100)]) == [(100, 120)]
    assert paired(StampPairs(10, 50 * MS), [(1, 50), (0, 100)]) == []
    assert paired(StampPairs(10, 50 * MS), [(1, 51), (0, 100), (1, 101)]) == [(100, 51)]


def test_the_oldest_messages_of_a_topic_are_forgotten():
    assert paired(StampPairs(2), [(0, 1), (0, 2), (0, 3), (1, 1), (1, 3), (1, 2)]) == [(3, 3), (2, 2)]
    assert paired(StampPairs(2), [(0, 5), (0, 6), (0, 1), (1, 1), (1, 5)]) == [(5, 5)]


def test_what_waits_of_a_topic_can_be_forgotten():
    pairs = StampPairs(2)
    assert paired(pairs, [(0, 8), (0, 9), (1, 7)]) == []
    pairs.forget(0)
    assert paired(pairs, [(0, 1), (1, 1), (1, 8), (0, 7)]) == [(1, 1), (7, 7)]


@pytest.mark.parametrize('slop_ms', [0, 30])
def test_message_filters_makes_the_same_pairs(slop_ms):
    pytest.importorskip('message_filters', reason='message_filters comes with a ROS installation, not from PyPI')
    from sensor_msgs.msg import Image
    from semdepth_ros.nodes.pairing import FilteredPairs

    def real(stamp_ns, name):
        image = Image()
        image.header.stamp.sec, image.header.stamp.nanosec = divmod(stamp_ns, 10 ** 9)
        return image
    rng, total = np.random.default_rng(0), 0
    for _ in range(20):
        stamps = rng.choice(400, 60, replace=False) * 5 * MS
        arrivals = [(int(topic), int(stamp)) for topic, stamp in zip(rng.integers(0, 2, 120), np.repeat(stamps, 2))]
        rng.shuffle(arrivals)
        results = []
        for pairs in (StampPairs(8, slop_ms * MS), FilteredPairs(8, slop_ms * MS)):
            made = [pairs.add(topic, real(stamp, '')) for topic, stamp in arrivals[:60]]
            pairs.forget(1)
            made += [pairs.add(topic, real(stamp, '')) for topic, stamp in arrivals[60:]]
            results.append([tuple(p.header.stamp.sec * 10 ** 9 + p.header.stamp.nanosec for p in pair)
                            for pair in made if pair])
        assert results[0] == results[1]
        total += len(results[0])
    assert total > 60


def test_a_frame_is_whole_when_its_parts_have_come_or_their_topics_have_passed_it():
    assembly = FrameAssembly(10, {'cloud': 5})
    assembly.begin(10, 'depth', 'd', 0.0)
    assembly.add(10, 'truth', 't')
    assert assembly.whole(['truth', 'cloud'], 0.0) == []
    assembly.passed('cloud', 14)
    assert assembly.whole(['truth', 'cloud'], 0.0) == []
    assembly.passed('cloud', 15)
    assert assembly.whole(['truth', 'cloud'], 0.0) == [(10, {'depth': 'd', 'truth': 't'})]
    assembly.add(10, 'late', 'l')
    assert assembly.whole([], 0.0) == []


def test_frames_come_in_order_and_none_waits_for_ever():
    assembly = FrameAssembly(2, {})
    for stamp in (1, 2):
        assembly.begin(stamp, 'depth', stamp, at_s=float(stamp))
    assembly.add(2, 'truth', 't')
    assert assembly.whole(['truth'], before_s=1.0) == []
    assembly.begin(3, 'depth', 3, at_s=3.0)
    assert [stamp for stamp, _ in assembly.whole(['truth'], before_s=1.0)] == [1, 2]  # more than two
    assert [stamp for stamp, _ in assembly.whole(['truth'], before_s=3.1)] == [3]


def test_after_a_clock_is_set_back_no_topic_is_taken_to_be_past_a_new_frame():
    assembly = FrameAssembly(10, {})
    assembly.passed('truth', 20)
    assembly.begin(10, 'depth', 'd', 0.0)
    assert assembly.whole(['truth'], 0.0) == [(10, {'depth': 'd'})]
    assembly.begin_anew()
    assembly.begin(10, 'depth', 'd', 0.0)
    assert assembly.whole(['truth'], 0.0) == []
    assembly.add(10, 'truth', 't')
    assert assembly.whole(['truth'], 0.0) == [(10, {'depth': 'd', 'truth': 't'})]

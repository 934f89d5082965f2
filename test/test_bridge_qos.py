"""Subscriptions ask for what publishers offer."""
from semdepth_ros.bags.qos import (BEST_EFFORT, CALIBRATION, INPUT, LATCHED, OUTPUT, RELIABLE, TRANSIENT_LOCAL,
                                     VOLATILE, Qos, excluding, following)


def test_reliable_only_if_every_publisher_is():
    assert following(INPUT, [OUTPUT, OUTPUT]).reliability == RELIABLE
    assert following(INPUT, [OUTPUT, Qos(BEST_EFFORT)]).reliability == BEST_EFFORT


def test_latched_only_if_every_publisher_is_and_only_where_that_is_followed():
    assert following(CALIBRATION, [LATCHED, LATCHED]) == Qos(RELIABLE, TRANSIENT_LOCAL)
    assert following(CALIBRATION, [LATCHED, OUTPUT]) == Qos(RELIABLE, VOLATILE)
    assert following(INPUT, [LATCHED]).durability == VOLATILE


def test_without_publishers_nothing_changes_and_what_is_not_followed_never_does():
    assert following(CALIBRATION, []) == Qos(BEST_EFFORT, VOLATILE)
    assert following(CALIBRATION, [], present=Qos(RELIABLE, TRANSIENT_LOCAL)) == Qos(RELIABLE, TRANSIENT_LOCAL)
    assert following(LATCHED, [Qos(BEST_EFFORT, depth=9)]) == LATCHED


def test_what_excludes_a_publisher_is_named():
    assert excluding(LATCHED, [LATCHED, Qos(BEST_EFFORT, TRANSIENT_LOCAL)]) == 'reliability'
    assert excluding(LATCHED, [LATCHED, OUTPUT]) == 'durability'
    assert excluding(LATCHED, []) == excluding(INPUT, [Qos(BEST_EFFORT)]) == excluding(Qos(BEST_EFFORT), [OUTPUT]) == ''

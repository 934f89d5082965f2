"""Subscriptions ask for what publishers offer."""
from semdepth_ros.bridge.qos import BEST_EFFORT, INPUT, LATCHED, RELIABLE, following


def test_reliable_only_if_every_publisher_is():
    assert following(INPUT, [RELIABLE, RELIABLE]).reliability == RELIABLE
    assert following(INPUT, [RELIABLE, BEST_EFFORT]).reliability == BEST_EFFORT
    assert following(LATCHED, [BEST_EFFORT]).reliability == BEST_EFFORT


def test_without_publishers_nothing_changes_and_depth_never_does():
    assert following(INPUT, []) == INPUT
    assert following(INPUT, [RELIABLE]).depth == INPUT.depth

"""Wrong labels at the rates that were asked for."""
import numpy as np
import pytest

from semdepth_ros.classes import TRAIN_ID, UNLABELLED
from semdepth_ros.world import corrupt_labels
from semdepth_ros.world.label_noise import CONFUSED_WITH

CAR, ROAD = TRAIN_ID['car'], TRAIN_ID['road']
SIDE, STEP = 30, 60


def cars(rows=16, columns=20):
    """Return labels with rows * columns square cars on a road, and the corners of the squares."""
    labels = np.full((rows * STEP, columns * STEP), ROAD, np.uint8)
    corners = [(r * STEP + 15, c * STEP + 15) for r in range(rows) for c in range(columns)]
    for top, left in corners:
        labels[top:top + SIDE, left:left + SIDE] = CAR
    return labels, corners


def test_no_rates_no_errors():
    labels, _ = cars(2, 2)
    assert np.array_equal(corrupt_labels(labels, 0, 0, 0).labels, labels)


def test_components_are_flipped_and_missing_at_the_asked_rates():
    labels, corners = cars()
    noisy = corrupt_labels(labels, flip_rate=0.2, missing_rate=0.1, border_rate=0, seed=3).labels
    middles = np.array([noisy[top + 15, left + 15] for top, left in corners])
    assert np.isin(middles, (CAR, ROAD, *CONFUSED_WITH[CAR])).all()
    assert np.mean(np.isin(middles, CONFUSED_WITH[CAR])) == pytest.approx(0.2, abs=0.06)
    assert np.mean(middles == ROAD) == pytest.approx(0.1, abs=0.05)


def test_borders_move_by_three_to_nine_pixels_both_ways():
    labels, corners = cars()
    noisy = corrupt_labels(labels, 0, 0, border_rate=0.6, seed=4).labels
    widths = np.array([(noisy[top + 15, left - 14:left + SIDE + 14] == CAR).sum() for top, left in corners])
    moved = np.abs(widths - SIDE) / 2
    assert np.mean(moved > 0) == pytest.approx(0.6, abs=0.08)
    assert moved[moved > 0].min() >= 3 and moved.max() <= 9
    assert 0.35 < np.mean(widths[moved > 0] > SIDE) < 0.65


def test_confidence_is_lower_where_labels_are_wrong():
    labels, corners = cars()
    noisy, confidence = corrupt_labels(labels, 0.3, 0, 0, seed=5)
    at = np.array([(noisy[t + 15, c + 15], confidence[t + 15, c + 15]) for t, c in corners])
    wrong = at[:, 0] != CAR
    assert at[wrong, 1].mean() < at[~wrong, 1].mean() - 30
    assert at[wrong, 1].max() > at[~wrong, 1].min()         # but does not give the errors away
    assert confidence.dtype == np.uint8 and confidence.shape == labels.shape


def test_the_same_seed_makes_the_same_errors_and_another_makes_others():
    labels, _ = cars(3, 3)
    first, again, other = (corrupt_labels(labels, 0.4, 0.2, seed=s) for s in (1, 1, 2))
    assert np.array_equal(first.labels, again.labels) and np.array_equal(first.confidence, again.confidence)
    assert not np.array_equal(first.labels, other.labels)


def test_unlabelled_stays_unlabelled_and_road_stays_road():
    labels, _ = cars(2, 2)
    labels[:10] = UNLABELLED
    noisy, confidence = corrupt_labels(labels, 1.0, 0, 0)
    assert (noisy[:10] == UNLABELLED).all() and (confidence[:10] == 0).all()
    assert (noisy[labels == ROAD] == ROAD).all() and not (noisy == CAR).any()


@pytest.mark.parametrize('arguments, words', [({'flip_rate': 1.2}, 'flip_rate is 1.2'),
                                              ({'flip_rate': 0.7, 'missing_rate': 0.6}, 'add up to more than 1'),
                                              ({'border_px': (9, 3)}, r'border_px is \(9, 3\)')])
def test_impossible_rates_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        corrupt_labels(np.zeros((4, 4), np.uint8), **arguments)

import math

import numpy as np
import pytest

from semdepth_ros.evaluation import confusion_matrix, depth_errors, evaluated_pixels, semantic_scores
from semdepth_ros.evaluation.depth_metrics import METRICS, clamped, garg_crop, is_kitti_shaped


def test_depth_errors_equal_their_closed_forms():
    errors = depth_errors(np.array([2.0, 10.0, 3.0]), np.array([1.0, 8.0, 3.0]))
    assert tuple(errors) == METRICS
    expected = {'abs_rel': (1 / 1 + 2 / 8 + 0) / 3, 'sq_rel': (1 / 1 + 4 / 8 + 0) / 3,
                'rmse': math.sqrt((1 + 4 + 0) / 3), 'd1': 1 / 3, 'd2': 2 / 3, 'd3': 2 / 3,
                'rmse_log': math.sqrt((math.log(2) ** 2 + math.log(1.25) ** 2) / 3)}
    assert errors == pytest.approx(expected, rel=1e-12)


def test_a_ratio_of_exactly_a_quarter_more_is_not_below_it():
    assert depth_errors(np.array([1.25]), np.array([1.0]))['d1'] == 0
    assert depth_errors(np.array([1.2499]), np.array([1.0]))['d1'] == 1


def test_perfect_depth_has_no_error():
    assert depth_errors(np.array([3.0]), np.array([3.0])) == {**dict.fromkeys(METRICS, 0.0), 'd1': 1, 'd2': 1, 'd3': 1}


@pytest.mark.parametrize('predicted, truth', [([1.0], [1.0, 2.0]), ([], []), ([np.nan], [1.0]), ([1.0], [np.inf]),
                                              ([0.0], [1.0])])
def test_depths_that_cannot_be_compared_are_refused(predicted, truth):
    with pytest.raises(ValueError, match='depth'):
        depth_errors(np.array(predicted), np.array(truth))


def test_float32_depths_are_summed_in_float64():
    truth = np.full(200_000, 7.3, dtype=np.float32)
    assert depth_errors(truth * np.float32(1.5), truth)['abs_rel'] == pytest.approx(0.5, abs=1e-6)


def test_the_garg_crop_of_kitti_is_the_published_window():
    rows, columns = garg_crop(375, 1242)
    assert (rows.start, rows.stop, columns.start, columns.stop) == (153, 371, 44, 1197)


@pytest.mark.parametrize('size, kitti', [((375, 1242), True), ((376, 1241), True), ((370, 1224), True),
                                         ((128, 416), True), ((192, 640), True), ((1024, 2048), False),
                                         ((720, 1280), False)])
def test_kitti_is_recognised_by_its_shape(size, kitti):
    assert is_kitti_shaped(*size) == kitti


def test_only_truth_in_range_counts():
    truth = np.array([[0.0005, 0.002, 79.9, 80.0, np.nan, np.inf]])
    np.testing.assert_array_equal(evaluated_pixels(truth), [[False, True, True, False, False, False]])


def test_on_kitti_shapes_only_the_crop_counts():
    mask = evaluated_pixels(np.full((375, 1242), 10.0))
    assert mask.sum() == (371 - 153) * (1197 - 44) and mask[153, 44] and not mask[152, 44]


def test_sky_counts_as_the_farthest_depth_and_nan_stays():
    np.testing.assert_array_equal(clamped(np.array([np.inf, 1e-9, 20, np.nan])), [80, 1e-3, 20, np.nan])


def test_semantic_scores_equal_counting_by_hand():
    truth = np.array([0, 0, 0, 0, 1, 1, 255], dtype=np.uint8)
    predicted = np.array([0, 0, 1, 255, 1, 2, 0], dtype=np.uint8)
    scores = semantic_scores(confusion_matrix(predicted, truth))
    assert scores['per_class'] == pytest.approx({'road': 2 / 4, 'sidewalk': 1 / 3})
    assert scores['miou'] == pytest.approx((2 / 4 + 1 / 3) / 2)
    assert scores['pixel_accuracy'] == pytest.approx(3 / 6)


def test_confusion_matrices_of_frames_add_up():
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 25, (2, 40, 50), dtype=np.uint8)
    halves = confusion_matrix(predicted[:20], truth[:20]) + confusion_matrix(predicted[20:], truth[20:])
    np.testing.assert_array_equal(halves, confusion_matrix(predicted, truth))
    assert halves.sum() == (truth < 19).sum()
    assert halves[3, 7] == ((truth == 3) & (predicted == 7)).sum()


def test_without_labels_there_is_no_score():
    unlabelled = np.full((2, 2), 255, dtype=np.uint8)
    with pytest.raises(ValueError, match='no labelled pixel'):
        semantic_scores(confusion_matrix(unlabelled, unlabelled))
    with pytest.raises(ValueError, match='shapes'):
        confusion_matrix(unlabelled, unlabelled[:1])

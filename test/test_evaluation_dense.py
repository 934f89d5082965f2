"""Errors by border, class and break of depth: against literal loops over pixels in float64."""
import itertools
import math

import numpy as np
import pytest
from scipy import stats

from semdepth_ros.classes import CITYSCAPES, MOVABLE, THIN, TRAIN_ID
from semdepth_ros.evaluation.below_ground import below_ground
from semdepth_ros.evaluation.bootstrap import paired_change
from semdepth_ros.evaluation.class_borders import border_distance, movable_map
from semdepth_ros.evaluation.dense_evaluation import DenseEvaluation, metric_names
from semdepth_ros.evaluation.depth_borders import border_counts, border_scores, depth_borders
from semdepth_ros.evaluation.depth_metrics import METRICS
from semdepth_ros.evaluation.far_objects import far_vehicles
from semdepth_ros.evaluation.local_minima import minimum_counts, minimum_figures
from semdepth_ros.geometry.camera import Camera

ROAD, BUILDING, POLE, SKY, CAR = (TRAIN_ID[n] for n in ('road', 'building', 'pole', 'sky', 'car'))
PLANE = 1 / (0.001 + 0.004 * np.arange(1, 25)[:, None] + np.zeros((24, 30)))        # inverse depth linear in the row


def street(seed=0, shape=(24, 40)):
    """Return a picture's true depth and labels: sky, house, road, a pole, a car, holes in both; and a prediction."""
    rng = np.random.default_rng(seed)
    labels = np.full(shape, BUILDING, dtype=np.uint8)
    labels[:4], labels[14:], labels[4:18, 10:12], labels[12:18, 22:30] = SKY, ROAD, POLE, CAR
    labels[6:8, 30:34] = 255
    truth = rng.uniform(3, 90, shape).astype(np.float32)
    truth[labels == SKY], truth[18, 5:9] = np.inf, np.nan
    predicted = (np.where(np.isfinite(truth), truth, 60) * rng.uniform(0.5, 1.9, shape)).astype(np.float32)
    guessed = np.where(rng.random(shape) < 0.7, labels, rng.integers(0, 19, shape)).astype(np.uint8)
    return truth, labels, predicted, guessed


def distance_by_loops(labels):
    """Return the distance of every labelled pixel to the nearest labelled one of another class."""
    result = np.full(labels.shape, np.nan)
    places = [p for p in np.ndindex(labels.shape) if labels[p] != 255]
    for y, x in places:
        others = [math.hypot(y - v, x - u) for v, u in places if labels[v, u] != labels[y, x]]
        result[y, x] = min(others, default=math.inf)
    return result


def test_border_distance_is_that_to_the_nearest_pixel_of_another_class():
    rng = np.random.default_rng(1)
    for labels in (street()[1][:, :30], rng.choice([0, 13, 255], (12, 15)).astype(np.uint8)):
        np.testing.assert_allclose(border_distance(labels), distance_by_loops(labels), rtol=1e-6)


def test_pixels_on_both_sides_of_a_border_are_one_away_and_a_picture_of_one_class_has_none():
    row = np.array([[0, 0, 0, 2, 2, 255]], dtype=np.uint8)
    np.testing.assert_array_equal(border_distance(row), [[3, 2, 1, 1, 2, np.nan]])
    np.testing.assert_array_equal(border_distance(row[:, :3]), [[np.inf] * 3])


def test_the_movable_map_knows_no_borders_within_movable_things():
    labels = np.array([[TRAIN_ID['rider'], TRAIN_ID['bicycle'], ROAD, BUILDING, 255]], dtype=np.uint8)
    np.testing.assert_array_equal(movable_map(labels), [[1, 1, 0, 0, 255]])
    np.testing.assert_array_equal(border_distance(movable_map(labels)), [[2, 1, 1, 2, np.nan]])


def breaks_by_loops(depth, reach, least):
    result = np.zeros(depth.shape, dtype=bool)
    for y, x in np.ndindex(depth.shape):
        for dy, dx in ((0, reach), (reach, 0)):
            inside = y - dy >= 0 and x - dx >= 0 and y + dy < depth.shape[0] and x + dx < depth.shape[1]
            if inside:
                a, b, c = (1 / float(depth[y + s * dy, x + s * dx]) for s in (-1, 0, 1))
                result[y, x] |= abs(a + c - 2 * b) > least * (a + c)
    return result


def test_depth_breaks_off_where_the_literal_definition_says():
    depth = np.random.default_rng(2).uniform(5, 9, (15, 18))
    depth[3, 4], depth[8:11, 9] = np.inf, np.nan
    for reach, least in ((2, 0.1), (1, 0.2)):
        np.testing.assert_array_equal(depth_borders(depth, reach, least), breaks_by_loops(depth, reach, least))


def test_a_plane_has_no_border_and_a_step_of_a_quarter_has_one_where_it_is():
    assert not depth_borders(PLANE).any()
    stepped = PLANE.copy()
    stepped[:, 15:] *= 1.25
    found = depth_borders(stepped)
    assert found[:, 12:18].all() and found.sum() == found[:, 12:18].sum()
    np.testing.assert_array_equal(found, depth_borders(7.3 * stepped))
    stepped[:, 15:] = PLANE[:, 15:] * 1.2
    assert not depth_borders(stepped).any()


def counts_by_loops(predicted, truth, counted, tolerance):
    def near(borders, y, x):
        return any(math.hypot(y - v, x - u) <= tolerance for v, u in np.argwhere(borders))
    counts = []
    for borders, others in ((predicted, truth), (truth, predicted)):
        places = np.argwhere(borders & counted)
        counts += [sum(near(others, y, x) for y, x in places), len(places)]
    return counts


def test_borders_are_matched_as_loops_over_pairs_of_pixels_match_them():
    rng = np.random.default_rng(3)
    predicted, truth = rng.random((2, 14, 16)) < 0.05
    counted = rng.random((14, 16)) < 0.8
    for tolerance in (0, 1.5, 2):
        counts = border_counts(predicted, truth, counted, tolerance)
        assert counts.tolist() == counts_by_loops(predicted, truth, counted, tolerance)


def test_border_scores_fall_as_a_border_moves_away_or_is_missing():
    line = np.zeros((20, 20), dtype=bool)
    line[:, 8] = True
    everywhere = np.ones_like(line)

    def f_score(other):
        return border_scores(border_counts(other, line, everywhere))['f_score']
    assert f_score(line) == f_score(np.roll(line, 3, axis=1)) == 1
    assert f_score(np.roll(line, 4, axis=1)) == 0 == f_score(np.zeros_like(line))
    half = line & (np.arange(20)[:, None] < 10)
    scores = border_scores(border_counts(half, line, everywhere))
    # ten pixels are found, and three near them
    assert scores == pytest.approx({'precision': 1, 'recall': 13 / 20, 'f_score': 2 * 0.65 / 1.65})
    assert border_scores(np.zeros(4)) == {}


def figures_by_loops(frames, scaling):
    """Return figures of regions of one town, pixel by pixel."""
    sums, seven = {}, {name: [] for name in METRICS}
    for truth, labels, predicted, _ in frames:
        near, near_movable = distance_by_loops(labels), distance_by_loops(movable_map(labels))
        places = [p for p in np.ndindex(truth.shape) if 1e-3 < truth[p] < 80]
        t, p = [float(truth[q]) for q in places], [float(predicted[q]) for q in places]
        if scaling == 'median_scaled':
            p = [v * np.median(t) / np.median([float(predicted[q]) for q in places]) for v in p]
        p = [min(max(v, 1e-3), 80) for v in p]
        relative = [abs(a - b) / b for a, b in zip(p, t)]
        squares = [(a - b) ** 2 for a, b in zip(p, t)]
        ratios = [max(a / b, b / a) for a, b in zip(p, t)]
        for name, value in (('abs_rel', np.mean(relative)), ('sq_rel', np.mean([s / b for s, b in zip(squares, t)])),
                            ('rmse', math.sqrt(np.mean(squares))), ('d2', np.mean([r < 1.25 ** 2 for r in ratios])),
                            ('rmse_log', math.sqrt(np.mean([math.log(a / b) ** 2 for a, b in zip(p, t)])))):
            seven[name].append(value)
        for place, *errors in zip(places, relative, squares, [r < 1.25 for r in ratios]):
            label = int(labels[place])
            member = ['thin'] * (label in THIN) + ['movable'] * (label in MOVABLE) + ['ground'] * (label == ROAD)
            member += [CITYSCAPES[label].name] if label != 255 else []
            fields = ('border', near), ('movable_border', near_movable)
            for px, (kind, field) in itertools.product((2, 5, 10), fields):
                if label != 255:
                    member.append(f'{"within" if field[place] <= px else "beyond"}_{kind}_{px}px')
            if label != 255 and near[place] <= 5:
                member.append(f'{CITYSCAPES[label].name}_within_border_5px')
            for name in member:
                sums.setdefault(name, []).append(errors)
    return sums, {name: np.mean(values) for name, values in seven.items() if values}


@pytest.mark.parametrize('scaling', ['unscaled', 'median_scaled'])
def test_figures_of_a_town_equal_loops_over_its_pixels(scaling, monkeypatch):
    monkeypatch.setattr('semdepth_ros.evaluation.dense_evaluation.LEAST_PIXELS', 1)
    frames = [street(0, (20, 32)), street(5, (20, 32))]
    town = DenseEvaluation()
    for truth, labels, predicted, guessed in frames:
        town.add(predicted, truth, labels, guessed)
    figures = town.result()
    sums, seven = figures_by_loops(frames, scaling)
    assert {f'{scaling}.all.{name}': value for name, value in seven.items()} == pytest.approx(
        {f'{scaling}.all.{name}': figures[f'{scaling}.all.{name}'] for name in seven}, rel=1e-5)
    assert 'within_movable_border_5px' in sums and {'thin', 'beyond_border_2px', 'car_within_border_5px'} <= sums.keys()
    for name, errors in sums.items():
        relative, square, near = np.mean(errors, axis=0)
        assert figures[f'{scaling}.{name}.abs_rel'] == pytest.approx(relative, rel=1e-5), name
        if f'{scaling}.{name}.rmse' in figures:
            assert figures[f'{scaling}.{name}.rmse'] == pytest.approx(math.sqrt(square), rel=1e-5)
            assert figures[f'{scaling}.{name}.d1'] == pytest.approx(near)
    named = {c.name for c in CITYSCAPES} & sums.keys()
    mean = np.mean([np.mean(sums[name], axis=0)[0] for name in named])
    assert figures[f'{scaling}.class_mean.abs_rel'] == pytest.approx(mean, rel=1e-5)


def test_every_figure_has_a_name_that_is_known():
    town = DenseEvaluation()
    for seed in range(5):
        town.add(*(lambda t, l, p, g: (p, t, l, g))(*street(seed)))
    figures = town.result()
    assert set(figures) <= set(metric_names()) and len(set(metric_names())) == len(metric_names())
    assert {'classes.miou', 'classes.car', 'depth_borders.f_score', 'unscaled.thin.rmse'} <= set(figures)
    assert 'far_vehicles.rate' not in figures       # the car has too few pixels


def test_regions_of_few_pixels_and_classes_that_were_not_learned_have_no_figure():
    truth, labels, predicted, _ = street()
    town = DenseEvaluation()
    town.add(predicted, truth, labels)
    figures = town.result()
    assert 'unscaled.thin.abs_rel' not in figures and 'unscaled.road.abs_rel' in figures
    assert not any(name.startswith('classes.') for name in figures)


def test_the_truth_itself_has_no_error_and_all_its_borders():
    truth = PLANE.copy()
    truth[:, 12:] *= 2
    labels = np.where(np.arange(30) < 12, ROAD, BUILDING).astype(np.uint8) + np.zeros((24, 1), dtype=np.uint8)
    town = DenseEvaluation()
    town.add(truth, truth, labels, labels)
    figures = town.result()
    assert figures['unscaled.within_border_5px.abs_rel'] == figures['median_scaled.all.rmse'] == 0
    assert figures['depth_borders.f_score'] == figures['classes.miou'] == 1


def test_frames_that_cannot_be_compared_are_refused():
    truth, labels, predicted, _ = street()
    with pytest.raises(ValueError, match='shapes'):
        DenseEvaluation().add(predicted[1:], truth, labels)
    with pytest.raises(ValueError, match='not positive'):
        DenseEvaluation().add(0 * predicted, truth, labels)


def test_a_vehicle_counts_as_far_beyond_twice_its_depth_and_only_if_it_is_large():
    labels = np.full((30, 60), ROAD, dtype=np.uint8)
    labels[2:14, 2:14], labels[2:14, 20:32], labels[20:25, 40:45] = CAR, CAR, CAR
    truth = np.full(labels.shape, 10.0)
    depth = np.full(labels.shape, 19.0)
    depth[2:14, 20:32], depth[20:25, 40:45] = 21.0, 60.0
    assert far_vehicles(depth, truth, labels) == (1, 2)
    truth[2:14, 20:32] = np.nan
    assert far_vehicles(depth, truth, labels) == (0, 1)


def test_pixels_below_the_true_roads_plane_are_those_of_a_literal_loop():
    camera = Camera.from_field_of_view(64, 40, 80)
    rays = camera.rays().astype(np.float64)
    road = rays[..., 1] > 0.05
    truth = np.where(road, 1.5 / np.maximum(rays[..., 1], 1e-9), 40.0)
    labels = np.where(road, ROAD, BUILDING).astype(np.uint8)
    labels[30:36, 20:30] = CAR
    truth[30:36, 20:30] = truth[30:36, 20:30].min() * 0.95
    truth[36:38] *= 1.8         # a ditch, which is truly deeper
    truth[:, 60:] = np.nan
    depth = truth.copy()
    depth[np.isnan(depth)] = 30.0
    depth[30:36, 20:30], depth[5:8] = 200.0, 500.0
    below = pixels = 0
    for v, u in np.ndindex(truth.shape):
        if np.isfinite(truth[v, u]):
            pixels += 1
            deep, truly = (z[v, u] * rays[v, u, 1] / 1.5 - 1 > 0.4 for z in (depth, truth))
            below += bool(deep and not truly and rays[v, u, 1] > 1 / 20)
    assert below_ground(depth, truth, labels, camera) == (below, pixels) == (60, 40 * 60)
    town = DenseEvaluation()
    town.add(depth, truth, labels, camera=camera)
    assert town.result()['below_ground.rate'] == pytest.approx(60 / 2400)
    without = DenseEvaluation()
    without.add(depth, truth, labels)
    assert 'below_ground.rate' not in without.result()
    assert below_ground(depth, truth, np.full_like(labels, BUILDING), camera) == (0, 0)


@pytest.mark.parametrize('kind', ['relative', 'absolute'])
def test_the_interval_of_a_change_is_that_of_scipys_paired_bootstrap(kind):
    rng = np.random.default_rng(4)
    reference = rng.uniform(0.1, 0.3, 16)
    values = reference * rng.uniform(0.8, 1.05, 16)

    def statistic(a, b, axis):
        return a.mean(axis=axis) / b.mean(axis=axis) - 1 if kind == 'relative' else (a - b).mean(axis=axis)
    theirs = stats.bootstrap((values, reference), statistic, paired=True, vectorized=True, n_resamples=20_000,
                             method='percentile', rng=np.random.default_rng(5)).confidence_interval
    ours = paired_change(values, reference, kind)
    assert ours.value == pytest.approx(statistic(values, reference, 0))
    spread = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.03 * spread)
    assert ours.high == pytest.approx(theirs.high, abs=0.03 * spread)


def test_pairing_towns_makes_a_steady_gain_sure_that_differences_between_towns_would_hide():
    reference = np.linspace(0.1, 0.9, 16)
    change = paired_change(0.95 * reference, reference)
    assert change == pytest.approx((-0.05, -0.05, -0.05))
    shuffled = paired_change(0.95 * reference[::-1], reference)
    assert shuffled.low < 0 < shuffled.high


@pytest.mark.parametrize('values, kind, words', [
    ([1.0], 'relative', 'at least 2'), ([[1.0, 2.0]], 'relative', 'shapes'),
    ([1.0, 2.0], 'ratio', "change is 'ratio', expected one of relative")])
def test_changes_that_mean_nothing_are_refused(values, kind, words):
    with pytest.raises(ValueError, match=words):
        paired_change(np.array(values), np.array(values), kind)


def test_pixels_leave_local_minima_and_fall_into_them():
    truth = np.full(6, 10.0)
    start = np.array([20.0, 20.0, 5.0, 10.5, 9.5, 12.0])        # three are stuck, two are free, one is neither
    now = np.array([10.5, 12.0, 20.0, 20.0, 9.5, 10.0])
    assert minimum_counts(start, now, truth).tolist() == [6, 3, 1, 2, 1]
    assert minimum_figures(np.array([6, 3, 1, 2, 1])) == {'stuck': 0.5, 'left': 1 / 3, 'fell': 0.5}
    assert minimum_figures(np.array([6, 0, 0, 0, 0])) == {'stuck': 0.0}


def test_local_minima_are_counted_where_the_start_is_known_each_depth_by_its_own_scale():
    truth, labels, predicted, _ = street()
    known, evaluation = DenseEvaluation(), DenseEvaluation()
    known.add(predicted, truth, labels, start=3 * np.where(np.isfinite(truth), truth, 60))
    evaluation.add(predicted, truth, labels)
    figures = known.result()
    assert figures['local_minima.stuck'] == 0 and 0.2 < figures['local_minima.fell'] < 1
    assert 'local_minima.left' not in figures
    assert not [name for name in evaluation.result() if name.startswith('local_minima')]
    assert set(figures) <= set(metric_names())

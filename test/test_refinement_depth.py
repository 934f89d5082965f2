"""Pseudo-depth from semantics against literal loops in double precision, and on scenes whose depth is known."""
from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from semdepth_ros.classes import SKY, TRAIN_ID, UNLABELLED
from semdepth_ros.losses.refinement import KINDS, DepthRefinement, pseudo_depth
from semdepth_ros.losses.refinement.border_snapping import filled_from_inside, near_border
from semdepth_ros.losses.refinement.components import connected_components, numbered
from semdepth_ros.losses.refinement.robust_fit import fit_planes, relative_residual, segment_median
from semdepth_ros.losses.refinement.scene_fit import Shapes, fit_scene, places, standing_depth
from semdepth_ros.settings import SettingsError

ROAD, BUILDING, WALL, POLE, CAR = (TRAIN_ID[name] for name in ('road', 'building', 'wall', 'pole', 'car'))


def patches(seed: int, shape=(2, 24, 40)) -> torch.Tensor:
    """Labels in blots of a few pixels."""
    noise = torch.rand(shape[0], 1, *shape[1:], generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.avg_pool2d(noise, 5, 1, 2)[:, 0]
    return ((smooth - smooth.mean()) * 12).round().clamp(-1, 1).add(1).to(torch.uint8)


def components_of(labels: np.ndarray) -> np.ndarray:
    """Number components as connected_components does, by OpenCV."""
    result = np.zeros(labels.shape, dtype=np.int64)
    for b, image in enumerate(labels):
        for value in np.unique(image):
            count, numbers = cv2.connectedComponents((image == value).astype(np.uint8), connectivity=8)
            for number in range(1, count):
                inside = numbers == number
                result[b][inside] = b * image.size + np.flatnonzero(inside)[0]
    return result


@pytest.mark.parametrize('seed', range(4))
def test_components_are_those_of_opencv_named_by_their_first_pixel(seed):
    labels = patches(seed)
    found = connected_components(labels).numpy()
    assert np.array_equal(found, components_of(labels.numpy())) and len(np.unique(found)) > 20


def test_a_labyrinth_takes_more_rounds_and_is_never_joined_with_what_is_not_it():
    spiral = torch.zeros(1, 15, 15, dtype=torch.uint8)
    for i in range(0, 8, 2):
        spiral[0, i, max(i - 2, 0):15 - i] = spiral[0, i:15 - i, 14 - i] = spiral[0, 14 - i, i:15 - i] = 1
        spiral[0, i + 2:15 - i, i] = 1
    few, many = connected_components(spiral, 1), connected_components(spiral, 12)
    assert np.array_equal(many.numpy(), components_of(spiral.numpy()))
    assert len(few.unique()) > len(many.unique())
    assert all(len(many[few == part].unique()) == 1 for part in few.unique())


def test_numbers_of_components_are_in_order_and_the_rest_has_one():
    component = connected_components(torch.tensor([[[1, 1, 2, 3]], [[3, 3, 4, 4]]]))
    assert numbered(component, 100).tolist() == [[[0, 0, 1, 2]], [[3, 3, 4, 4]]]
    assert numbered(component, 2).tolist() == [[[0, 0, 1, 2]], [[2, 2, 2, 2]]]


def test_medians_of_segments_are_the_lower_ones():
    generator = torch.Generator().manual_seed(0)
    values, segment = torch.rand(500, generator=generator), torch.randint(7, (500,), generator=generator)
    found = segment_median(values, segment, 9)
    for number in range(7):
        mine = sorted(values[segment == number].tolist())
        assert found[number] == mine[(len(mine) - 1) // 2]


def planes_by_loops(inverse, place, counted, rounds=6, least=0.01):
    """One segment's plane, solved by NumPy in double precision, of the same weights."""
    x, d = np.column_stack([place, np.ones(len(place))])[counted], inverse[counted]
    weight = np.ones(len(d))
    for _ in range(rounds):
        root = np.sqrt(weight)
        plane = np.linalg.lstsq(x * root[:, None], d * root, rcond=None)[0]
        fit = x @ plane
        larger = np.maximum(d, fit)
        weight = 1 / (larger ** 2 * np.maximum(np.abs(d - fit) / larger, least))
    return plane


def test_planes_are_those_of_reweighted_least_squares_in_double_precision():
    rng = np.random.default_rng(1)
    place, segment = rng.uniform(-1, 1, (600, 2)), rng.integers(0, 3, 600)
    inverse = 0.1 + 0.03 * place[:, 0] + 0.05 * place[:, 1] + 0.01 * segment + rng.laplace(0, 0.002, 600)
    inverse[::9], counted = 0.01, rng.random(600) < 0.8
    found = fit_planes(torch.tensor(inverse).float(), torch.tensor(place).float(), torch.tensor(counted),
                       torch.tensor(segment), 3)
    for number in range(3):
        mine = segment == number
        plane = planes_by_loops(inverse[mine], place[mine], counted[mine])
        np.testing.assert_allclose([*found.rise[number], found.level[number]], plane, atol=3e-4)
        assert found.pixels[number] == (mine & counted).sum()


@pytest.mark.parametrize('share', [0.1, 0.3])
def test_a_plane_is_found_under_pixels_that_lie_far_behind_it(share):
    rng = np.random.default_rng(2)
    place = torch.tensor(rng.uniform(-1, 1, (400, 2))).float()
    true = 0.2 + place @ torch.tensor([0.05, 0.12])
    behind = torch.tensor(rng.random(400) < share)
    found = fit_planes(torch.where(behind, 0.01, true), place, behind | ~behind, torch.zeros(400).long(), 1)
    assert (found.at(torch.zeros(400).long(), place) / true).log().abs().max() < 0.03


def test_pixels_on_a_line_have_a_plane_and_none_make_no_nan():
    place = torch.stack([torch.linspace(-1, 1, 50), torch.full((50,), 0.3)], dim=1)
    inverse = 0.1 + 0.02 * place[:, 0]
    found = fit_planes(inverse, place, torch.ones(50, dtype=torch.bool), torch.zeros(50).long(), 2)
    torch.testing.assert_close(found.at(torch.zeros(50).long(), place), inverse, rtol=1e-3, atol=0)
    assert all(part.isfinite().all() for part in found) and found.pixels.tolist() == [50, 0]


def test_a_residual_is_over_the_larger_of_both():
    found = relative_residual(torch.tensor([1.0, 2.0, 0.01, 1.0]), torch.tensor([2.0, 1.0, 1.0, -1.0]))
    torch.testing.assert_close(found, torch.tensor([0.5, 0.5, 0.99, 2.0]))


@pytest.mark.parametrize('reach', [1, 3])
def test_the_border_of_a_component_is_where_another_one_is_within_reach(reach):
    component = connected_components(patches(3))
    found, all_ = near_border(component, reach).numpy(), component.numpy()
    for b, row, column in np.ndindex(*all_.shape):
        def part(steps):
            return all_[b, max(row - steps, 0):row + steps + 1, max(column - steps, 0):column + steps + 1]
        if reach == 1:
            cross = [all_[b, r, c] for r, c in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1))
                     if 0 <= r < all_.shape[1] and 0 <= c < all_.shape[2]]
            assert found[b, row, column] == any(other != all_[b, row, column] for other in cross)
        elif found[b, row, column]:
            assert (part(reach) != all_[b, row, column]).any()


def filled_by_loops(values, known, component, reach):
    values, known = np.where(known, values, 0.0).astype(np.float64), known.copy()
    for _ in range(reach):
        before, had = values.copy(), known.copy()
        for b, r, c in zip(*np.nonzero(~had)):
            around = [(b, r + i, c + j) for i, j in ((-1, 0), (1, 0), (0, -1), (0, 1))
                      if 0 <= r + i < values.shape[1] and 0 <= c + j < values.shape[2]]
            found = [before[p] for p in around if had[p] and component[p] == component[b, r, c]]
            if found:
                values[b, r, c], known[b, r, c] = np.mean(found), True
    return values, known


def test_pixels_are_filled_from_the_inside_of_their_component():
    component = connected_components(patches(5))
    values, known = torch.rand(component.shape), torch.rand(component.shape) < 0.2
    found, there = filled_from_inside(values, known, component, 3)
    expected, expected_there = filled_by_loops(values.numpy(), known.numpy(), component.numpy(), 3)
    assert np.array_equal(there.numpy(), expected_there) and 0.2 < there.float().mean() < 1
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def street() -> tuple[torch.Tensor, torch.Tensor]:
    """Depth and classes of one image 80x40: sky, a house 20 m ahead, road 1.5 m below the camera, a car and a pole."""
    labels = torch.full((1, 40, 80), BUILDING, dtype=torch.uint8)
    labels[:, :6] = SKY
    rows = torch.arange(40.0)[None, :, None].expand(1, 40, 80) + 0.5 - 16    # below the horizon, pixels
    depth = torch.full((1, 40, 80), 20.0)
    depth[:, :6] = 100.0
    labels[:, 22:] = ROAD                                                # 1.5 m x 80 px / 6 px = 20 m
    depth = torch.where(labels == ROAD, 1.5 * 80 / rows.clamp(min=0.1), depth)
    labels[:, 18:31, 10:31], depth[:, 18:31, 10:31] = CAR, 1.5 * 80 / 15
    labels[:, 8:27, 60:63], depth[:, 8:27, 60:63] = POLE, 1.5 * 80 / 11
    return depth, labels


def refined(depth, labels, **settings):
    how = DepthRefinement(**{'border_px': 0.0, 'smallest_px': 0.0, 'standing': ()} | settings)
    return pseudo_depth(depth, labels, torch.tensor([100.0]), how)


def test_what_is_right_stays_as_it_is():
    depth, labels = street()
    found = pseudo_depth(depth, labels, torch.tensor([100.0]), DepthRefinement(smallest_px=0.0))
    torch.testing.assert_close(found.depth, depth, rtol=0.03, atol=0)
    assert found.kind[labels == SKY].eq(KINDS.index('sky')).all()


@pytest.mark.parametrize('where, wrong, kind', [
    ((slice(25, 30), slice(12, 20)), 40.0, 'plane'), ((slice(34, 38), slice(40, 60)), 30.0, 'road'),
    ((slice(10, 14), slice(60, 63)), 20.0, 'compact'), ((slice(0, 5), slice(30, 50)), 15.0, 'sky')])
def test_a_part_that_is_off_gets_the_depth_of_its_component(where, wrong, kind):
    depth, labels = street()
    bad = depth.clone()
    bad[(0, *where)] = wrong
    found = refined(bad, labels)
    torch.testing.assert_close(found.depth, depth, rtol=0.03, atol=0)
    changed = found.kind == KINDS.index(kind)
    assert changed[(0, *where)].all() and changed.sum() == (labels == SKY).sum() or changed.sum() == (bad != depth).sum()


def test_something_that_stands_is_where_its_foot_is_however_wrong_all_of_it():
    depth, labels = street()
    for thing in (CAR, POLE):
        bad = torch.where(labels == thing, 20.0, depth)
        for standing, expected in ((('car', 'pole'), depth), ((), bad)):
            found = refined(bad, labels, standing=standing, sky=False)
            torch.testing.assert_close(found.depth, expected, rtol=0.05, atol=0)
    hanging = labels.clone()
    hanging[:, 26, 60:63] = BUILDING
    assert (refined(torch.where(labels == POLE, 20.0, depth), hanging, standing=('pole',), sky=False).kind == 0).all()


def test_the_foot_is_that_of_each_column():
    depth, labels = street()
    labels[:, 31:36, 25:31] = CAR
    shapes = Shapes(labels == ROAD, labels == CAR, labels == POLE)
    fit = fit_scene(depth.reciprocal(), labels, shapes)
    foot = standing_depth(labels, labels == ROAD, fit.road, depth).reciprocal()
    for column, row in ((12, 30), (28, 35)):
        assert foot[0, 20, column] == pytest.approx(1.5 * 80 / (row + 1 - 16), rel=0.02)
    assert foot[0, 10, 5] == pytest.approx(20, rel=0.02) and foot[0, 30, 5].isinf() and foot[0, 3, 5].isinf()


def test_the_border_of_a_component_has_the_depth_of_its_inside():
    depth, labels = street()
    blurred = torch.nn.functional.avg_pool2d(depth[:, None], 5, 1, 2, count_include_pad=False)[:, 0]
    found = refined(blurred, labels, border_px=16.0, snapped=('building',), planar=(), road=())
    border = near_border(connected_components(labels), 2) & (labels == BUILDING)
    before, after = ((x / depth).log().abs()[border].mean() for x in (blurred, found.depth))
    assert after < 0.02 < before and (found.kind[border] == KINDS.index('border')).float().mean() > 0.9


def test_small_components_unlabelled_pixels_and_classes_not_named_are_left_alone():
    depth, labels = street()
    bad = depth.clone()
    bad[0, 10:14, 60:63] = 20.0
    assert (refined(bad, labels, sky=False).kind > 0).sum() == 12
    for settings in ({'smallest_px': 60 * 64.0}, {'compact': ()}):
        assert (refined(bad, labels, sky=False, **settings).kind[labels == POLE] == 0).all()
    nothing = torch.full_like(labels, UNLABELLED)
    assert (pseudo_depth(bad, nothing, torch.tensor([100.0])).kind == 0).all()


def test_an_image_does_not_change_with_those_beside_it():
    (depth, labels), other = street(), patches(0, (1, 40, 80))
    bad = depth * (1 + 0.4 * (torch.rand(depth.shape, generator=torch.Generator().manual_seed(1)) < 0.2))
    alone = pseudo_depth(bad, labels, torch.tensor([100.0]))
    both = pseudo_depth(torch.cat([torch.full_like(depth, 5.0), bad]), torch.cat([other, labels]),
                        torch.tensor([50.0, 100.0]))
    torch.testing.assert_close(both.depth[1:], alone.depth, rtol=1e-4, atol=0)
    assert (both.kind[1:] == alone.kind).float().mean() > 0.999


def test_places_are_in_half_widths_from_the_middle():
    place = places(torch.Size((1, 2, 4)), torch.zeros(1))
    assert place[0, 0, :, 0].tolist() == [-0.75, -0.25, 0.25, 0.75] and place[0, :, 0, 1].tolist() == [-0.25, 0.25]


@pytest.mark.parametrize('settings, words', [({'planar': ('house',)}, "planar is 'house', expected one of"),
                                             ({'outlier': -1.0}, 'outlier is -1.0, expected at least 0')])
def test_what_cannot_be_chosen_is_said(settings, words):
    with pytest.raises(SettingsError, match=words):
        DepthRefinement(**settings)

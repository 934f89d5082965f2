"""The objective's table: a new loss is one function and one row, and trains like those that are there."""
from dataclasses import dataclass, replace

import pytest
import torch
from plane_world import Corridor
from test_training_loop import TINY, lines, made_batch

from semdepth_ros.geometry.warping import warp
from semdepth_ros.networks import Prediction, build_network
from semdepth_ros.training import view as view_module
from semdepth_ros.training.objective import losses_class
from semdepth_ros.training.recipe_file import recipe_from
from semdepth_ros.training.terms import TERMS, Term, Weighted
from semdepth_ros.training.trainer import build_fabric, train
from semdepth_ros.training.view import View, image_pairs


@dataclass(frozen=True)
class Flatness(Weighted):
    """A toy term that wants every depth to be the same."""

    depth_m: float = 10.0


def flatness(view, settings):
    return (view.depth[0].log() - settings.depth_m).abs().mean() + 0 * view.batch.depth.nan_to_num(0, 0, 0).sum()


def test_a_new_term_is_one_row_and_what_it_needs_travels_with_the_batch(monkeypatch, tmp_path):
    monkeypatch.setitem(TERMS, 'flatness', Term(flatness, Flatness, frozenset({'depth'})))
    recipe = replace(recipe_from(TINY), losses=losses_class()(flatness=Flatness(weight=2.0)))
    torch.manual_seed(1)
    train(recipe, build_network(recipe.architecture), build_fabric(recipe, 'cpu'), tmp_path,
          opener=lambda source: [Corridor(8)])
    line = lines(tmp_path, 'train')[-1]
    terms = sum(line[name] for name in ('photometric', 'smoothness', 'velocity', 'semantic', 'flatness'))
    assert line['flatness'] > 0 and line['total'] == pytest.approx(terms, rel=1e-4)


def view_of(disparity, batch, **more):
    """A view of one disparity everywhere, at the scales of a network."""
    disparities = tuple(torch.full((1, 1, 64 // 2 ** s, 64 // 2 ** s), disparity) for s in range(4))
    return View(Prediction(disparities, torch.zeros(1, 19, 64, 64), {}), batch, batch.images / 255, (0.1, 100.0), 60.0,
                **more)


def test_depth_of_a_camera_is_canonical_depth_times_its_focal_length_over_the_trained_one():
    batch = made_batch()
    wide = batch._replace(intrinsics=batch.intrinsics * torch.tensor([[[0.5, 1, 1], [1, 0.5, 1], [1, 1, 1]]]))
    torch.testing.assert_close(view_of(0.1, wide).depth, view_of(0.1, batch).depth / 2)


def test_the_depth_term_is_zero_for_the_truth_and_its_logarithm_for_a_wrong_scale():
    constant = view_of(0.05, made_batch()).depth[0, 0, 0, 0, 0].item()
    settings = TERMS['depth'].settings(weight=1.0)
    truth = torch.full((1, 64, 64), constant)
    truth[:, :8], truth[:, 8:10] = torch.nan, 500.0          # no truth, and beyond what is looked at
    assert TERMS['depth'].function(view_of(0.05, made_batch(depth=truth)), settings) == pytest.approx(0, abs=1e-6)
    double = TERMS['depth'].function(view_of(0.05, made_batch(depth=truth * 2)), settings)
    assert double == pytest.approx(0.6931 * (1 + 1 / 2 + 1 / 4 + 1 / 8) / 2, rel=1e-3)


def test_sky_is_pushed_away_by_the_depth_term():
    sky = torch.full((1, 64, 64), torch.inf)
    settings = TERMS['depth'].settings(weight=1.0)
    near, far = (TERMS['depth'].function(view_of(d, made_batch(depth=sky)), settings) for d in (0.01, 0.0))
    assert near > 0.1 and far == 0


def test_maps_are_computed_once_and_only_where_asked(monkeypatch):
    calls = []
    monkeypatch.setattr(view_module, 'warp', lambda *given: calls.append(given) or warp(*given))
    batch, network = made_batch(), build_network({'encoder': 'small'}).eval()
    images = batch.images / 255
    view = View(network(images[:, 0], pairs=image_pairs(images)), batch, images, (0.1, 100.0), 60.0)
    TERMS['smoothness'].function(view, TERMS['smoothness'].settings())
    assert not calls
    for _ in range(2):
        TERMS['photometric'].function(view, TERMS['photometric'].settings())
    assert view.warped_error.shape == (4, 2, 1, 64, 64) and len(calls) == 1

"""The weights that come with the package, on towns they have not seen."""
import numpy as np
import pytest
import reference_outputs
import torch

from semdepth_ros.data import open_data
from semdepth_ros.evaluation import evaluate, fit_baseline
from semdepth_ros.frame import Frame
from semdepth_ros.geometry import Camera
from semdepth_ros.model_file import find_model, read_model
from semdepth_ros.perception import Perceptor
from semdepth_ros.world import Drive

MEGABYTE = 1 << 20


@pytest.fixture(scope='module')
def perceptor():
    return Perceptor.from_file('default', device='cpu')


def lens(fov_deg):
    return Camera.from_field_of_view(416, 160, fov_deg, height_m=1.65)


def test_the_packaged_file_is_small_and_says_where_it_comes_from():
    path = find_model('default')
    tensors, card = read_model(path)
    weights = sum(t.numel() for name, t in tensors.items() if not name.startswith('probe.') and t.is_floating_point())
    assert path.stat().st_size < 16 * MEGABYTE and weights <= 6.0e6
    parts = card.recipe['average_of']
    assert card.metric and len(card.cameras) > 50 and all(part['recipe']['losses']['depth']['weight'] > 0 for part in parts)
    assert card.version == 0 and len(card.classes) == 19


def test_an_unseen_town_is_perceived_better_than_by_a_constant_depth(perceptor):
    camera = Camera.from_field_of_view(416, 125, 81, height_m=1.65)
    town = open_data('world:day:301:4', camera=camera)
    seen = evaluate(perceptor, town)['sequences'][0]
    constant = evaluate(fit_baseline('constant', town), town)['sequences'][0]
    for scaling in ('unscaled', 'median_scaled'):
        assert seen['depth'][scaling]['abs_rel'] < 0.75 * constant['depth'][scaling]['abs_rel']
    assert seen['semantics']['pixel_accuracy'] > 0.7


def test_one_scene_through_two_lenses_gives_the_same_metres(perceptor):
    ratios = []
    for seed in (302, 303, 304):
        depths = []
        for camera in (lens(60), lens(85)):
            image = Drive('day', seed, 1, camera)[0].image
            depths.append(perceptor.perceive(Frame(image, 'rgb', camera)).depth)
        narrow, wide = depths
        v, u = np.mgrid[:160, :416]
        pixels = lens(85).project(lens(60).rays().reshape(-1, 3)).round().astype(int)
        same = wide[pixels[:, 1], pixels[:, 0]].reshape(v.shape)
        both = np.isfinite(narrow) & np.isfinite(same)
        ratios.append(np.median(narrow[both] / same[both]))
    focal_ratio = lens(60).fx / lens(85).fx                       # what a network that ignores the lens would be off by
    assert focal_ratio > 1.5
    assert abs(np.log(np.median(ratios))) < 0.35 * np.log(focal_ratio)


def test_outputs_are_those_that_were_stored_when_the_weights_were():
    expected, weights = reference_outputs.stored()
    assert weights == reference_outputs.weights_hash(), 'other weights: python test/reference_outputs.py'
    actual = reference_outputs.outputs()
    assert actual.keys() == expected.keys()
    for name, tensor in expected.items():
        atol = 0 if 'disparity' in name else 1e-4 * tensor.abs().max().item()
        torch.testing.assert_close(actual[name], tensor, rtol=1e-4, atol=atol, msg=name)

"""Hints: which are accepted, what they cost, and a training that follows them."""
from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from plane_world import CAMERA, ROAD, view as corridor_view
from test_training_loop import TINY, lines, run

from semdepth_ros.losses import accept_hints, hint_loss, image_median
from semdepth_ros.losses.refinement import KINDS
from semdepth_ros.networks import Prediction
from semdepth_ros.settings import SettingsError, build
from semdepth_ros.training.batch import TripletBatch
from semdepth_ros.training.recipe_file import read_recipe, recipe_from
from semdepth_ros.training.terms import TERMS
from semdepth_ros.training.terms.hint import find_hints, trusted_classes
from semdepth_ros.training.terms.semantic import refined_labels
from semdepth_ros.training.view import View

ALL_ON = {'hint': {'weight': 1.0, 'start': 1, 'confidence': 0.0, 'sky_confidence': 0.0},
          'semantic': {'weight': 0.25, 'refinement': {'start': 1, 'confidence': 0.3}}}


def settings_of(term: str, **settings):
    return build(TERMS[term].settings, settings, term)


def errors(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(2, 5, 7, generator=generator), torch.rand(3, 2, 5, 7, generator=generator),
            torch.rand(2, 5, 7, generator=generator))


@pytest.mark.parametrize('margin, window', [(0.0, 1), (0.2, 1), (0.1, 3)])
def test_a_hint_is_accepted_where_its_error_is_the_least(margin, window):
    hint, own, still = errors()
    found = accept_hints(hint, own, still, margin, window)
    for s, b, r, c in np.ndindex(3, 2, 5, 7):
        def mean(error):
            reach = window // 2
            return error[max(r - reach, 0):r + reach + 1, max(c - reach, 0):c + reach + 1].double().mean()
        least = min(mean(own[s, b]), mean(still[b]))
        assert found[s, b, r, c] == (mean(hint[b]) < (1 - margin) * least)
    assert 0.1 < found.float().mean() < 0.5


def loss_by_loops(depth, hint, accepted, median, counted=None):
    total = 0.0
    for s in range(len(depth)):
        each, number = 0.0, 0
        for b, r, c in np.ndindex(*hint.shape):
            if accepted[s, b, r, c]:
                each += math.log(1 + abs(hint[b, r, c] / median[b] - depth[s, b, r, c] / median[b]))
            number += accepted[s, b, r, c] if counted is None else counted[b, r, c]
        total += each / max(number, 1)
    return total


def depths(seed=1):
    generator = torch.Generator().manual_seed(seed)
    depth = (torch.randn(3, 2, 5, 7, generator=generator, dtype=torch.float64)).exp() * 10
    hint, accepted = depth[0].flip(0).clone(), torch.rand(depth.shape, generator=generator) < 0.4
    return depth, hint, accepted, torch.tensor([8.0, 12.0], dtype=torch.float64)


def test_the_loss_is_that_of_a_literal_loop():
    depth, hint, accepted, median = depths()
    plain = [x.numpy() for x in (depth, hint, accepted, median)]
    assert hint_loss(depth, hint, accepted, median).item() == pytest.approx(loss_by_loops(*plain))
    counted = torch.ones(2, 5, 7)
    counted[:, :, 0] = 0
    assert hint_loss(depth, hint, accepted, median, counted).item() == pytest.approx(
        loss_by_loops(*plain, counted.numpy()))
    assert hint_loss(depth, hint, accepted & False, median) == 0


def test_its_gradient_is_that_of_finite_differences_and_goes_into_depth_alone():
    depth, hint, accepted, median = depths()
    assert torch.autograd.gradcheck(lambda d: hint_loss(d, hint, accepted, median), depth.requires_grad_())
    hint.requires_grad_(), median.requires_grad_()
    hint_loss(depth, hint, accepted, median).backward()
    assert hint.grad is None and median.grad is None and (depth.grad[~accepted] == 0).all()


def test_the_loss_does_not_depend_on_the_unit_of_depth():
    depth, hint, accepted, median = depths()
    torch.testing.assert_close(hint_loss(1000 * depth, 1000 * hint, accepted, 1000 * median),
                               hint_loss(depth, hint, accepted, median))


def test_the_median_is_of_what_is_seen():
    depth = torch.arange(1.0, 13).view(2, 2, 3)
    seen = torch.tensor([[[True, True, True], [False, False, False]], [[False] * 3] * 2])
    assert image_median(depth, seen).tolist() == [2.0, 9.0]


def corridor_batch(step_m=0.6) -> tuple[TripletBatch, torch.Tensor]:
    """A triplet of the corridor, and its true depth."""
    frames = [corridor_view(CAMERA, place) for place in (1.0, 1.0 - step_m, 1.0 + step_m)]
    images = torch.stack([torch.from_numpy(frame[0]).permute(2, 0, 1) for frame in frames])[None]
    labels, depth = torch.from_numpy(frames[0][2])[None], torch.from_numpy(frames[0][1])[None]
    return TripletBatch(images, torch.from_numpy(CAMERA.matrix.astype(np.float32))[None], torch.full((1, 2), step_m),
                        labels, torch.ones(labels.shape), labels < 255, torch.zeros(1, 1),
                        torch.zeros(1, 4, dtype=torch.int64)), depth


def corridor_view_of(depth, batch, labels=None, step_m=0.6, step=10):
    """A View whose network says this depth [1, H, W] and these classes, and knows the motion."""
    disparities = tuple(torch.nn.functional.interpolate(depth[:, None].reciprocal(), scale_factor=0.5 ** s)
                        for s in range(2))
    disparities = tuple((d - 0.01) / (10 - 0.01) for d in disparities)
    labels = batch.labels if labels is None else labels
    logits = torch.nn.functional.one_hot(labels.long(), 19).movedim(-1, 1).float() * 9
    extras = {'axis_angle': torch.zeros(2, 3), 'translation': torch.tensor([[0, 0, -step_m]] * 2)}
    return View(Prediction(disparities, logits, extras), batch, batch.images.float() / 255, (0.1, 100.0), 60.0, step)


def test_hints_lead_out_of_a_minimum_and_leave_right_depth_alone():
    batch, truth = corridor_batch()
    bad = truth.clone()
    bad[0, 50:60, 20:70] = 40.0                             # a hole in the road
    hole = bad != truth
    view, settings = corridor_view_of(bad, batch), settings_of('hint', weight=1.0, scales=1, average='accepted')
    hints = find_hints(view, settings)
    accepted = hints.accepted[0]
    assert (hints.pseudo.kind[hole] == KINDS.index('road')).all() and (batch.labels[hole] == ROAD).all()
    assert accepted[hole].float().mean() > 0.7 and accepted[~hole].float().mean() < 0.05
    error = (hints.pseudo.depth / truth).log().abs()
    assert error[accepted & hole].median() < 0.02
    assert find_hints(corridor_view_of(truth, batch), settings).accepted.float().mean() < 0.05
    assert TERMS['hint'].function(view, settings) > 0.3


def test_the_map_of_classes_is_the_predicted_or_the_given_one():
    batch, truth = corridor_batch()
    view = corridor_view_of(truth, batch, labels=torch.full_like(batch.labels, 10))
    kinds = {labels: find_hints(view, settings_of('hint', labels=labels)).pseudo.kind
             for labels in ('predicted', 'given')}
    assert (kinds['predicted'] == KINDS.index('sky')).all() and not (kinds['given'] == KINDS.index('sky')).any()


def test_classes_that_are_not_trusted_make_no_hints():
    batch, truth = corridor_batch()
    sky = corridor_view_of(truth, batch, labels=torch.full_like(batch.labels, 10))
    assert (trusted_classes(sky, settings_of('hint')) == 10).all()
    sky.prediction.logits[:] *= 5.0 / 9                             # a probability of 0.89
    assert (trusted_classes(sky, settings_of('hint')) == 255).all()
    assert (trusted_classes(sky, settings_of('hint', sky_confidence=0.85)) == 10).all()
    assert (find_hints(sky, settings_of('hint')).pseudo.kind == 0).all()
    given = corridor_view_of(truth, batch._replace(confidence=torch.linspace(0, 1, 96).expand(1, 64, 96)))
    found = trusted_classes(given, settings_of('hint', labels='given', confidence=0.5))
    assert (found[:, :, :47] == 255).all() and torch.equal(found[:, :, 48:], batch.labels[:, :, 48:])


def test_where_agreement_is_asked_for_a_class_counts_that_both_maps_name():
    batch, truth = corridor_batch()
    given = batch.labels.clone()
    given[:, :, :30], given[:, :, 30:50] = 10, 255                  # sky, and nothing
    both = corridor_view_of(truth, batch._replace(labels=given), labels=torch.where(given == 255, 10, batch.labels))
    found = trusted_classes(both, settings_of('hint', labels='agreed'))
    predicted = trusted_classes(both, settings_of('hint'))
    agrees = predicted == given
    assert (found[:, :, 30:50] == 255).all() and (found[~agrees] == 255).all() and torch.equal(found[agrees], given[agrees])
    assert (found[:, :, 50:] != 255).all() and (predicted[:, :, 30:50] == 10).all()
    unsure = settings_of('hint', labels='agreed', confidence=1.0, sky_confidence=1.0)
    assert (trusted_classes(both, unsure) == 255).all()


def test_gradients_of_the_term_reach_depth_and_not_the_classes():
    batch, truth = corridor_batch()
    view = corridor_view_of(truth, batch)
    disparities = tuple(d.clone().requires_grad_() for d in view.prediction.disparities)
    logits = view.prediction.logits.clone().requires_grad_()
    bad = (disparities[0] * 0.3, disparities[1] * 0.3)
    view = View(Prediction(bad, logits, view.prediction.extras), batch, view.batch.images.float() / 255, (0.1, 100.0),
                60.0)
    gradients = torch.autograd.grad(TERMS['hint'].function(view, settings_of('hint')), [*disparities, logits],
                                    allow_unused=True)
    assert gradients[2] is None and all(g is not None for g in gradients[:2])


def test_labels_are_refined_from_the_start_of_it_on_and_without_smoothing_then():
    batch, truth = corridor_batch()
    wrong = batch.labels.clone()
    wrong[0, :, 40:50] = 8
    settings = settings_of('semantic', label_smoothing=0.5, refinement={'start': 5})
    given, true = batch._replace(labels=wrong), batch.labels
    early, late = (corridor_view_of(truth, given, labels=true, step=step) for step in (4, 5))
    assert torch.equal(refined_labels(early, settings).labels, wrong)
    assert torch.equal(refined_labels(late, settings).labels, true)
    assert TERMS['semantic'].function(late, settings) < 0.01 < TERMS['semantic'].function(early, settings)


def test_everything_on_trains_saves_and_goes_on_bit_for_bit(tmp_path):
    recipe = TINY | {'losses': ALL_ON, 'balance': {'kind': 'norm'}, 'log_every': 1, 'sizes': [[96, 64]],
                     'architecture': TINY['architecture'] | {'shared_decoder': 3}}
    run(tmp_path / 'whole', recipe)
    said = lines(tmp_path / 'whole', 'train')
    assert 'hint' not in said[0] and all(line['hint'] > 0 for line in said[1:])
    terms = sum(said[-1][name] for name in ('photometric', 'smoothness', 'velocity', 'semantic', 'hint'))
    assert said[-1]['total'] == pytest.approx(terms, rel=1e-4)
    run(tmp_path / 'parts', recipe, stop_at=2)
    run(tmp_path / 'parts', recipe, resume=True)
    whole, parts = (torch.load(tmp_path / name / 'last.ckpt', weights_only=True) for name in ('whole', 'parts'))
    assert all(torch.equal(whole['network'][name], tensor) for name, tensor in parts['network'].items())
    assert whole['balance']['steps'] == parts['balance']['steps'] == 3


def test_what_is_off_changes_nothing(tmp_path):
    weights = []
    for number, changes in enumerate(({}, {'losses': {'hint': 0.0, 'semantic': {'weight': 0.3, 'refinement': None}}},
                                      {'losses': {'hint': {'weight': 1.0, 'start': 99}}}, {'balance': None})):
        run(tmp_path / str(number), TINY | changes)
        weights.append(torch.load(tmp_path / str(number) / 'last.ckpt', weights_only=True)['network'])
    assert all(torch.equal(other[name], tensor) for other in weights[1:] for name, tensor in weights[0].items())


def test_the_shipped_recipe_turns_everything_on():
    recipe = read_recipe('semhint')
    assert recipe.losses.hint.weight and recipe.losses.semantic.refinement and recipe.balance.kind == 'norm'
    assert recipe.architecture['shared_decoder'] == 3
    off = read_recipe('semhint', {'losses.hint': 0.0, 'balance': None, 'losses.semantic.refinement': None})
    assert off.balance is off.losses.semantic.refinement is None and off.losses.hint.margin == 0.1


@pytest.mark.parametrize('losses, words', [({'hint': {'labels': 'true'}}, "labels is 'true', expected one of"),
                                           ({'hint': {'window': 2}}, 'window is 2, expected an odd number'),
                                           ({'hint': {'refinement': {'road': ['street']}}}, "road is 'street'"),
                                           ({'semantic': {'refinement': {'sure': 1}}}, "unknown key 'sure'")])
def test_mistakes_are_said_in_one_line(losses, words):
    with pytest.raises(SettingsError, match=words):
        recipe_from(TINY | {'losses': losses})

"""The trial weights: steps that help, can be taken back, stay near the factory's; and the terms that they follow."""
from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from adaptation_world import CAMERA, QUICK, STEP_M, anchors, factory, frame, pose, view

from semdepth_ros.adaptation import AdapterSettings
from semdepth_ros.adaptation.evidence import Evidence
from semdepth_ros.adaptation.factory import FactoryModel
from semdepth_ros.adaptation.learner import Learner, LossWatch
from semdepth_ros.adaptation.network_frame import FrameReader
from semdepth_ros.adaptation.odometry_scale import OdometryScale
from semdepth_ros.adaptation.profiles import Profile, find_profile
from semdepth_ros.adaptation.road_plane import RoadPlaneMemory
from semdepth_ros.adaptation.terms import TERMS, adaptation_losses
from semdepth_ros.adaptation.triplet import batch_of, triplet_of
from semdepth_ros.adaptation.view import AdaptationView, evidence_of
from semdepth_ros.classes import TRAIN_ID
from semdepth_ros.settings import build
from semdepth_ros.training.view import image_pairs

SETTINGS = build(AdapterSettings, QUICK, 'test')


def batch(number: int = 5, plane=None, changes=None):
    """Return the batch of one triplet of the drive, and its factory model."""
    network, card = factory()
    model, reader, scale = FactoryModel(network, card), FrameReader(card.input), OdometryScale(2)
    taken = [reader.read(frame(i), pose(i)) for i in (number - 1, number, number + 1)]
    scale.take([np.log(1.1)] * 4)
    triplet = triplet_of(Evidence(tuple(taken), model.look(taken[1]), model.classes, scale), number)
    return batch_of([replace(triplet, **(changes or {}))], model.classes, 4.0, plane), model


def learner(profile: Profile | None = None, **changes) -> Learner:
    network, card = factory()
    settings = replace(SETTINGS, **changes)
    return Learner(network, network, profile or find_profile(network, 'depth'), settings, card.focal_px)


def view_of(given, network=None, depth=None) -> AdaptationView:
    network = network or factory()[0]
    images = given.triplets.images.float() / 255
    with torch.no_grad():
        prediction = network(images[:, 0], pairs=image_pairs(images))
    return AdaptationView(prediction, given, images, tuple(network.architecture['depth_range']), CAMERA.fx)


def test_steps_make_the_error_smaller_and_only_what_the_profile_names_moves():
    given, model = batch()
    one = learner()
    first = one.step(given).losses['photometric']
    for _ in range(15):
        last = one.step(given)
    assert not last.closed and last.losses['photometric'] < 0.95 * first
    before, after = model.network.state_dict(), one.network.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {'depth_decoder.path.map', 'pose_network.motion'}


def test_the_same_frames_make_the_same_weights_to_the_bit():
    given, _ = batch()
    one, two = learner(), learner()
    for _ in range(3):
        one.step(given), two.step(given)
    assert all(torch.equal(a, b) for a, b in zip(one.network.state_dict().values(), two.network.state_dict().values()))


@pytest.mark.parametrize('poison', ['loss', 'gradient', 'weights'])
def test_what_is_not_finite_moves_no_weight(poison):
    given, _ = batch()
    one = learner()
    one.step(given)
    before = copy.deepcopy(one.network.state_dict())
    parameter = one.network.depth_decoder.path['map']
    if poison == 'loss':
        given = given._replace(teacher=given.teacher * torch.nan)
    elif poison == 'gradient':
        parameter.register_hook(lambda gradient: gradient * torch.inf)
    else:
        one.rate = float('inf')
    outcome = one.step(given)
    assert outcome.closed == f'finite_{poison}' and one.steps == 1
    assert all(torch.equal(before[name], value) for name, value in one.network.state_dict().items())


def test_a_loss_far_above_the_others_is_not_followed():
    given, _ = batch()
    one = learner()
    for _ in range(12):
        one.step(given)
    before = one.network.depth_decoder.path['map'].clone()
    images = given.triplets.images.clone()
    images[:, 1:] = images[:, 1:].flip(-1)
    outcome = one.step(given._replace(triplets=given.triplets._replace(images=images)))
    assert outcome.closed == 'loss' and outcome.value > SETTINGS.gates.most_deviations
    assert torch.equal(one.network.depth_decoder.path['map'], before)


def test_few_losses_say_nothing_and_steady_ones_leave_room():
    watch = LossWatch(20)
    assert watch.deviations(1e9) == 0
    for _ in range(20):
        watch.take(0.1)
    assert watch.deviations(0.103) < 3 < watch.deviations(0.2)


def test_no_tensor_goes_farther_than_its_bound():
    given, model = batch()
    one = learner(step=replace(SETTINGS.step, most_change=0.01, learning_rate=0.5))
    for _ in range(3):
        one.step(given)
    origin = model.network.depth_decoder.path['map']
    change = (one.network.depth_decoder.path['map'].detach() - origin).norm() / origin.norm()
    assert float(change) == pytest.approx(0.01, rel=1e-3)
    assert one.change() <= 0.0101


def test_the_candidate_is_the_average_as_half_precision_holds_it():
    given, _ = batch()
    one = learner()
    for _ in range(6):
        one.step(given)
    candidate = one.candidate().depth_decoder.path['map']
    assert torch.equal(candidate, candidate.half().float())
    start, end = (network.depth_decoder.path['map'].detach() for network in (factory()[0], one.network))
    assert 0 < float((candidate - start).norm()) < float((end - start).norm())


def test_the_rate_rises_over_the_first_steps_and_again_after_the_optimiser_began_anew():
    given, _ = batch()
    one = learner(step=replace(SETTINGS.step, warmup=3, learning_rate=0.04))
    rates = []
    for k in range(6):
        if k == 5:
            one.begin_optimiser()
        rates.append(one.learning_rate)
        one.step(given)
    assert rates == pytest.approx([0.01, 0.02, 0.03, 0.04, 0.04, 0.01])


def test_beginning_anew_forgets_every_step():
    given, model = batch()
    one = learner()
    one.step(given)
    one.begin(model.network)
    assert one.change() == 0 and torch.equal(one.candidate().depth_decoder.path['map'],
                                             model.network.depth_decoder.path['map'].half().float())


def test_images_are_warped_by_the_reference_and_by_the_pose_network_where_there_is_none():
    given, _ = batch()
    half = given.motion.clone()
    half[0] = torch.nan
    view = view_of(given._replace(motion=half))
    assert view.known.tolist() == [[False], [True]]
    torch.testing.assert_close(view.source_from_target[1], given.motion[1])
    assert float(view.source_from_target[0, 0, 2, 3]) == pytest.approx(STEP_M)


def test_evidence_is_where_the_image_has_texture_and_nothing_moves():
    grey = np.full((40, 60), 100, np.uint8)
    grey[:, 30:] = np.where(np.arange(30) // 2 % 2, 140, 60)
    labels = np.full((40, 60), TRAIN_ID['building'], np.uint8)
    labels[20:, 45:] = TRAIN_ID['car']
    found = evidence_of(grey, labels, (TRAIN_ID['car'],), 4.0)
    assert not found[:, :26].any() and found[:20, 33:].all() and not found[20:, 45:].any()


def test_each_term_is_what_it_says_on_made_up_numbers():
    given, model = batch()
    terms = {name: float(TERMS[name].function(view_of(given), getattr(SETTINGS.losses, name))) for name in TERMS
             }
    assert terms['distillation'] == pytest.approx(0, abs=1e-5) and terms['weight_anchor'] == 0
    assert terms['velocity'] == pytest.approx(STEP_M - STEP_M / 1.1, abs=1e-3)
    assert terms['pose'] == pytest.approx(STEP_M - STEP_M / 1.1, abs=1e-3)
    farther = given._replace(teacher=given.teacher * 2, evidence=torch.zeros_like(given.evidence))
    held = TERMS['distillation'].function(view_of(farther), SETTINGS.losses.distillation)
    assert float(held) == pytest.approx(np.log(2), rel=1e-3)
    assert terms['anchored'] == 0
    exact, anchored = batch(changes={'depth': view(5 * STEP_M)[1]})[0], TERMS['anchored']
    to_factory, to_truth = (float(anchored.function(view_of(exact), anchored.settings(truth=t))) for t in (0.0, 1.0))
    assert to_factory < 0.5 * to_truth and to_truth > 0.05


def test_the_road_term_is_nothing_on_the_plane_and_grows_with_a_road_that_lies_elsewhere():
    truth = view(5 * STEP_M)[1]
    memory = RoadPlaneMemory(1)
    memory.take(truth, view(5 * STEP_M)[2] == 0, CAMERA)
    normal, height = memory.plane / np.linalg.norm(memory.plane), 1 / np.linalg.norm(memory.plane)
    np.testing.assert_allclose([*normal, height], [0, 1, 0, 1.5], atol=0.02)
    network = factory()[0]
    road = TERMS['road_plane']
    near, far = (float(road.function(view_of(batch(plane=memory.plane * k)[0], network), road.settings(tolerance=0.0)))
                 for k in (1.0, 0.5))
    assert near < 0.25 < far


def test_classes_are_held_by_the_divergence_from_the_factorys():
    given, model = batch()
    scores = model.predict(given.triplets.images[:, 0], CAMERA.fx)[1]
    term = TERMS['semantic_distillation']
    assert float(term.function(view_of(given._replace(logits=scores)), term.settings())) == pytest.approx(0, abs=1e-5)
    assert float(term.function(view_of(given._replace(logits=scores.flip(1))), term.settings())) > 1


def test_the_total_is_the_sum_of_the_weighted_terms():
    losses = adaptation_losses(view_of(batch()[0]), SETTINGS.losses)
    assert float(losses['total']) == pytest.approx(sum(float(v) for k, v in losses.items() if k != 'total'), rel=1e-5)
    assert 'velocity' in losses and losses['total'].ndim == 0


def test_anchors_have_exact_depth_and_motion():
    model = FactoryModel(*factory())
    one = anchors(model)[0]
    given = batch_of([one], model.classes, 4.0)
    assert torch.isnan(given.plane).all() and torch.isfinite(given.triplets.depth).any()
    assert float(view_of(given).warped_error.mean()) < 0.2

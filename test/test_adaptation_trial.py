"""Every criterion of a promotion lets a good candidate pass, and stops the one it is for."""
from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from adaptation_world import BEND, MIDDLE_M, DepthMap, anchors, factory, frame, pose, view

from semdepth_ros.adaptation.comparison import compare
from semdepth_ros.adaptation.evidence import Evidence
from semdepth_ros.adaptation.factory import FactoryModel
from semdepth_ros.adaptation.held_out import Block
from semdepth_ros.adaptation.network_frame import FrameReader
from semdepth_ros.adaptation.odometry_scale import OdometryScale
from semdepth_ros.adaptation.replay import pack
from semdepth_ros.adaptation.settings import Trial, Watch
from semdepth_ros.adaptation.trial import hold_trial
from semdepth_ros.adaptation.triplet import triplet_of
from semdepth_ros.adaptation.watch import Probation

FOCAL = 80.0


def triplet(number: int, odometry: bool = True):
    network, card = factory()
    model, reader, scale = FactoryModel(network, card), FrameReader(card.input), OdometryScale(2)
    scale.take([0.0] * 4)
    taken = [reader.read(frame(i), pose(i) if odometry else None) for i in (number - 1, number, number + 1)]
    return triplet_of(Evidence(tuple(taken), model.look(taken[1]), model.classes, scale), number)


def blocks(count: int = 6, odometry: bool = True) -> list[Block]:
    return [Block(8 * k, tuple(pack(triplet(8 * k + i, odometry)) for i in (6, 7))) for k in range(1, count + 1)]


def with_depth(change) -> torch.nn.Module:
    """Return the corridor's network with another depth, made of the true one."""
    network = copy.deepcopy(factory()[0])
    truth = np.minimum(view(0.0)[1], 45.0)
    network.depth_decoder = DepthMap(change(truth), tuple(network.architecture['depth_range']))
    return network


def bent(power: float, factor: float = 1.0):
    return with_depth(lambda depth: factor * MIDDLE_M * (depth / MIDDLE_M) ** power)


# the served weights bend depth by BEND; this is straighter, at the same scale and height
GOOD = 0.5 + 0.5 * BEND


def trial(candidate, served=None, count: int = 6, settings: Trial = Trial(most_scale_change=0.1), held=None, fixed=True,
          odometry: bool = True):
    network, card = factory()
    model = FactoryModel(network, card)
    return hold_trial(blocks(count, odometry), candidate, served or network, network, (held or anchors)(model),
                      model.classes, FOCAL, settings, fixed)


def failed(report) -> set[str]:
    return {criterion.name for criterion in report.criteria if not criterion.passed}


def test_depth_that_is_straighter_passes_every_criterion():
    report = trial(bent(GOOD))
    assert report.passed, report.reason
    assert len(report.candidate) == len(report.served) == 6
    assert report.as_json()['passed'] and 'less' in report.reason


def test_the_same_weights_gain_nothing():
    assert {'gain', 'rank'} <= failed(trial(factory()[0]))


def test_depth_that_is_worse_is_not_promoted():
    assert {'gain', 'rank', 'forgetting'} <= failed(trial(bent(0.7)))


def test_five_blocks_are_too_few_however_good_the_candidate():
    assert 'blocks' in failed(trial(bent(GOOD), count=5))
    assert failed(trial(bent(GOOD), count=3)) == {'blocks', 'rank'}


def test_a_gain_below_the_least_is_not_enough():
    assert failed(trial(bent(GOOD), settings=Trial(most_scale_change=0.1, least_gain=0.9))) == {'gain'}


def test_a_candidate_that_forgets_the_anchors_is_stopped():
    report = trial(bent(GOOD), settings=Trial(most_scale_change=0.1, most_forgetting=0.2))
    assert failed(report) == {'forgetting'} and 'Abs Rel on anchors' in report.reason


def test_without_exact_depth_stored_frames_hold_the_candidate_to_the_factorys_depth():
    def stored(model):
        return [replace(t, depth=None) for t in anchors(model)]
    assert failed(trial(bent(GOOD), held=stored)) == {'forgetting_stored'}
    assert not failed(trial(bent(GOOD), held=stored, settings=Trial(most_scale_change=0.1, most_log_change=0.5)))


def test_a_candidate_of_another_scale_is_stopped():
    assert {'scale', 'road_height'} <= failed(trial(bent(GOOD, 1.25)))


def test_a_candidate_that_collapses_is_stopped():
    flat = with_depth(lambda depth: np.full_like(depth, 6.0))
    assert 'spread' in failed(trial(flat))


def test_a_candidate_that_is_not_finite_is_stopped():
    broken = copy.deepcopy(factory()[0])
    with torch.no_grad():
        broken.depth_decoder.path['map'][0, 0] = torch.nan
    assert 'finite' in failed(trial(broken))


def test_classes_are_held_where_they_can_change():
    other = bent(GOOD)
    with torch.no_grad():
        other.semantic_decoder.scores[:, 10:20] = other.semantic_decoder.scores[:, 10:20].flip(0)
    assert {'classes', 'each_class'} <= failed(trial(other, fixed=False))
    assert not failed(trial(bent(GOOD), fixed=False))


def test_a_better_pose_network_alone_gains_nothing_without_odometry():
    candidate, served = copy.deepcopy(factory()[0]), copy.deepcopy(factory()[0])
    with torch.no_grad():
        served.pose_network.motion[5] = 3.0                       # backwards
    one = triplet(9, odometry=False)
    assert np.isnan(one.distance).all()
    compared = compare(one, candidate, served, FactoryModel(*factory()).classes, FOCAL)
    assert compared.errors[0] == compared.errors[1]


def test_without_any_motion_but_the_pose_networks_depths_are_compared_under_one_of_them():
    one = replace(triplet(9, odometry=False), motions=np.full((2, 4, 4), np.nan, np.float32))
    classes = FactoryModel(*factory()).classes
    better = compare(one, bent(1.0), factory()[0], classes, FOCAL)
    assert better.errors[0] < better.errors[1]
    scaled = compare(one, bent(BEND, 1.5), bent(BEND), classes, FOCAL)
    assert scaled.errors[0] == pytest.approx(scaled.errors[1], rel=0.02)
    assert scaled.log_scale == pytest.approx(np.log(1.5), abs=0.02)


def test_both_depths_are_judged_on_the_same_pixels():
    compared = compare(triplet(9), bent(1.0), factory()[0], FactoryModel(*factory()).classes, FOCAL)
    swapped = compare(triplet(9), factory()[0], bent(1.0), FactoryModel(*factory()).classes, FOCAL)
    assert compared.errors == swapped.errors[::-1] and compared.errors[0] < compared.errors[1]


def test_promoted_weights_that_are_worse_are_found_out_and_better_ones_pass_probation():
    watch = Watch(frames=20, every=2, least=5, level=0.05)
    worse, better = Probation(watch), Probation(watch)
    reports = []
    for k in range(20):
        wants = worse.wants
        reports.append(worse.take((1.05 + 0.001 * k, 1.0) if wants else None))
        last = better.take((0.97 - 0.001 * k, 1.0) if wants else None)
    first = next(i for i, report in enumerate(reports) if report.regressed)
    assert first == 8 and reports[first].comparisons == 5 and reports[first].p < 0.05
    assert last.over and not last.regressed and last.loss < 0


def test_a_few_bad_frames_are_no_regression():
    probation = Probation(Watch(frames=40, every=1, least=5))
    losses = [1.3, 0.99, 0.98, 1.2, 0.97, 0.99, 0.98, 0.97]
    assert not any(probation.take((loss, 1.0)).regressed for loss in losses)
    assert probation.take((np.nan, 1.0)).comparisons == len(losses)

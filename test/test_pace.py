"""How the learner gives way to perception: the share of time, what diagnostics say, and steps in pieces."""
import math
from dataclasses import replace
from types import SimpleNamespace as Fields

import pytest
import torch
from adaptation_world import adapter, frame, pose

from semdepth_ros.adaptation.one_by_one import one_by_one
from semdepth_ros.bags.rosbags_types import rosbags_types
from semdepth_ros.bridge.diagnostics import make_status
from semdepth_ros.bridge.perception_load import PerceptionLoad, load_of
from semdepth_ros.nodes.pace import LEAST_SHARE, Pace

CALM = PerceptionLoad(20.0, 100.0, 3)


def shares(*loads, most=0.7, slowdown=0.5):
    pace, found = Pace(most, slowdown), []
    for second, load in enumerate(loads):
        pace.hear(load, float(second))
        found.append(round(pace.share, 4))
    return found


def test_the_share_stays_while_perception_keeps_its_time_and_halves_while_it_does_not():
    assert shares(CALM, CALM) == [0.7, 0.7]
    assert shares(CALM, replace(CALM, dropped=4), replace(CALM, dropped=6), replace(CALM, dropped=6)) == [
        0.7, 0.35, 0.175, 0.2188]
    assert shares(CALM, replace(CALM, p95_ms=29.0), replace(CALM, p95_ms=31.0)) == [0.7, 0.7, 0.35]
    assert shares(replace(CALM, p95_ms=120.0)) == [0.35]                           # longer than the time between images
    assert shares(CALM, *[replace(CALM, p95_ms=90.0)] * 20)[-1] == LEAST_SHARE
    assert shares(CALM, *[replace(CALM, p95_ms=90.0)] * 9, *[CALM] * 30)[-1] == 0.7


def test_a_perception_that_begins_anew_or_has_no_frames_is_not_behind():
    assert shares(CALM, replace(CALM, dropped=0), PerceptionLoad(math.nan, math.inf, 0)) == [0.7, 0.7, 0.7]


def test_rest_is_in_proportion_and_silence_ends_consideration():
    pace = Pace(0.5, 0.5)
    assert pace.rest_s(0.2, 0.0) == pytest.approx(0.2)
    pace.hear(CALM, 0.0)
    pace.hear(replace(CALM, dropped=9), 1.0)
    assert pace.rest_s(0.2, 2.0) == pytest.approx(0.6) and pace.is_behind
    assert pace.rest_s(0.2, 20.0) == pytest.approx(0.2) and not pace.is_behind


def test_the_load_is_that_of_the_nodes_worst_camera():
    types = rosbags_types()

    def status(name, **values):
        return make_status(types, name, 'x', 0, '', {key.replace('_', ' '): value for key, value in values.items()})
    front = make_status(types, 'robot/eyes: camera front', 'x', 0, '', {'node p95 [ms]': 12.5, 'rate in [Hz]': 10.0, 'dropped': 2})
    left = make_status(types, 'robot/eyes: camera left', 'x', 0, '', {'node p95 [ms]': 31.0, 'rate in [Hz]': 5.0, 'dropped': 3})
    assert load_of([status('robot/eyes: model'), front, left], 'robot/eyes') == PerceptionLoad(31.0, 100.0, 5)
    assert load_of([front, left], 'eyes') is None and load_of([], 'eyes') is None
    bare = load_of([Fields(name='eyes: camera', values=[Fields(key='dropped', value='none'), Fields(key='x', value='1')])], 'eyes')
    assert math.isnan(bare.p95_ms) and (bare.period_ms, bare.dropped) == (math.inf, 0)


@pytest.fixture(scope='module')
def taught():
    """Return a learner that has a full batch to learn from, and that batch."""
    one, batches = adapter({'step': {'anchors': 1, 'replay': 1, 'learning_rate': 1e-3}}), []
    original = one.learner.step
    one.learner.step = lambda batch: (batches.append(batch), original(batch))[1]
    for i in range(16):
        one.observe(frame(i), pose(i))
    one.learner.step = original
    return one.learner, next(b for b in reversed(batches) if len(b.triplets.images) == 3)


def gradients(learner):
    return torch.cat([p.grad.flatten() for p in learner._trained if p.grad is not None])


def test_samples_one_by_one_have_the_batchs_losses_and_gradient(taught):
    learner, batch = taught
    learner.optimiser.zero_grad(set_to_none=True)
    together = learner._losses(batch)
    together['total'].backward()
    whole = gradients(learner)
    learner.optimiser.zero_grad(set_to_none=True)
    each = learner._backward_each(batch)
    for name, value in together.items():
        assert each[name] == pytest.approx(float(value.detach()), rel=1e-3, abs=1e-6), name
    assert torch.nn.functional.cosine_similarity(gradients(learner), whole, dim=0) > 0.999
    assert float(gradients(learner).norm()) == pytest.approx(float(whole.norm()), rel=1e-2)


def test_every_sample_has_its_share_and_together_they_have_all(taught):
    samples = list(one_by_one(taught[1]))
    assert [len(sample.triplets.images) for sample, _ in samples] == [1, 1, 1]
    assert [sample.motion.shape[1] for sample, _ in samples] == [1, 1, 1]
    for name in samples[0][1]:
        total = sum(share[name] for _, share in samples)
        assert total == pytest.approx(0.0 if name == 'road_plane' else 1.0, abs=1e-5), name     # no road was seen so far
    assert [share['anchored'] for _, share in samples] == [0.0, 0.0, 1.0]


def test_a_step_in_pieces_rests_between_them_and_can_be_closed_by_its_loss(taught):
    learner, batch = taught
    rests, before = [], learner.steps
    learner.one_by_one, learner.between = True, lambda: rests.append(learner.steps)
    assert learner.step(batch).closed == '' and rests == [before] * 3 and learner.steps == before + 1
    weights = [p.detach().clone() for p in learner._trained]
    learner.begin_optimiser()
    for _ in range(12):
        learner.watch.take(1e-6)                             # the next loss is far beyond these
    assert learner.step(batch).closed == 'loss'
    assert all(torch.equal(a, b) for a, b in zip(weights, learner._trained)) and all(p.grad is None for p in learner._trained)

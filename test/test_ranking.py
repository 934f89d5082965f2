"""The ranking loss against loops, closed forms and finite differences, and its term in training."""
import math
import time

import pytest
import torch
from plane_world import BUILDING, Corridor
from test_training_loop import TINY, lines, made_batch

from semdepth_ros.classes import TRAIN_ID
from semdepth_ros.losses import PairSampling, Pairs, certainty, object_probability, ranking_loss
from semdepth_ros.losses.pair_sampling import MOVABLE
from semdepth_ros.networks import Prediction, build_network
from semdepth_ros.training.batch import TripletBatch
from semdepth_ros.training.objective import joint_losses
from semdepth_ros.training.recipe_file import recipe_from
from semdepth_ros.training.terms import TERMS
from semdepth_ros.training.trainer import build_fabric, train
from semdepth_ros.training.view import View, image_pairs

CAR, HOUSE = TRAIN_ID['car'], TRAIN_ID['building']


def drawn(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_pairs(batch, count, pixels):
    generator = torch.Generator().manual_seed(3)
    return Pairs(torch.randint(pixels, (batch, count, 2), generator=generator),
                 torch.rand(batch, count, 2, generator=generator) < 0.5,
                 torch.rand(batch, count, generator=generator) < 0.8)


def pair(apart=True):
    return Pairs(torch.tensor([[[0, 1]]]), torch.tensor([[[False, apart]]]), torch.ones(1, 1, dtype=torch.bool))


def loss_of(first, second, apart=True, **how):
    return ranking_loss(torch.tensor([[[[first, second]]]], dtype=torch.float64), pair(apart),
                        torch.ones(1, 1, dtype=torch.float64), **how).item()


@pytest.mark.parametrize('margin_is', ['relative', 'absolute'])
def test_the_loss_equals_loops_over_images_and_pairs(margin_is):
    disparity, pairs, weight = drawn(2, 1, 5, 6) * 2, random_pairs(2, 40, 30), drawn(2, 40, seed=1)
    total, weights, left_alone = 0.0, 0.0, 0
    for b in range(2):
        for n in range(40):
            if not pairs.valid[b, n]:
                continue
            (d0, d1), (first, second) = ([float(disparity[b, 0, i // 6, i % 6]) for i in pairs.index[b, n].tolist()],
                                         pairs.on_object[b, n].tolist())
            if first == second:
                each = (d0 - d1) ** 2
            elif abs(d0 - d1) >= 0.3 * (max(d0, d1) if margin_is == 'relative' else 1):
                each, left_alone = 0.0, left_alone + 1
            else:
                each = math.log(1 + math.exp(-abs(d0 - d1)))
            total, weights = total + float(weight[b, n]) * each, weights + float(weight[b, n])
    assert 5 < left_alone < 60
    assert ranking_loss(disparity, pairs, weight, 0.3, margin_is).item() == pytest.approx(total / weights, rel=1e-12)


def test_apart_is_the_printed_logarithm_in_either_order_and_together_the_square():
    assert loss_of(1.0, 1.1) == loss_of(1.1, 1.0) == pytest.approx(math.log(1 + math.exp(-0.1)))
    assert loss_of(1.0, 1.0) == pytest.approx(math.log(2))
    assert loss_of(1.0, 3.0, apart=False) == pytest.approx(4.0)


def test_a_pair_apart_by_the_margin_costs_nothing_and_still_counts_in_the_mean():
    assert loss_of(1.0, 0.86) > 0.6 and loss_of(1.0, 0.84) == 0
    assert loss_of(0.1, 0.08, margin_is='absolute') > 0.6 and loss_of(0.1, 0.08) == 0
    two = Pairs(torch.tensor([[[0, 1], [0, 2]]]), torch.tensor([[[False, True]] * 2]), torch.tensor([[True, True]]))
    both = ranking_loss(torch.tensor([[[[1.0, 1.0, 3.0]]]]), two, torch.ones(1, 2))
    assert both.item() == pytest.approx(math.log(2) / 2)


def test_a_step_against_the_gradient_widens_the_gap_across_the_border_and_closes_it_within():
    for first, second in ((1.0, 1.05), (1.05, 1.0)):
        for apart in (True, False):
            disparity = torch.tensor([[[[first, second]]]], requires_grad=True)
            ranking_loss(disparity, pair(apart), torch.ones(1, 1)).backward()
            after = (disparity - 0.1 * disparity.grad).detach().flatten()
            assert (abs(after[0] - after[1]) > 0.05) == apart


def test_the_loss_has_the_gradient_of_finite_differences():
    pairs, weight = random_pairs(2, 30, 20), drawn(2, 30, seed=1)
    for margin_is in ('relative', 'absolute'):
        assert torch.autograd.gradcheck(lambda d: ranking_loss(d, pairs, weight, 0.3, margin_is),
                                        (drawn(2, 1, 4, 5) + 0.5).requires_grad_())


def test_without_pairs_that_count_loss_and_gradient_are_zero():
    disparity = drawn(1, 1, 2, 3).requires_grad_()
    nothing = pair()._replace(valid=torch.zeros(1, 1, dtype=torch.bool))
    loss = ranking_loss(disparity, nothing, torch.full((1, 1), torch.nan, dtype=torch.float64))
    loss.backward()
    assert loss == 0 and disparity.grad.abs().max() == 0


def test_object_probability_is_the_softmax_over_all_classes_at_the_points():
    logits, pairs = drawn(2, 19, 5, 6) * 4, random_pairs(2, 7, 30)
    for laid_out in (logits, logits.contiguous(memory_format=torch.channels_last)):
        found = object_probability(laid_out, pairs, MOVABLE)
        for b in range(2):
            for n in range(7):
                for k, i in enumerate(pairs.index[b, n].tolist()):
                    scores = [math.exp(s) for s in logits[b, :, i // 6, i % 6].tolist()]
                    expected = sum(scores[c] for c in MOVABLE) / sum(scores)
                    assert found[b, n, k].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize('measure, of_08', [
    ('distance', 0.6), ('entropy', 1 + (0.8 * math.log(0.8) + 0.2 * math.log(0.2)) / math.log(2))])
def test_certainty_is_the_product_over_both_points_and_zero_against_a_label(measure, of_08):
    q = torch.tensor([[[0.0, 1.0], [0.2, 0.8], [0.8, 0.8], [0.5, 1.0], [0.0, 0.8]]], dtype=torch.float64)
    labels = torch.tensor([[[False, True], [False, True], [False, True], [True, True], [False, True]]])
    pairs = Pairs(torch.zeros(1, 5, 2, dtype=torch.int64), labels, torch.ones(1, 5, dtype=torch.bool))
    assert certainty(q, pairs, measure)[0].tolist() == pytest.approx([1, of_08 ** 2, 0, 0, of_08])


def settings_of(**more):
    return TERMS['ranking'].settings(**{'weight': 1.0, 'uncertainty': False, **more})


def view_of(disparity, batch, logits=None):
    disparities = tuple(disparity[..., ::2 ** s, ::2 ** s] for s in range(4))
    logits = torch.zeros(1, 19, 64, 64) if logits is None else logits
    return View(Prediction(disparities, logits, {}), batch, batch.images / 255, (0.1, 100.0), 60.0)


def car_before_a_house():
    labels = torch.full((1, 64, 64), HOUSE, dtype=torch.uint8)
    labels[:, 20:50, 20:50] = CAR
    images = (labels == CAR)[:, None, None].expand(1, 3, 3, 64, 64) * torch.tensor(200, dtype=torch.uint8)
    return made_batch(labels=labels, images=images)


SAMPLING = PairSampling(quadruples=4000, couples=4000, nearest=15, skip=15, farthest=60)


def test_the_term_does_not_depend_on_the_scale_of_disparity_and_halves_from_scale_to_scale():
    batch, disparity = car_before_a_house(), torch.rand(1, 1, 64, 64) * 0.1 + 0.2

    def value(factor, **more):
        torch.manual_seed(5)
        return TERMS['ranking'].function(view_of(disparity * factor, batch), settings_of(pairs=SAMPLING, **more)).item()
    assert value(0.5) == pytest.approx(value(1.0), rel=1e-4) and value(1.0) > 0.1
    flat = view_of(torch.full((1, 1, 64, 64), 0.3), batch)
    of_scales = [TERMS['ranking'].function(flat, settings_of(pairs=SAMPLING, scales=n)).item() for n in (1, 2, 3)]
    assert of_scales[1:] == pytest.approx([1.5 * of_scales[0], 1.75 * of_scales[0]], rel=0.05)


@pytest.mark.parametrize('lean', [0.02, -0.02])
def test_the_term_alone_widens_the_lean_of_an_object_to_the_margin_and_no_further(lean):
    torch.manual_seed(0)
    batch = car_before_a_house()
    on_car = batch.labels[:, None] == CAR
    raw = (lean * on_car + torch.randn(1, 1, 64, 64) * 0.005).requires_grad_()
    optimiser = torch.optim.Adam([raw], 0.01)
    for _ in range(60):
        optimiser.zero_grad()
        TERMS['ranking'].function(view_of(raw.sigmoid(), batch), settings_of(pairs=SAMPLING)).backward()
        optimiser.step()
    near = raw.detach().sigmoid()[0, 0, 24:46]
    ratio = math.log(near[:, [22, 23, 24, 45, 46, 47]].mean() / near[:, [15, 16, 17, 52, 53, 54]].mean())
    assert 0.12 < math.copysign(ratio, ratio * lean) < 0.3                    # ln(1 / 0.85) is 0.16


def test_uncertain_and_contradicted_pairs_weigh_nothing():
    batch, gradients = car_before_a_house(), []
    sure = torch.zeros(1, 19, 64, 64).scatter_(1, batch.labels.long()[:, None], 20.0)
    half_sure = torch.where(torch.arange(64) < 32, 0.0, sure)                 # knows next to nothing of the left half
    for logits in (half_sure, sure.flip(1)):                                  # flipped: house is train, car is pole
        ramp = (0.3 + torch.linspace(0, 0.01, 64).expand(1, 1, 64, 64)).requires_grad_()
        settings = settings_of(pairs=SAMPLING, uncertainty=True)
        TERMS['ranking'].function(view_of(ramp, batch, logits.requires_grad_()), settings).backward()
        assert logits.grad is None
        gradients.append(ramp.grad[0, 0])
    own = (gradients[0] - gradients[0].median()).abs()                        # the mean reaches every pixel
    assert own[:, 34:].max() > 1e-3 and own[:, :30].max() < 0.05 * own[:, 34:].max()
    assert gradients[1].abs().max() == 0


class CarCorridor(Corridor):
    """A corridor with a car as wide as itself at its end."""

    def __getitem__(self, index):
        sample = super().__getitem__(index)
        sample.labels[sample.labels == BUILDING] = CAR
        return sample


def test_the_term_is_trained_from_a_recipe(tmp_path):
    recipe = recipe_from(TINY | {'losses': {'ranking': {'weight': 0.5, 'start': 2, 'pairs': {
        'quadruples': 2000, 'couples': 2000, 'robust': False}}}, 'log_every': 1})
    torch.manual_seed(1)
    train(recipe, build_network(recipe.architecture), build_fabric(recipe, 'cpu'), tmp_path,
          opener=lambda source: [CarCorridor(8)])
    said = lines(tmp_path, 'train')
    assert 'ranking' not in said[1] and said[2]['ranking'] > 0.05
    terms = sum(said[-1][name] for name in ('photometric', 'smoothness', 'velocity', 'semantic', 'ranking'))
    assert said[-1]['total'] == pytest.approx(terms, rel=1e-4)


def test_the_term_takes_less_than_a_tenth_of_a_training_step():
    """With -s the two times are said."""
    recipe = recipe_from({'architecture': {'encoder': 'small'}, 'focal_px': 150, 'losses': {'ranking': 0.01}})
    network = build_network(recipe.architecture).train()
    optimiser = torch.optim.AdamW(network.parameters())
    labels = car_before_a_house().labels.repeat(8, 2, 4)[:, :96]
    images = torch.rand(8, 3, 3, 96, 256)
    batch = TripletBatch(images, made_batch().intrinsics.repeat(8, 1, 1), torch.ones(8, 2), labels,
                         torch.ones(labels.shape), labels < 255, torch.zeros(8, 7), torch.zeros(8, 4))

    def step():
        view = View(network(images[:, 0], pairs=image_pairs(images)), batch, images, (0.1, 100.0), 150.0)
        joint_losses(view, recipe.losses)['total'].backward()
        optimiser.step()
        optimiser.zero_grad()

    def term(disparities, logits):
        view = View(Prediction(disparities, logits, {}), batch, images, (0.1, 100.0), 150.0)
        disparity, began = view.disparity, time.process_time()
        torch.autograd.grad(TERMS['ranking'].function(view, settings_of(uncertainty=True)), disparity)
        return time.process_time() - began
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        step()
        began = time.process_time()
        step()
        whole = time.process_time() - began
        with torch.no_grad():
            prediction = network(images[:, 0])
        part = sorted(term(tuple(d.requires_grad_() for d in prediction.disparities), prediction.logits)
                      for _ in range(5))[2]
    finally:
        torch.set_num_threads(threads)
    print(f'256x96, batch 8, one thread: the step takes {1e3 * whole:.0f} ms, of these the term {1e3 * part:.1f} ms')
    assert part < 0.1 * whole

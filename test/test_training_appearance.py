"""How the look of triplets is varied: which triplets, which frames, by how much, as pure functions of the draws."""
from dataclasses import replace

import numpy as np
import pytest
import torch

from semdepth_ros.settings import SettingsError
from semdepth_ros.training.appearance import EFFECTS, WIDTH, change_colours, draw_colour
from semdepth_ros.training.recipe import Augmentation

STILL = Augmentation(colour=0.0)
NAMES = [effect.name for effect in EFFECTS]
STARTS = dict(zip(NAMES, np.cumsum([len(EFFECTS)] + [effect.width for effect in EFFECTS]).tolist()))
# numbers that leave the images alone; jpeg and grey have none
NEUTRAL = {'amplitude_mix': (0.5, 0, 1), 'random_convolution': (0,) + (1,) * 81, 'haze': (0, 0.8),
           'shadow': (1, 0, 0.3, 0.1, 0), 'vignetting': (0,), 'exposure': (0, 0, 0), 'defocus': (0.05,),
           'motion_blur': (0, 0), 'sensor_noise': (0, 0, 0.5), 'white_balance': (0,) * 9,
           'colour': (1, 1, 1, 0, 1, 0, 0), 'curve': (0, 0, 1), 'sharpening': (0, 1), 'resolution': (1,)}
# what numbers may be drawn, from the knobs' defaults
RANGES = {'amplitude_mix': ((0, 0, 0.02), (1, 0.5, 1)), 'haze': ((0, 0.5), (0.4, 0.95)),
          'shadow': ((0, -1, 0.05, 0.005, -0.6), (3.15, 1, 0.6, 0.1, 0.42)), 'vignetting': ((0,), (0.5,)),
          'exposure': ((-0.85,) * 3, (0.85,) * 3), 'defocus': ((0.35,), (1.2,)),
          'motion_blur': ((1.25, -1.5), (5, 1.5)), 'sensor_noise': ((0, 0, 0), (0.05, 0.02, 0.7)),
          'white_balance': ((-0.4,) * 9, (0.4,) * 9),
          'colour': ((0.8, 0.8, 0.8, -0.1, 1, 0, 0), (1.2, 1.2, 1.2, 0.1, 1, 0, 0)),
          'curve': ((-0.32, 0, 0.7), (0.8, 0.1, 1)), 'sharpening': ((0.15, 0.6), (1.5, 1.2)),
          'resolution': ((1,), (2,)), 'jpeg': ((30,), (95,)), 'grey': ((), ())}


def vector(**numbers):
    """A drawn vector with these effects on."""
    drawn = torch.zeros(WIDTH)
    for name, values in numbers.items():
        drawn[NAMES.index(name)] = 1
        drawn[STARTS[name]:STARTS[name] + len(values)] = torch.tensor(values)
    return drawn


def drawn_with(count=1, seed=0, **knobs):
    varied = replace(STILL, **knobs)
    return torch.from_numpy(np.stack([draw_colour(varied, np.random.default_rng([seed, i])) for i in range(count)]))


def pictures(triplets=2, seed=0, height=24, width=40):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(triplets, 3, 3, height, width, generator=generator)


def test_what_is_not_drawn_leaves_images_alone():
    images = pictures()
    assert not drawn_with().any()
    assert torch.equal(change_colours(images, torch.zeros(2, WIDTH)), images)


@pytest.mark.parametrize('name', NEUTRAL)
def test_neutral_numbers_leave_images_alone(name):
    images = pictures().clamp(min=1e-4)
    changed = change_colours(images, vector(**{name: NEUTRAL[name]}).expand(2, -1))
    torch.testing.assert_close(changed, images, atol=5e-6, rtol=0)


@pytest.mark.parametrize('name', NAMES)
def test_an_effect_changes_the_triplets_it_was_drawn_for_and_no_others(name):
    images = pictures(4)
    images = images * torch.linspace(0.4, 1, 4).reshape(4, 1, 1, 1, 1)
    changes = drawn_with(4, **{name: 1.0})
    changes[[0, 2]] = 0
    before = images.clone()
    changed = change_colours(images, changes)
    assert torch.equal(images, before)
    assert torch.equal(changed[[0, 2]], images[[0, 2]])
    for b in (1, 3):
        assert float((changed[b] - images[b]).abs().mean()) > 1e-3


@pytest.mark.parametrize('name', NAMES)
def test_images_stay_between_black_and_white(name):
    torch.manual_seed(1)
    images = (pictures(6) * 3 - 1).clamp(0, 1)
    changed = change_colours(images, drawn_with(6, gamma=0.5, noise=0.1, **{name: 1.0}))
    assert changed.shape == images.shape and changed.dtype == torch.float32
    assert 0 <= float(changed.min()) and float(changed.max()) <= 1


@pytest.mark.parametrize('name', NAMES)
def test_frames_of_a_triplet_share_what_a_camera_keeps(name):
    torch.manual_seed(1)
    images = pictures(2)[:, :1].expand(-1, 3, -1, -1, -1)
    changed = change_colours(images, drawn_with(2, **{name: 1.0}))
    own = name in ('exposure', 'white_balance', 'sensor_noise')
    for other in (1, 2):
        difference = float((changed[:, 0] - changed[:, other]).abs().max())
        assert difference > 1e-3 if own else difference < 1e-5


def test_the_white_balance_drifts_by_less_than_it_varies():
    numbers = drawn_with(300, white_balance=1.0)[:, STARTS['white_balance']:][:, :9].unflatten(1, (3, 3))
    assert float(numbers.mean(dim=1).std()) == pytest.approx(0.1 * (2 / 3) ** 0.5, rel=0.15)
    assert float(numbers.std(dim=1).mean()) < 0.02
    assert float(numbers.sum(dim=2).abs().max()) < 1e-6


@pytest.mark.parametrize('name', RANGES)
def test_numbers_are_drawn_within_their_ranges(name):
    start, (low, high) = STARTS[name], RANGES[name]
    drawn = drawn_with(200, **{name: 1.0})
    numbers = drawn[:, start:start + len(low)]
    assert (drawn[:, NAMES.index(name)] == 1).all()
    assert (numbers >= torch.tensor(low) - 1e-6).all() and (numbers <= torch.tensor(high) + 1e-6).all()
    drawn[:, [NAMES.index(name), *range(start, start + len(low))]] = 0
    assert not drawn.any()


def test_the_largest_colour_changes_are_the_knobs():
    knobs = replace(STILL, colour=1.0, brightness=0.4, gamma=0.2, blur=0.5, noise=0.02)
    drawn = np.stack([draw_colour(knobs, np.random.default_rng(i)) for i in range(300)])
    numbers = drawn[:, STARTS['colour']:STARTS['colour'] + 7]
    low, high = np.array([0.6, 0.8, 0.8, -0.1, 0.8, 0, 0]), np.array([1.4, 1.2, 1.2, 0.1, 1.2, 0.5, 0.02])
    assert (numbers.min(axis=0) >= low - 1e-6).all() and (numbers.max(axis=0) <= high + 1e-6).all()
    np.testing.assert_allclose(numbers.min(axis=0), low, atol=0.02)
    np.testing.assert_allclose(numbers.max(axis=0), high, atol=0.02)


def test_knobs_are_probabilities_of_their_effects():
    drawn = drawn_with(1000, colour=0.5, grey=0.2, curve=0.7)
    shares = dict(zip(NAMES, drawn[:, :len(EFFECTS)].mean(dim=0).tolist()))
    assert shares.pop('colour') == pytest.approx(0.5, abs=0.06)
    assert shares.pop('grey') == pytest.approx(0.2, abs=0.05)
    assert shares.pop('curve') == pytest.approx(0.7, abs=0.06)
    assert set(shares.values()) == {0}


def test_a_draw_is_a_pure_function_of_its_generator():
    everything = {name: 0.5 for name in NAMES}
    assert torch.equal(drawn_with(5, **everything), drawn_with(5, **everything))
    assert not torch.equal(drawn_with(5, **everything), drawn_with(5, seed=1, **everything))


def test_the_same_seed_gives_the_same_images():
    images, changes = pictures(4), drawn_with(4, noise=0.05, **{name: 0.7 for name in NAMES})
    first, again, other = (torch.manual_seed(seed) and change_colours(images, changes) for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_pictures_are_mixed_with_any_other_of_the_batch():
    levels = torch.tensor([0.1, 0.3, 0.5, 0.7]).reshape(4, 1, 1, 1, 1)
    images = levels.expand(4, 3, 3, 8, 8)
    seen = set()
    for place in (0.0, 0.4, 0.9999):
        changes = vector(amplitude_mix=(place, 1.0, 1.0)).repeat(4, 1)
        means = change_colours(images, changes).mean(dim=(1, 2, 3, 4)).tolist()
        partners = [int(round((mean - 0.1) / 0.2)) for mean in means]
        assert means == pytest.approx([0.1 + 0.2 * p for p in partners], abs=1e-4)
        assert all(partner != own for own, partner in enumerate(partners))
        seen |= set(enumerate(partners))
    assert len(seen) == 12


def test_a_batch_of_one_is_mixed_with_itself():
    images = pictures(1)
    changed = change_colours(images, vector(amplitude_mix=(0.5, 1.0, 1.0))[None])
    torch.testing.assert_close(changed[:, 0], images[:, 0], atol=1e-5, rtol=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_nothing_waits_for_the_device_and_it_gives_the_same_images():
    knobs = {name: 0.7 for name in NAMES if name != 'sensor_noise'}
    images, changes = pictures(4, height=96, width=256), drawn_with(4, **knobs)
    there = images.cuda()
    change_colours(there, changes)
    torch.cuda.set_sync_debug_mode('error')
    try:
        changed = change_colours(there, changes)
    finally:
        torch.cuda.set_sync_debug_mode('default')
    # a rounded frequency of JPEG may fall to the other side, and convolutions may be of reduced precision
    assert float((changed.cpu() - change_colours(images, changes)).abs().mean()) < 2e-3


@pytest.mark.parametrize('knob, value', [
    ('grey', 1.1), ('jpeg', -0.1), ('jpeg_quality', 0), ('defocus_px', 0), ('motion_px', 9), ('resolution_factor', 0.5),
    ('curve_clip', 0.5), ('vignetting_corner', 1.0), ('exposure_stops', -1), ('amplitude_share', float('nan'))])
def test_knobs_out_of_range_are_refused(knob, value):
    with pytest.raises(SettingsError, match=f'{knob} is .*, expected'):
        Augmentation(**{knob: value})

"""The look of training frames: each change against its closed form, draws as pure functions."""
import colorsys

import numpy as np
import pytest
import torch

from semdepth_ros.training.appearance import COLOUR_NEUTRAL, change_colours, draw_colour
from semdepth_ros.training.recipe import Augmentation

VARIED = Augmentation(gamma=0.2, blur=0.5, noise=0.02)


def test_neutral_colours_leave_the_image_alone():
    images = torch.rand(2, 3, 3, 4, 5)
    torch.testing.assert_close(change_colours(images, torch.tensor([COLOUR_NEUTRAL] * 2)), images, atol=2e-6, rtol=0)


def changed(colour, **changes):
    names = ('brightness', 'contrast', 'saturation', 'hue', 'gamma', 'blur', 'noise')
    vector = [changes.get(name, neutral) for name, neutral in zip(names, COLOUR_NEUTRAL)]
    image = torch.tensor(colour, dtype=torch.float32).reshape(1, 1, 3, 1, 1).expand(1, 1, 3, 2, 2)
    return change_colours(image, torch.tensor([vector]))[0, 0, :, 0, 0].tolist()


def test_colour_changes_have_their_closed_forms():
    assert changed((0.2, 0.4, 0.6), brightness=1.5) == pytest.approx((0.3, 0.6, 0.9), abs=1e-6)
    grey = 0.299 * 0.2 + 0.587 * 0.4 + 0.114 * 0.6
    assert changed((0.2, 0.4, 0.6), saturation=0.0) == pytest.approx((grey,) * 3, abs=2e-3)
    assert changed((0.2, 0.4, 0.6), contrast=0.5) == pytest.approx([(c + grey) / 2 for c in (0.2, 0.4, 0.6)], abs=1e-6)
    assert changed((0.25, 0.25, 0.25), gamma=0.5) == pytest.approx((0.5,) * 3, abs=1e-6)


def test_hue_turns_as_an_hsv_hue_does():
    turned = changed((0.5, 0.3, 0.3), hue=1 / 3)
    hue = colorsys.rgb_to_hsv(*turned)[0]
    assert min(abs(hue - 1 / 3), abs(hue - 2 / 3)) < 0.06
    assert changed((0.5, 0.3, 0.3), hue=1.0) == pytest.approx((0.5, 0.3, 0.3), abs=1e-5)


def test_one_change_serves_the_whole_triplet_and_noise_does_not():
    frame = torch.rand(1, 1, 3, 8, 8).expand(1, 3, 3, 8, 8)
    vector = torch.tensor([[1.2, 0.9, 1.1, 0.05, 1.1, 0.3, 0.0]])
    result = change_colours(frame, vector)
    torch.testing.assert_close(result[:, 0], result[:, 1])
    vector[0, 6] = 0.1
    noisy = change_colours(frame, vector)
    assert not torch.equal(noisy[:, 0], noisy[:, 1])


def test_drawn_colours_stay_in_their_ranges():
    drawn = np.stack([draw_colour(VARIED, np.random.default_rng(i)) for i in range(200)])
    low, high = (0.8, 0.8, 0.8, -0.1, 0.8, 0, 0), (1.2, 1.2, 1.2, 0.1, 1.2, 0.5, 0.02)
    assert (drawn >= np.float32(low)).all() and (drawn <= np.float32(high)).all()
    neutral = (drawn == np.float32(COLOUR_NEUTRAL)).all(axis=1).mean()
    assert 0.35 < neutral < 0.65

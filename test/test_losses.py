"""Each loss against an independent implementation, a closed form or finite differences."""
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage.metrics import structural_similarity
from torch.autograd import gradcheck

from semdepth_ros.losses import (edge_aware_smoothness, log_depth_error, log_gradient_error, minimum_reprojection,
                                 nearness, photometric, photometric_error, semantic_cross_entropy, velocity_loss)
from semdepth_ros.losses.photometric import SSIM_C1, SSIM_C2


def drawn(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_ssim_is_that_of_scikit_image_up_to_the_border():
    a, b = drawn(1, 3, 8, 11), drawn(1, 3, 8, 11, seed=1)
    padded = [np.pad(x[0].numpy(), ((0, 0), (1, 1), (1, 1)), mode='reflect') for x in (a, b)]
    _, similarity = structural_similarity(*padded, win_size=3, use_sample_covariance=False, K1=0.01, K2=0.03,
                                          data_range=1.0, channel_axis=0, full=True)
    dissimilarity = np.clip((1 - similarity[:, 1:-1, 1:-1]) / 2, 0, 1)
    expected = (0.85 * dissimilarity + 0.15 * (a - b)[0].abs().numpy()).mean(axis=0)
    np.testing.assert_allclose(photometric_error(a, b)[0].numpy(), expected, atol=1e-9)


def test_the_error_between_two_constants_is_the_luminance_term_and_the_difference():
    a, b = 0.3, 0.7
    expected = 0.85 * (1 - (2 * a * b + SSIM_C1) / (a * a + b * b + SSIM_C1)) / 2 + 0.15 * (b - a)
    result = photometric_error(torch.full((1, 1, 4, 4), a).double(), torch.full((1, 1, 4, 4), b).double())
    torch.testing.assert_close(result, torch.full((1, 4, 4), expected).double())


def test_photometric_error_of_an_image_with_itself_is_zero():
    image = drawn(2, 3, 5, 6)
    assert photometric_error(image, image).abs().max() < 1e-12


def test_photometric_error_of_stacked_candidates_is_that_of_each():
    candidates, target = drawn(4, 2, 3, 3, 5, 6), drawn(3, 3, 5, 6, seed=1)
    stacked = photometric_error(candidates, target)
    assert stacked.shape == (4, 2, 3, 5, 6)
    torch.testing.assert_close(stacked[3, 1], photometric_error(candidates[3, 1], target))


def test_photometric_error_has_the_gradient_of_finite_differences():
    a, b = drawn(2, 1, 2, 4, 4).requires_grad_(), drawn(1, 2, 4, 4, seed=1)
    weights = drawn(2, 1, 4, 4, seed=2)
    assert gradcheck(lambda a: (photometric_error(a, b) * weights).sum(), a)


def literal_photometric_error(candidates, target):
    """The same by operators whose gradients are known to autograd."""
    def mean(x):
        padded = F.pad(x.reshape(-1, 1, *x.shape[-2:]), (1, 1, 1, 1), mode='reflect')
        return F.avg_pool2d(padded, 3, 1).reshape(x.shape)
    means = mean(candidates), mean(target)
    variances = mean(candidates ** 2) - means[0] ** 2, mean(target ** 2) - means[1] ** 2
    covariance = mean(candidates * target) - means[0] * means[1]
    ssim = (2 * means[0] * means[1] + SSIM_C1) * (2 * covariance + SSIM_C2) / (
        (means[0] ** 2 + means[1] ** 2 + SSIM_C1) * (variances[0] + variances[1] + SSIM_C2))
    return (0.85 * ((1 - ssim) / 2).clamp(0, 1) + 0.15 * (candidates - target).abs()).mean(-3)


@pytest.mark.parametrize('at_once', [False, True])          # image by image as on a CPU, all as on a GPU
@pytest.mark.parametrize('size', [(2, 2), (2, 5), (7, 9)])
def test_photometric_error_and_its_gradient_are_those_of_autograd(size, at_once, monkeypatch):
    if at_once:
        monkeypatch.setattr(photometric, '_parts', lambda target, *parted: [(photometric._Windows(target), *parted)])
    target = drawn(3, 3, *size)
    candidates = target + 0.5 * (drawn(4, 2, 3, 3, *size, seed=1) - 0.5)
    candidates[0, 0] = target                                                   # and at its largest
    weights = drawn(4, 2, 3, *size, seed=2)
    found, expected = candidates.clone().requires_grad_(), candidates.clone().requires_grad_()
    errors, literal = photometric_error(found, target), literal_photometric_error(expected, target)
    (errors * weights).sum().backward()
    (literal * weights).sum().backward()
    torch.testing.assert_close(errors, literal)
    torch.testing.assert_close(found.grad[1:], expected.grad[1:])


def test_photometric_error_takes_candidates_however_they_lie_in_memory():
    target = drawn(2, 3, 5, 6).float()
    sources = drawn(2, 4, 3, 5, 6, seed=1).float()
    transposed = sources.transpose(0, 1).requires_grad_()
    expanded = sources[:, :1].transpose(0, 1).expand(4, 2, 3, 5, 6)
    found = photometric_error(transposed, target), photometric_error(expanded, target)
    torch.testing.assert_close(found[0], photometric_error(transposed.detach().contiguous(), target))
    torch.testing.assert_close(found[1], photometric_error(expanded.contiguous(), target))
    found[0].square().sum().backward()
    literal = sources.transpose(0, 1).contiguous().requires_grad_()
    literal_photometric_error(literal, target).square().sum().backward()
    torch.testing.assert_close(transposed.grad, literal.grad, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize('candidates, target', [((4, 3, 8, 8), (1, 3, 8, 8)), ((1, 3, 8, 8), (4, 3, 8, 8)),
                                                ((2, 3, 8, 8), (3, 8, 8)), ((1, 3, 1, 8), (1, 3, 1, 8))])
def test_images_that_do_not_belong_together_are_refused_in_one_line(candidates, target):
    with pytest.raises(ValueError, match='expected .* of at least 2x2') as refused:
        photometric_error(torch.zeros(candidates), torch.zeros(target))
    assert str(list(candidates)) in str(refused.value) and str(list(target)) in str(refused.value)


def test_minimum_reprojection_takes_the_better_source_at_every_pixel():
    warped = torch.tensor([[[0.1, 0.9]], [[0.8, 0.2]]])[:, None]                # [S=2, B=1, H=1, W=2]
    torch.testing.assert_close(minimum_reprojection(warped), torch.tensor([[[0.1, 0.2]]]))


def test_a_standing_camera_gives_no_gradient():
    warped = torch.full((2, 1, 3, 3), 0.2, requires_grad=True)
    minimum_reprojection(warped, torch.zeros(2, 1, 3, 3)).sum().backward()
    assert warped.grad.abs().max() == 0


def test_a_moving_camera_keeps_its_gradient():
    warped = torch.full((2, 1, 3, 3), 0.2)
    warped[1] += 0.1
    warped.requires_grad_()
    minimum_reprojection(warped, torch.ones(2, 1, 3, 3)).sum().backward()
    assert (warped.grad[0] == 1).all() and (warped.grad[1] == 0).all()


def test_auto_mask_noise_is_too_small_to_matter_elsewhere():
    identity = torch.full((2, 1, 9, 9), 0.5)
    best = minimum_reprojection(identity + 1, identity)
    torch.testing.assert_close(best, torch.full((1, 9, 9), 0.5), atol=1e-4, rtol=0)


def test_smoothness_of_a_constant_is_zero():
    assert edge_aware_smoothness(torch.full((2, 1, 4, 5), 0.3), torch.rand(2, 3, 4, 5)) == 0


def test_smoothness_of_a_ramp_is_its_slope_over_its_mean():
    ramp = torch.arange(1.0, 6.0, dtype=torch.float64).expand(1, 1, 4, 5)
    result = edge_aware_smoothness(ramp, torch.zeros(1, 3, 4, 5, dtype=torch.float64))
    torch.testing.assert_close(result, torch.tensor(1 / 3, dtype=torch.float64))


def test_an_image_edge_makes_a_step_in_depth_cheaper_by_its_exponential():
    disparity = torch.tensor([1.0, 1.0, 3.0, 3.0], dtype=torch.float64).expand(1, 1, 2, 4)
    edge = torch.tensor([0.0, 0.0, 0.7, 0.7], dtype=torch.float64).expand(1, 3, 2, 4)
    free, cheap = edge_aware_smoothness(disparity, edge * 0), edge_aware_smoothness(disparity, edge)
    torch.testing.assert_close(cheap, free * np.exp(-0.7))


def test_smoothness_ignores_the_scale_of_disparity_and_has_the_right_gradient():
    disparity, image = drawn(1, 1, 3, 4).add(0.1).requires_grad_(), drawn(1, 3, 3, 4, seed=1)
    torch.testing.assert_close(edge_aware_smoothness(disparity * 7, image), edge_aware_smoothness(disparity, image),
                               rtol=1e-5, atol=0)
    assert gradcheck(edge_aware_smoothness, (disparity, image))


def test_smoothness_within_a_mask_is_that_of_the_part_alone():
    disparity, image = drawn(2, 1, 5, 7), drawn(2, 3, 5, 7, seed=1)
    mask = torch.zeros(2, 1, 5, 7, dtype=torch.bool)
    mask[..., 1:4, 2:6] = True
    part = edge_aware_smoothness(disparity[..., 1:4, 2:6], image[..., 1:4, 2:6])
    torch.testing.assert_close(edge_aware_smoothness(disparity, image, mask), part)
    assert edge_aware_smoothness(disparity, image, torch.zeros_like(mask)) == 0


def test_cross_entropy_equals_the_librarys_and_ignores_255():
    logits, labels = drawn(2, 5, 3, 4), torch.randint(0, 5, (2, 3, 4), generator=torch.Generator().manual_seed(0))
    labels[0, 0] = 255
    expected = F.cross_entropy(logits, labels, ignore_index=255)
    torch.testing.assert_close(semantic_cross_entropy(logits, labels.to(torch.uint8)), expected)
    logits[0, :, 0] = 1e6
    torch.testing.assert_close(semantic_cross_entropy(logits, labels.to(torch.uint8)), expected)


def test_cross_entropy_without_labels_is_zero_with_zero_gradient():
    logits = drawn(1, 5, 2, 2).requires_grad_()
    loss = semantic_cross_entropy(logits, torch.full((1, 2, 2), 255, dtype=torch.uint8))
    loss.backward()
    assert loss == 0 and logits.grad.abs().max() == 0


def test_cross_entropy_with_class_weights_and_smoothing_equals_the_librarys():
    logits, labels = drawn(2, 4, 3, 3), torch.randint(0, 4, (2, 3, 3), generator=torch.Generator().manual_seed(1))
    labels[1, 2] = 255
    weights = torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=torch.float64)
    expected = F.cross_entropy(logits, labels, weight=weights, ignore_index=255)
    torch.testing.assert_close(semantic_cross_entropy(logits, labels, class_weights=weights), expected)
    expected = F.cross_entropy(logits, labels, ignore_index=255, label_smoothing=0.1)
    torch.testing.assert_close(semantic_cross_entropy(logits, labels, label_smoothing=0.1), expected)


def test_confidence_weighs_each_label():
    logits = drawn(1, 3, 1, 2)
    labels, confidence = torch.tensor([[[0, 2]]]), torch.tensor([[[0.25, 0.75]]])
    each = F.cross_entropy(logits, labels, reduction='none')[0, 0]
    expected = 0.25 * each[0] + 0.75 * each[1]
    torch.testing.assert_close(semantic_cross_entropy(logits, labels, confidence), expected)
    none = semantic_cross_entropy(logits, labels, torch.zeros(1, 1, 2))
    assert none == 0


def test_cross_entropy_has_the_gradient_of_finite_differences():
    labels = torch.tensor([[[0, 255], [2, 1]]])
    assert gradcheck(lambda x: semantic_cross_entropy(x, labels, drawn(1, 2, 2), label_smoothing=0.1),
                     drawn(1, 3, 2, 2).requires_grad_())


def test_velocity_loss_is_the_difference_of_lengths_where_known():
    translation = torch.tensor([[3.0, 0.0, 4.0], [0.0, 0.0, 1.0], [9.0, 9.0, 9.0]])
    distance = torch.tensor([4.0, 1.5, float('nan')])
    torch.testing.assert_close(velocity_loss(translation, distance), torch.tensor(0.75))


def test_velocity_loss_without_known_distances_is_zero_with_zero_gradient():
    translation = torch.ones(2, 3, requires_grad=True)
    loss = velocity_loss(translation, torch.full((2,), float('nan')))
    loss.backward()
    assert loss == 0 and translation.grad.abs().max() == 0


@pytest.mark.parametrize('scale', [1.0, 1e-3])
def test_velocity_loss_has_the_gradient_of_finite_differences(scale):
    distance = torch.tensor([1.0, 2.0]).double()
    assert gradcheck(lambda t: velocity_loss(t, distance), (drawn(2, 3) * scale + scale).requires_grad_())


def test_velocity_loss_has_a_finite_gradient_at_rest():
    translation = torch.zeros(1, 3, requires_grad=True)
    velocity_loss(translation, torch.ones(1)).backward()
    assert torch.isfinite(translation.grad).all()


def test_depth_that_is_wrong_by_one_factor_has_that_logarithm_as_its_error_and_no_gradient_error():
    truth, mask = torch.rand(1, 1, 6, 8, dtype=torch.float64) * 30 + 1, torch.ones(1, 1, 6, 8, dtype=torch.bool)
    assert log_depth_error(1.2 * truth, truth, mask) == pytest.approx(math.log(1.2))
    assert log_gradient_error(1.2 * truth, truth, mask) == pytest.approx(0, abs=1e-12)


def test_depth_errors_equal_loops_over_the_pixels_of_the_mask():
    generator = torch.manual_seed(3)
    depth, truth = (torch.rand(2, 1, 5, 7, generator=generator, dtype=torch.float64) * 9 + 1 for _ in range(2))
    mask = torch.rand(2, 1, 5, 7, generator=generator) < 0.7
    truth[~mask] = torch.nan
    residual = (depth / truth).log()[:, 0].tolist()
    inside, places = mask[:, 0].tolist(), [(b, v, u) for b in range(2) for v in range(5) for u in range(7)]
    errors = [abs(residual[b][v][u]) for b, v, u in places if inside[b][v][u]]
    total = 0.0
    for apart in (1, 2, 4):
        for down, across in ((apart, 0), (0, apart)):
            steps = [abs(residual[b][v + down][u + across] - residual[b][v][u]) for b, v, u in places
                     if v + down < 5 and u + across < 7 and inside[b][v][u] and inside[b][v + down][u + across]]
            total += sum(steps) / len(steps)
    assert log_depth_error(depth, truth, mask) == pytest.approx(sum(errors) / len(errors))
    assert log_gradient_error(depth, truth, mask, scales=3) == pytest.approx(total / 3)


def test_only_sky_that_is_too_near_costs():
    depth = torch.tensor([40.0, 80.0, 200.0, 1.0]).reshape(1, 1, 1, 4)
    sky = torch.tensor([True, True, True, False]).reshape(1, 1, 1, 4)
    assert nearness(depth, sky, 80.0).item() == pytest.approx(math.log(2) / 3)


@pytest.mark.parametrize('error', [log_depth_error, log_gradient_error])
def test_depth_errors_have_the_gradient_of_finite_differences_and_none_outside_the_mask(error):
    truth = torch.rand(1, 1, 4, 5, dtype=torch.float64, generator=torch.manual_seed(1)) * 9 + 1
    depth = (truth * 1.3 ** torch.randn(1, 1, 4, 5, dtype=torch.float64)).requires_grad_()
    mask = torch.ones(1, 1, 4, 5, dtype=torch.bool)
    mask[..., 2] = False
    truth[..., 2] = torch.nan
    assert torch.autograd.gradcheck(lambda d: error(d, truth, mask), depth)
    assert not torch.autograd.grad(error(depth, truth, mask), depth)[0][..., 2].any()


@pytest.mark.parametrize('error', [log_depth_error, log_gradient_error])
def test_depth_errors_without_truth_are_zero_with_zero_gradient(error):
    depth, truth = torch.rand(1, 1, 4, 4, requires_grad=True), torch.full((1, 1, 4, 4), torch.nan)
    value = error(depth, truth, torch.zeros(1, 1, 4, 4, dtype=torch.bool))
    value.backward()
    assert value == 0 and not depth.grad.any()

"""What cameras do to pictures: every effect against OpenCV, NumPy in double precision or its closed form."""
import colorsys

import cv2
import numpy as np
import pytest
import torch

from semdepth_ros.training.effects import colour, jpeg, light, sensor_noise, sharpness, style


def scene(height=48, width=64, triplets=2, seed=0):
    """Triplets with edges, gradients and fine texture, uint8 [R, 3, 3, H, W]."""
    rng = np.random.default_rng(seed)
    images = np.empty((triplets, 3, height, width, 3), dtype=np.uint8)
    ramp = np.linspace(60, 200, width)[None, :, None] * np.array([1.0, 0.8, 0.6])
    for image in images.reshape(-1, height, width, 3):
        image[:] = ramp + rng.normal(scale=6, size=image.shape)
        for _ in range(6):
            corner = rng.integers(0, (width, height)).tolist()
            cv2.rectangle(image, corner, (corner[0] + 12, corner[1] + 9), rng.integers(0, 255, 3).tolist(), -1)
    return np.ascontiguousarray(images.transpose(0, 1, 4, 2, 3))


def applied(effect, images, *numbers, **more):
    """The effect on images (uint8, or 0..1), its numbers one list a triplet; float64 0..1."""
    images = images / np.float32(255) if images.dtype == np.uint8 else images.astype(np.float32)
    return effect(torch.from_numpy(images), torch.tensor(numbers, dtype=torch.float32), **more).double().numpy()


def by_image(function, images):
    """A function of OpenCV pictures [H, W, 3] on images [..., 3, H, W], the result in 0..1."""
    flat = images.reshape(-1, *images.shape[-3:]).transpose(0, 2, 3, 1)
    changed = np.stack([function(np.ascontiguousarray(image)) for image in flat]).transpose(0, 3, 1, 2)
    return changed.reshape(images.shape) / (255 if changed.dtype == np.uint8 else 1)


def pixel(effect, colour_in, *numbers):
    image = np.array(colour_in, dtype=np.float64).reshape(1, 1, 3, 1, 1) * np.ones((1, 3, 1, 2, 2))
    return applied(effect, image, numbers)[0, 0, :, 0, 0].tolist()


def colours_changed(colour_in, **changes):
    numbers = [changes.get(name, neutral) for name, neutral in zip(colour.COLOUR_NAMES, colour.COLOUR_NEUTRAL)]
    return pixel(colour.colour_change, colour_in, *numbers)


def test_colour_changes_have_their_closed_forms():
    changed, luma = colours_changed, 0.299 * 0.2 + 0.587 * 0.4 + 0.114 * 0.6
    assert changed((0.2, 0.4, 0.6), brightness=1.5) == pytest.approx((0.3, 0.6, 0.9), abs=1e-6)
    assert changed((0.2, 0.4, 0.6), saturation=0.0) == pytest.approx((luma,) * 3, abs=2e-3)
    assert changed((0.2, 0.4, 0.6), contrast=0.5) == pytest.approx([(c + luma) / 2 for c in (0.2, 0.4, 0.6)], abs=1e-6)
    assert changed((0.25, 0.25, 0.25), gamma=0.5) == pytest.approx((0.5,) * 3, abs=1e-6)


def test_hue_turns_as_an_hsv_hue_does():
    hue = colorsys.rgb_to_hsv(*colours_changed((0.5, 0.3, 0.3), hue=1 / 3))[0]
    assert min(abs(hue - 1 / 3), abs(hue - 2 / 3)) < 0.06
    assert colours_changed((0.5, 0.3, 0.3), hue=1.0) == pytest.approx((0.5, 0.3, 0.3), abs=1e-5)


def test_white_balance_multiplies_channels_of_frames():
    gains = np.log([[1.1, 1.0, 0.9], [1.2, 1.0, 1.0], [1.0, 0.5, 1.0]])
    result = applied(colour.white_balance, np.full((1, 3, 3, 2, 2), 0.4), gains.ravel().tolist())
    np.testing.assert_allclose(result[0, :, :, 0, 0], 0.4 * np.exp(gains), atol=1e-6)


def test_a_contrast_curve_is_an_s_between_black_and_white_that_keeps_the_middle():
    x = np.linspace(0, 1, 1001)
    image = np.broadcast_to(x, (1, 3, 3, 1, 1001))
    y = applied(colour.curve, image, [0.8, 0.1, 0.9])[0, 0, 0, 0]
    assert (y[x <= 0.1] == 0).all() and (y[x >= 0.9] == 1).all() and y[500] == pytest.approx(0.5, abs=1e-6)
    assert (np.diff(y) >= -1e-6).all()
    assert (y[510] - y[490]) / 0.02 == pytest.approx(1.8 / 0.8, rel=1e-2)
    np.testing.assert_allclose(y, 1 - y[::-1], atol=2e-6)


def test_grey_is_the_luma_in_every_channel():
    images = scene()
    result = applied(colour.grey, images, [], [])
    assert (result == result[:, :, :1]).all()
    expected = by_image(lambda image: cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), images)
    np.testing.assert_allclose(result, expected, atol=0.6 / 255)


def test_haze_mixes_a_grey_in():
    assert pixel(light.haze, (0.2, 0.4, 0.6), 0.25, 0.8) == pytest.approx((0.35, 0.5, 0.65), abs=1e-6)


def test_a_shadow_is_a_soft_band_across_the_image():
    angle, place, half_width, softness, change = 0.5, 0.1, 0.3, 0.05, -0.6
    result = applied(light.shadow, np.full((1, 3, 3, 6, 10), 0.5), [angle, place, half_width, softness, change])
    for v, u in np.ndindex(6, 10):
        x, y = (u + 0.5 - 5) / 5, (v + 0.5 - 3) / 5
        distance = abs(x * np.cos(angle) + y * np.sin(angle) - place)
        expected = 0.5 * (1 + change / (1 + np.exp(-(half_width - distance) / softness)))
        np.testing.assert_allclose(result[..., v, u], expected, atol=1e-6)
    assert result.min() < 0.22 and result.max() > 0.49


def test_vignetting_is_the_cos4_law():
    result = applied(light.vignetting, np.full((1, 3, 3, 40, 60), 0.8), [0.4])[0, 0, 0]
    v, u = np.mgrid[:40, :60] + 0.5
    radius = np.hypot(u - 30, v - 20)
    corner_angle = np.arccos(0.6 ** 0.25)
    expected = 0.8 * np.cos(np.arctan(radius / np.hypot(30, 20) * np.tan(corner_angle))) ** 4
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_a_stop_of_exposure_doubles_the_light_of_its_frame_alone():
    result = applied(light.exposure, np.full((1, 3, 3, 1, 1), 0.5), [1.0, 0.0, 3.0])[0, :, 0, 0, 0]
    linear = np.array([2, 1, 8]) * 0.5 ** 2.2
    np.testing.assert_allclose(result, np.minimum(linear ** (1 / 2.2), 1), atol=1e-6)
    assert result[2] == 1


@pytest.mark.parametrize('sigma', [0.4, 1.0, 1.5])
def test_defocus_is_a_gaussian(sigma):
    images = scene()
    expected = by_image(lambda i: cv2.GaussianBlur(i / 255, (9, 9), sigma, borderType=cv2.BORDER_REPLICATE), images)
    np.testing.assert_allclose(applied(sharpness.defocus, images, [sigma], [sigma]), expected, atol=1e-5)


def test_every_triplet_is_blurred_by_its_own_kernel():
    images = scene()
    both = applied(sharpness.defocus, images, [0.5], [1.5])
    np.testing.assert_allclose(both[1:], applied(sharpness.defocus, images[1:], [1.5]), atol=1e-6)
    np.testing.assert_allclose(both[:1], applied(sharpness.defocus, images[:1], [0.5]), atol=1e-6)


@pytest.mark.parametrize('angle, size', [(0.0, (5, 1)), (np.pi / 2, (1, 5))])
def test_motion_along_an_axis_is_a_mean_over_its_length(angle, size):
    images = scene()
    expected = by_image(lambda image: cv2.blur(image / 255, size, borderType=cv2.BORDER_REPLICATE), images)
    np.testing.assert_allclose(applied(sharpness.motion_blur, images, *[[5.0, angle]] * 2), expected, atol=1e-5)


@pytest.mark.parametrize('angle', [0.3, -0.3, 1.0])
def test_motion_smears_along_its_direction(angle):
    point = np.zeros((1, 3, 3, 15, 15))
    point[..., 7, 7] = 1
    smear = applied(sharpness.motion_blur, point, [8.0, angle])[0, 0, 0]
    v, u = np.mgrid[-7:8, -7:8]
    assert smear.sum() == pytest.approx(1, abs=1e-5)
    spread = np.array([[(smear * a * b).sum() for a in (u, v)] for b in (u, v)])
    along = np.linalg.eigh(spread)[1][:, 1]
    assert abs(along @ [np.cos(angle), np.sin(angle)]) == pytest.approx(1, abs=5e-3)


def test_sharpening_adds_what_a_gaussian_takes_away():
    images = scene()
    soft = by_image(lambda i: cv2.GaussianBlur(i / 255, (9, 9), 0.8, borderType=cv2.BORDER_REPLICATE), images)
    expected = np.clip(images / 255 + 1.2 * (images / 255 - soft), 0, 1)
    np.testing.assert_allclose(applied(sharpness.sharpening, images, *[[1.2, 0.8]] * 2), expected, atol=1e-5)


@pytest.mark.parametrize('factor, size', [(1.6, (40, 30)), (2.0, (32, 24)), (1.34, (48, 36))])
def test_resolution_falls_as_by_shrinking_and_enlarging(factor, size):
    def through_fewer(image):
        return cv2.resize(cv2.resize(image / 255, size, interpolation=cv2.INTER_AREA), image.shape[1::-1])
    images = scene()
    expected = by_image(through_fewer, images)
    np.testing.assert_allclose(applied(sharpness.resolution, images, [factor], [factor]), expected, atol=2e-5)


def test_sensor_noise_has_the_variance_of_shots_and_reading_and_is_shared_by_neighbours():
    torch.manual_seed(3)
    levels = np.array([0.2, 0.5, 0.8])
    images = np.broadcast_to(levels[:, None, None, None, None], (3, 3, 3, 100, 120))
    for shared in (0.0, 0.6):
        noise = applied(sensor_noise.sensor_noise, images, *[[0.05, 0.02, shared]] * 3) - images
        np.testing.assert_allclose(noise.var(axis=(1, 2, 3, 4)), 0.05 ** 2 * levels + 0.02 ** 2, rtol=0.03)
        assert abs(noise.mean()) < 3e-4
        for first, second in ((noise[..., 1:], noise[..., :-1]), (noise[..., 1:, :], noise[..., :-1, :])):
            correlation = (first * second).mean() / noise.var()
            assert correlation == pytest.approx(2 * shared / (1 + 2 * shared ** 2), abs=0.02)
        assert abs((noise[:, 0] * noise[:, 1]).mean()) < 0.02 * noise.var()


@pytest.mark.parametrize('quality', [10, 35, 50, 75, 92])
def test_jpeg_is_what_opencv_decodes(quality):
    def coded(image):
        buffer = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return cv2.imdecode(buffer, cv2.IMREAD_COLOR)[..., ::-1]
    images = scene(height=52, width=71)
    expected = by_image(coded, images)
    result = applied(jpeg.jpeg, images, [quality], [quality])
    artefact = np.abs(expected - images / 255).mean()
    assert artefact > 1 / 255
    assert np.abs(result - expected).mean() < 0.1 * artefact + 0.6 / 255


def test_every_triplet_is_coded_at_its_own_quality():
    images = scene()
    both = applied(jpeg.jpeg, images, [20], [90])
    np.testing.assert_array_equal(both[0], applied(jpeg.jpeg, images[:1], [20])[0])
    np.testing.assert_array_equal(both[1], applied(jpeg.jpeg, images[1:], [90])[0])


@pytest.mark.parametrize('share, limit', [(0.6, 1.0), (1.0, 1.0), (0.8, 0.1)])
def test_amplitudes_are_mixed_and_phases_kept(share, limit):
    images, others = 0.35 + scene() / 255 * 0.3, 0.35 + scene(seed=1)[:, 0] / 255 * 0.3
    result = applied(style.amplitude_mix, images, *[[0.0, share, limit]] * 2, others=torch.from_numpy(others).float())
    assert 0 < result.min() and result.max() < 1
    spectrum, theirs = np.fft.fft2(images), np.abs(np.fft.fft2(others))[:, None]
    v, u = np.abs(np.fft.fftfreq(48))[:, None] * 2, np.abs(np.fft.fftfreq(64)) * 2
    wanted = np.where(np.maximum(u, v) <= limit, (1 - share) * np.abs(spectrum) + share * theirs, np.abs(spectrum))
    expected = np.fft.ifft2(wanted * np.exp(1j * np.angle(spectrum))).real
    np.testing.assert_allclose(result, expected, atol=2e-4)


def test_a_random_convolution_keeps_mean_and_contrast_of_its_channels():
    images, rng = 0.4 + scene() / 255 * 0.2, np.random.default_rng(2)
    kernels = rng.normal(size=(2, 3, 3, 3, 3))
    share = 0.7
    result = applied(style.random_convolution, images, *[[share, *kernel.ravel()] for kernel in kernels])
    for image, kernel, changed in zip(images, kernels, result):
        padded = np.pad(image - image.mean(axis=(0, 2, 3), keepdims=True), ((0, 0), (0, 0), (1, 1), (1, 1)), 'edge')
        other = sum(np.einsum('oi,nihw->nohw', kernel[:, :, v, u], padded[:, :, v:v + 48, u:u + 64])
                    for v, u in np.ndindex(3, 3))
        other = (other - other.mean(axis=(0, 2, 3), keepdims=True)) / other.std(axis=(0, 2, 3), keepdims=True)
        contrast = image - image.mean(axis=(0, 2, 3), keepdims=True)
        other = other * contrast.std(axis=(0, 2, 3), keepdims=True)
        other = np.sign((other * contrast).mean()) * other + image.mean(axis=(0, 2, 3), keepdims=True)
        np.testing.assert_allclose(changed, (1 - share) * image + share * other, atol=1e-5)


def test_a_random_convolution_makes_no_negatives():
    images = scene() / 255
    negative = np.zeros((3, 3, 3, 3))
    negative[range(3), range(3), 1, 1] = -1
    result = applied(style.random_convolution, images, *[[0.5, *negative.ravel()]] * 2)
    np.testing.assert_allclose(result, images, atol=1e-5)

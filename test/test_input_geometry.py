"""The network's input: aspect kept, nothing cut off, every pixel's ray kept on the way in and out."""
import cv2
import numpy as np
import pytest
import torch

from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.input_geometry import input_geometry, resized
from semdepth_ros.model_file import InputRule

SIZES = [(1242, 375), (416, 128), (2048, 1024), (1936, 1216), (640, 480), (480, 360), (1280, 720), (720, 1280),
         (5000, 9)]
BUDGETS = [256 * 96, 640 * 192]
PLUMB_BOB = (-0.30, 0.09, 0.0005, -0.0003, 0.0)


def rule(pixels=640 * 192, anisotropy=1.05):
    return InputRule(pixels=pixels, multiple=32, max_anisotropy=anisotropy, mean=0.45, std=0.225)


@pytest.mark.parametrize('pixels', BUDGETS)
@pytest.mark.parametrize('size', SIZES)
def test_network_size_is_a_multiple_of_32_within_the_budget(size, pixels):
    g = input_geometry(Camera.from_field_of_view(*size, 80), rule(pixels))
    assert g.width % 32 == 0 and g.height % 32 == 0
    assert g.width * g.height <= pixels


@pytest.mark.parametrize('pixels', BUDGETS)
@pytest.mark.parametrize('size', SIZES[:-1])
def test_focal_lengths_stay_within_five_percent_of_each_other(size, pixels):
    g = input_geometry(Camera.from_field_of_view(*size, 80), rule(pixels))
    assert 1 / 1.05 <= g.camera.fx / g.camera.fy <= 1.05


def test_a_camera_squashed_before_gets_its_aspect_back():
    squashed = Camera.from_field_of_view(640, 480, 80).scaled(640, 192)
    g = input_geometry(squashed, rule())
    assert g.camera.fx / g.camera.fy == pytest.approx(1, abs=0.05)
    assert (g.width, g.height) == (384, 288)


@pytest.mark.parametrize('size', SIZES)
def test_corners_of_the_image_stay_inside_the_input(size):
    g = input_geometry(size, rule())
    corners = np.array([[-0.5, -0.5], [size[0] - 0.5, size[1] - 0.5]])
    (left, top), (right, bottom) = g.network_pixels(corners)
    assert left >= -0.5 - 1e-9 and top >= -0.5 - 1e-9
    assert right <= g.width - 0.5 + 1e-9 and bottom <= g.height - 0.5 + 1e-9
    assert g.padding == pytest.approx((left + 0.5, g.width - 0.5 - right, top + 0.5, g.height - 0.5 - bottom))


@pytest.mark.parametrize('size, network', [((1242, 375), (640, 192)), ((416, 128), (640, 192)),
                                           ((1280, 720), (448, 256))])
def test_an_image_of_nearly_the_right_aspect_is_not_padded(size, network):
    g = input_geometry(Camera.from_field_of_view(*size, 80), rule())
    assert (g.width, g.height) == network
    assert g.padding == (0, 0, 0, 0)


@pytest.mark.parametrize('size', SIZES[:-1])
@pytest.mark.parametrize('pixels', BUDGETS)
def test_no_other_allowed_size_shows_the_image_much_finer(size, pixels):
    g = input_geometry(size, rule(pixels))
    finest = max(min(w / size[0], pixels // w // 32 * 32 / size[1]) for w in range(32, pixels // 32 + 1, 32))
    assert min(g.sx, g.sy) >= 0.92 * finest


@pytest.mark.parametrize('size', SIZES[:-1])
def test_the_ray_through_a_pixel_is_the_ray_through_its_network_pixel(size):
    camera = Camera.from_field_of_view(*size, 70)
    g = input_geometry(camera, rule())
    pixels = np.array([[0, 0], [size[0] - 1, size[1] - 1], [31.25, 7.5], [size[0] / 3, size[1] / 2]])
    inside = g.network_pixels(pixels)
    np.testing.assert_allclose(g.camera.undistort(inside), camera.undistort(pixels), atol=1e-12)
    np.testing.assert_allclose(g.source_pixels(inside), pixels, atol=1e-9)


def test_the_optical_axis_is_laid_towards_the_middle():
    low = Camera(1242, 375, 721, 721, 620, 150)
    g = input_geometry(low, rule(256 * 96))
    left, right, top, bottom = g.padding
    assert top > bottom >= 0
    assert abs(g.camera.cy - (g.height - 1) / 2) < abs(input_geometry((1242, 375), rule(256 * 96)).height / 2 - 31)


@pytest.mark.parametrize('size', [(1242, 375), (640, 480), (500, 500)])
@pytest.mark.parametrize('dtype', [torch.uint8, torch.float32])
def test_a_picture_of_the_rays_arrives_as_the_rays_of_the_network_camera(size, dtype):
    u, v = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    ramp = np.stack([u * 200 / size[0], v * 200 / size[1]])
    g = input_geometry(size, rule(256 * 96))
    arrived = g.to_network(torch.from_numpy(ramp).to(dtype)[None])
    assert arrived.shape == (1, 2, g.height, g.width) and arrived.dtype == dtype
    inside = g.seen.copy()
    inside[:g.top + 1], inside[:, :g.left + 1] = False, False
    y, x = np.nonzero(inside & inside[::-1, ::-1])
    expected = g.source_pixels(np.stack([x, y], axis=-1)) * 200 / size
    np.testing.assert_allclose(arrived[0, :, y, x].numpy().T, expected, atol=0.15 if dtype.is_floating_point else 1.5)


@pytest.mark.parametrize('size', SIZES[:-1])
def test_a_smooth_map_survives_the_way_back(size):
    g = input_geometry(size, rule(256 * 96))
    x, y = np.meshgrid(np.arange(g.width), np.arange(g.height))
    back = g.from_network(torch.from_numpy(np.stack([x, y])[None].astype(np.float32)))[0].numpy()
    assert back.shape == (2, size[1], size[0])
    u, v = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    expected = g.network_pixels(np.stack([u, v], axis=-1).reshape(-1, 2)).T.reshape(2, size[1], size[0])
    margin = 1 + int(1 / min(g.sx, g.sy))
    inner = np.s_[:, margin:-margin, margin:-margin]
    np.testing.assert_allclose(back[inner], expected[inner], atol=1e-3)


@pytest.mark.parametrize('size, wanted', [((77, 256), (375, 1242)), ((96, 320), (40, 33)), ((5, 7), (5, 7))])
def test_nearest_takes_the_pixel_under_the_centre(size, wanted):
    image = torch.arange(size[0] * size[1], dtype=torch.int32).reshape(1, 1, *size)
    expected = torch.nn.functional.interpolate(image.double(), wanted, mode='nearest-exact')
    assert torch.equal(resized(image, wanted[1], wanted[0], 'nearest').double(), expected)


def test_padding_repeats_the_edges():
    g = input_geometry((64, 20), rule(64 * 32))
    assert g.padding == (0, 0, 6, 6)
    image = torch.arange(20, dtype=torch.uint8).repeat_interleave(64).reshape(1, 1, 20, 64)
    expected = np.r_[[0] * 6, np.arange(20), [19] * 6]
    assert g.to_network(image)[0, 0, :, 5].tolist() == expected.tolist()
    assert g.to_network(image.float())[0, 0, :, 5].tolist() == expected.tolist()


def test_a_stripe_finer_than_a_network_pixel_averages_out():
    stripes = torch.zeros(1, 3, 384, 1280, dtype=torch.uint8)
    stripes[..., ::2] = 200
    inner = input_geometry((1280, 384), rule(320 * 96)).to_network(stripes)[..., 2:-2]
    assert inner.min() >= 90 and inner.max() <= 110


def test_depth_factor_is_the_ratio_of_focal_lengths():
    g = input_geometry(Camera.from_field_of_view(1280, 384, 60), rule())
    assert g.depth_factor(g.camera.fx / 2) == pytest.approx(2)
    assert input_geometry((1280, 384), rule()).depth_factor(123.0) == 1.0


def test_rectifying_on_the_way_in_agrees_with_opencv():
    camera = Camera(640, 480, 400, 402, 322, 236, 'plumb_bob', PLUMB_BOB)
    v, u = np.mgrid[:480, :640].astype(np.float32)
    picture = (127 + 60 * np.sin(u / 40) + 60 * np.cos(v / 35)).astype(np.float32)
    g = input_geometry(camera, rule())
    assert g.rectifies and not g.camera.is_distorted
    truth = cv2.undistort(picture, camera.matrix, np.array(PLUMB_BOB))
    plain = input_geometry(camera.rectified(), rule())
    expected = plain.to_network(torch.from_numpy(truth)[None, None])[0, 0].numpy()
    arrived = g.to_network(torch.from_numpy(picture)[None, None])[0, 0].numpy()
    inner = np.s_[8:-8, 8:-8]
    assert np.abs(arrived - expected)[inner].max() < 2.0


@pytest.mark.parametrize('model', ['plumb_bob', 'equidistant'])
def test_no_points_have_no_pixels_and_points_behind_the_lens_none_that_are_numbers(model):
    camera = Camera(640, 480, 500, 510, 320, 240, model, (0.1, 0.01, 0.001, 0.001))
    assert camera.project(np.zeros((0, 3))).shape == camera.undistort(np.zeros((0, 2))).shape == (0, 2)
    assert np.isnan(camera.project(np.array([[1.0, 1, -1], [0, 0, 0]]))).all()


def test_an_image_taken_as_it_is_keeps_its_distortion():
    camera = Camera(640, 480, 400, 402, 322, 236, 'plumb_bob', PLUMB_BOB)
    g = input_geometry(camera, rule(), rectify=False)
    assert not g.rectifies and g.camera.is_distorted and g.output_camera == camera


def test_pixels_beyond_a_pincushion_lens_are_not_seen():
    camera = Camera(640, 480, 300, 300, 319.5, 239.5, 'plumb_bob', (0.3, 0.0, 0.0, 0.0))
    seen = input_geometry(camera, rule()).seen
    assert not seen[0, 0] and not seen[-1, -1]
    assert seen[seen.shape[0] // 2, seen.shape[1] // 2]


def test_rays_that_a_lens_polynomial_folds_back_are_not_seen():
    camera = Camera(640, 480, 200, 200, 319.5, 239.5, 'plumb_bob', (-0.45, 0.0, 0.0, 0.0))
    g = input_geometry(camera, rule())
    radius = np.hypot(*np.moveaxis(g._pinhole_rays, -1, 0))
    assert not g.seen[radius > np.sqrt(1 / (3 * 0.45)) + 0.02].any()
    assert g.seen[radius < 0.6].all()


def test_an_image_of_another_size_is_refused():
    with pytest.raises(ValueError, match='640x480, expected 1242x375'):
        input_geometry((1242, 375), rule()).to_network(torch.zeros(1, 3, 480, 640))


def test_a_budget_below_one_block_is_refused():
    with pytest.raises(ValueError, match='1000 pixels'):
        input_geometry((1242, 375), rule(1000))

"""The cavity: its depth is on the wall, its frames agree with each other, and what moves it is known."""
from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from semdepth_ros.cli.main import main
from semdepth_ros.data import open_data
from semdepth_ros.world import Cavity, default_cavity_camera
from semdepth_ros.world.cavity import meet_wall
from semdepth_ros.world.fleet import draw_cavities

CAMERA = default_cavity_camera((96, 80))
SEEDS = (0, 1, 2, 3)


def points_of(cavity: Cavity, index: int, depth: np.ndarray) -> torch.Tensor:
    """Return where in the cavity's own axes the pixels of a frame lie, float64 [N, 3] m."""
    pose = cavity.way.pose(index / cavity.rate_hz)
    seen = cavity.camera.rays().reshape(-1, 3) * depth.reshape(-1, 1)
    return torch.from_numpy(seen.astype(np.float64) @ pose[:3, :3].T + pose[:3, 3])


@pytest.mark.parametrize('deformation', [0.0, 0.003])
def test_every_ray_ends_on_the_wall_and_meets_none_before(deformation):
    cavity = Cavity(3, 40, CAMERA, deformation=deformation)
    depth, time = cavity[17].depth, 1.7
    assert cavity.tissue.f(points_of(cavity, 17, depth), time).abs().max() < 1e-6
    for share in np.linspace(0, 0.995, 200):
        assert cavity.tissue.f(points_of(cavity, 17, depth * np.float32(share)), time).max() < 1e-3
    assert np.isfinite(depth).all() and depth.dtype == np.float32


def test_a_sphere_has_the_depth_of_its_closed_form():
    cavity = Cavity(0, 10, CAMERA)
    tissue = cavity.tissue
    tissue.axes, tissue.bumps.weight = np.full(3, 0.1), tissue.bumps.weight * 0
    eye = torch.tensor([0.03, -0.02, 0.05], dtype=torch.float64)
    rays = torch.nn.functional.normalize(torch.randn(500, 3, dtype=torch.float64, generator=torch.manual_seed(0)), dim=1)
    along = (rays * eye).sum(1)
    expected = -along + (along ** 2 - (eye ** 2).sum() + 0.01).sqrt()
    torch.testing.assert_close(meet_wall(tissue, eye, rays, 0.0), expected, rtol=1e-7, atol=0)


def test_depth_is_that_of_close_range_and_the_camera_stays_inside():
    depths = []
    for seed in SEEDS:
        cavity = Cavity(seed, 400, CAMERA)
        eyes = torch.from_numpy(np.stack([cavity.way.pose(t)[:3, 3] for t in np.linspace(0, 40, 400)]))
        assert cavity.tissue.f(eyes, 0.0).max() < 0
        depths.append(cavity[100].depth)
    assert 0.008 < np.min(depths) < 0.05 and 0.08 < np.max(depths) < 0.32
    assert all(d.max() > 1.5 * d.min() for d in depths)


def difference(first, second, camera, scale: float = 1.0) -> np.ndarray:
    """Return by how much the second frame, warped into the first by its depth, differs from it, of pixels both see."""
    motion = np.linalg.inv(second.pose) @ first.pose
    points = camera.rays().reshape(-1, 3) * first.depth.reshape(-1, 1) * scale @ motion[:3, :3].T + motion[:3, 3]
    place = camera.project(points).reshape(*first.depth.shape, 2).astype(np.float32)
    warped = cv2.remap(second.image, place[..., 0], place[..., 1], cv2.INTER_LINEAR).astype(float)
    seen = cv2.remap(second.depth, place[..., 0], place[..., 1], cv2.INTER_NEAREST)
    inside = (place > 0).all(-1) & (place < np.array([camera.width, camera.height]) - 1).all(-1)
    both = inside & (np.abs(seen - points[:, 2].reshape(seen.shape)) < 0.05 * seen * max(1, 100 * abs(scale - 1)))
    warped[~inside] = 1
    both = cv2.erode(both.astype(np.uint8), np.ones((5, 5))).astype(bool)
    ours, theirs = (_evened(image) for image in (first.image.astype(float), warped))
    return np.abs(ours - theirs).mean(-1)[both]


def _evened(image: np.ndarray) -> np.ndarray:
    """Return the image without its slow changes, which the light that moves along makes."""
    return image / cv2.GaussianBlur(image, None, 4) * 128


def test_frames_agree_where_depth_and_poses_are_true():
    right, wrong = [], []
    for seed in SEEDS:
        camera = default_cavity_camera((160, 128))
        first, second = Cavity(seed, 60, camera).render([20, 23])
        right.append(difference(first, second, camera))
        wrong.append(difference(first, second, camera, 1.3))
    right, wrong = np.concatenate(right), np.concatenate(wrong)
    assert np.median(right) < 4 and np.percentile(right, 90) < 12
    assert wrong.mean() > 1.3 * right.mean()


def test_light_sits_at_the_lens():
    frame = Cavity(5, 60, CAMERA)[20]
    logs = np.log(frame.depth.ravel()), np.log(frame.image.mean(-1).ravel() + 1)
    assert np.corrcoef(*logs)[0, 1] < -0.5


def test_a_deformation_moves_the_wall_as_far_as_it_says_and_takes_colours_along():
    rigid, moved = Cavity(3, 40, CAMERA), Cavity(3, 40, CAMERA, deformation=0.002)
    wall = points_of(moved, 10, moved[10].depth)
    at_rest = moved.tissue.at_rest(wall, 1.0)
    assert (at_rest - wall).norm(dim=1).square().mean().sqrt() == pytest.approx(0.002, rel=0.35)
    foot = torch.full((len(wall),), 1e-4, dtype=torch.float64)
    assert torch.equal(moved.tissue.albedo(at_rest, foot), rigid.tissue.albedo(at_rest, foot))
    assert rigid.tissue.f(at_rest, 0.0).abs().max() < 1e-6
    assert not torch.allclose(moved.tissue.at_rest(wall, 2.0), at_rest)
    assert np.array_equal(rigid.pose(10), moved.pose(10))


@pytest.mark.parametrize('deformation', [0.0, 0.003])
def test_normals_are_those_of_finite_differences(deformation):
    cavity = Cavity(4, 40, CAMERA, deformation=deformation)
    points = points_of(cavity, 5, cavity[5].depth)[::97]
    steps = torch.eye(3, dtype=torch.float64) * 1e-6
    f = cavity.tissue.f
    gradient = torch.stack([(f(points + step, 0.5) - f(points - step, 0.5)) / 2e-6 for step in steps], dim=1)
    expected = -gradient / gradient.norm(dim=1, keepdim=True)
    torch.testing.assert_close(cavity.tissue.normal(points, 0.5), expected, rtol=0, atol=1e-5)


def test_colours_fade_to_one_before_their_waves_are_smaller_than_two_pixels():
    tissue = Cavity(2, 10, CAMERA).tissue
    points = torch.rand(2000, 3, dtype=torch.float64, generator=torch.manual_seed(0)) * 0.1
    fine, gone = (tissue.albedo(points, torch.full((2000,), size, dtype=torch.float64)) for size in (1e-5, 0.017))
    assert fine.std(0).min() > 0.03 and gone.min() > 0
    assert gone.std(0).max() < 0.7 * fine.std(0).min()
    assert tissue.albedo(points, torch.full((2000,), 0.1, dtype=torch.float64)).std(0).max() < 1e-12


def test_frames_are_the_same_in_any_order_and_other_splits_are_others():
    one, again = Cavity(1, 5, CAMERA, split='train'), Cavity(1, 50, CAMERA, split='train')
    assert np.array_equal(one[3].image, again.render([7, 3])[1].image)
    assert not np.array_equal(one[3].depth, Cavity(1, 5, CAMERA, split='test')[3].depth)
    frame = one[2]
    assert (frame.labels == 255).all() and not frame.instances.any()
    np.testing.assert_allclose(one.pose(0)[:3, 3], 0, atol=1e-12)
    np.testing.assert_allclose(frame.pose, frame.odometry_pose @ frame.camera_in_base, atol=1e-12)


def test_it_is_a_source_of_data_and_a_fleet_in_a_folder_with_its_depth_kept_fine(tmp_path):
    sequence, = open_data('world:cavity:3:4', deformation=0.001, camera=CAMERA)
    assert sequence.drive.tissue.deformation_m == 0.001 and sequence.name == 'world_cavity_3' and len(sequence) == 4
    arguments = ['--preset', 'cavity', '--fleet', '2', '--frames', '3', '--size', '64x48', '--split', 'val']
    assert main(['world', *arguments, '--out', str(tmp_path / 'fleet')]) == 0
    first, second = open_data(str(tmp_path / 'fleet'))
    assert first.camera != second.camera and first.name == '000_cavity'
    truth = draw_cavities(2, 3, 64, 48, 'val')[1].build()[2].depth
    assert np.abs(second[2].depth - truth).max() < 1e-5
    assert (second[2].labels == 255).all()


@pytest.mark.parametrize('arguments, words', [
    (['--preset', 'cavity', '--height', '1'], '--height with --preset cavity: expected without, since it is for drives'),
    (['--preset', 'cavity', '--same-speed', '0.5'], '--same-speed with --preset cavity'),
    (['--deformation', '0.001'], '--deformation with --preset day: expected without, since it is for cavity'),
    (['--preset', 'cavity', '--deformation', '0.1'], 'deformation is 0.1 m, expected 0 to 0.01'),
    (['--preset', 'cavity', '--split', 'dev'], "split is 'dev'"),
    (['--preset', 'cavity', '--seed', '-1'], 'seed is -1, expected zero')])
def test_errors_are_one_line(arguments, words, capsys):
    assert main(['world', '--preview', 'x.png', *arguments]) == 2
    captured = capsys.readouterr().err
    assert words in captured and captured.count('\n') == 1


def test_options_of_drives_are_refused():
    with pytest.raises(ValueError, match="has no option 'same_speed'"):
        open_data('world:cavity:3', same_speed=True)

"""Rigid motion and warping against closed forms, OpenCV, the camera and finite differences."""
import cv2
import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.motion import axis_angle_to_matrix, pose_matrix
from semdepth_ros.geometry.warping import backproject, project, warp
from semdepth_ros.world import Drive

CAMERA = Camera(12, 8, 10.0, 11.0, 5.2, 3.9)


def intrinsics(camera=CAMERA):
    return torch.from_numpy(camera.matrix)[None]


def drawn(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize('vector', [(0, 0, 0), (1e-9, 0, 0), (3e-4, -2e-4, 5e-4), (0.02, -0.01, 0.03),
                                    (1.2, -0.4, 2.0)])
def test_axis_angle_matrix_equals_opencv(vector):
    expected, _ = cv2.Rodrigues(np.array(vector, dtype=np.float64))
    matrix = axis_angle_to_matrix(torch.tensor([vector], dtype=torch.float64))[0]
    np.testing.assert_allclose(matrix, expected, atol=1e-12)


@pytest.mark.parametrize('size', [0.0, 1e-4, 0.5])
def test_axis_angle_matrix_has_the_gradient_of_finite_differences(size):
    vector = (torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64) * size).requires_grad_()
    assert gradcheck(axis_angle_to_matrix, vector)


def test_inverted_pose_undoes_the_pose():
    vector, translation = drawn(3, 3) - 0.5, drawn(3, 3, seed=1)
    product = pose_matrix(vector, translation) @ pose_matrix(vector, translation, invert=True)
    torch.testing.assert_close(product, torch.eye(4, dtype=torch.float64).expand(3, 4, 4))


def test_backprojected_points_lie_on_the_cameras_rays():
    depth = drawn(1, 1, 8, 12) * 20 + 1
    points = backproject(depth, intrinsics())[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(points, CAMERA.rays() * depth[0, 0].numpy()[..., None], rtol=1e-6)


def test_projection_equals_the_cameras():
    points = torch.cat([drawn(1, 2, 8, 12) - 0.5, drawn(1, 1, 8, 12, seed=1) + 1], dim=1)
    transform = pose_matrix(torch.tensor([[0.1, -0.2, 0.05]]).double(), torch.tensor([[0.3, 0.1, 0.4]]).double())
    grid, z = project(points, intrinsics(), transform)
    moved = (transform[0, :3, :3] @ points[0].flatten(1) + transform[0, :3, 3:]).T.numpy()
    pixels = (grid[0].numpy() + 1) / 2 * [CAMERA.width - 1, CAMERA.height - 1]
    np.testing.assert_allclose(pixels.reshape(-1, 2), CAMERA.project(moved), atol=1e-9)
    np.testing.assert_allclose(z.flatten().numpy(), moved[:, 2])


def test_warping_with_identity_pose_returns_the_image():
    image, depth = drawn(2, 3, 8, 12), drawn(2, 1, 8, 12, seed=1) * 30 + 0.5
    matrix = intrinsics().expand(2, 3, 3)
    warped, valid = warp(image, depth, matrix, matrix, torch.eye(4).double().expand(2, 4, 4))
    torch.testing.assert_close(warped, image)
    assert valid[..., 1:-1, 1:-1].all()


def test_sideways_motion_shifts_a_wall_by_focal_length_times_baseline_over_depth():
    image = drawn(1, 1, 8, 12)
    transform = pose_matrix(torch.zeros(1, 3).double(), torch.tensor([[1.5, 0, 0]]).double())
    warped, valid = warp(image, torch.full((1, 1, 8, 12), 5.0).double(), intrinsics(), intrinsics(), transform)
    torch.testing.assert_close(warped[..., :-3], image[..., 3:])                           # 10 px * 1.5 m / 5 m = 3 px
    torch.testing.assert_close(warped[..., -3:], image[..., -1:].expand(1, 1, 8, 3))       # the border repeats
    assert valid[..., 1:-1, :-4].all() and not valid[..., -3:].any()


def test_another_focal_length_magnifies():
    ramp = torch.arange(12.0).double().expand(1, 1, 8, 12)
    source = intrinsics().clone()
    source[:, 0, 0] *= 0.5
    warped, _ = warp(ramp, torch.ones(1, 1, 8, 12).double(), intrinsics(), source, torch.eye(4).double()[None])
    expected = (torch.arange(12.0).double() - CAMERA.cx) * 0.5 + CAMERA.cx
    torch.testing.assert_close(warped[0, 0, 0], expected)


def test_points_behind_the_source_camera_are_not_valid():
    transform = pose_matrix(torch.zeros(1, 3).double(), torch.tensor([[0, 0, -9.0]]).double())
    _, valid = warp(drawn(1, 1, 8, 12), torch.full((1, 1, 8, 12), 5.0).double(), intrinsics(), intrinsics(), transform)
    assert not valid.any()


def test_warping_has_the_gradient_of_finite_differences():
    image = drawn(1, 2, 8, 12)
    depth = (drawn(1, 1, 8, 12, seed=1) * 0.37 + 4).requires_grad_()
    vector = torch.tensor([[0.013, -0.021, 0.017]]).double().requires_grad_()
    translation = torch.tensor([[0.111, 0.072, -0.133]]).double().requires_grad_()

    weights = drawn(1, 2, 8, 12, seed=2)

    def weighed(depth, vector, translation):
        warped, _ = warp(image, depth, intrinsics(), intrinsics(), pose_matrix(vector, translation))
        return (warped * weights).sum()

    assert gradcheck(weighed, (depth, vector, translation), eps=1e-7, atol=1e-5)


def test_the_rendered_world_warps_onto_itself_with_its_true_depth_and_not_with_a_wrong_one():
    frames = Drive('day', seed=1, frames=3, camera=Camera.from_field_of_view(160, 64, 80, height_m=1.6))
    target, source = frames.render([0, 1])
    matrix = intrinsics(frames.camera).float()
    moved = torch.from_numpy(np.linalg.inv(source.pose) @ target.pose).float()[None]
    images = [torch.from_numpy(frame.image).permute(2, 0, 1)[None].float() / 255 for frame in (target, source)]
    depth = torch.from_numpy(np.minimum(target.depth, 1e4)).float()[None, None]
    static = torch.from_numpy((target.instances == 0) & (target.depth < 60))[None, None]
    errors = {}
    for factor in (0.6, 1.0, 1.7):
        warped, valid = warp(images[1], depth * factor, matrix, matrix, moved)
        errors[factor] = float((warped - images[0]).abs().mean(dim=1, keepdim=True)[valid & static].mean())
    assert errors[1.0] < 0.03
    assert errors[1.0] < 0.75 * min(errors[0.6], errors[1.7])

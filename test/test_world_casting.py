"""Ray casting against plain double precision geometry, and its shortcuts against none."""
import numpy as np
import pytest
import torch

from semdepth_ros.geometry.camera import Camera
from semdepth_ros.world.casting import meet_boxes, meet_ground, meet_rounds
from semdepth_ros.world.relief import Relief
from semdepth_ros.world.streets import Piece
from semdepth_ros.world.textures import LEVELS, MATERIALS, SIZE, look_up
from semdepth_ros.world.tiles import TILE, TileGrid, sub_pixel_offsets
from semdepth_ros.world.drive import Drive


def marched(inside, origin, direction, step=1e-3, far=6.0):
    """Return the first t at which origin + t * direction is inside, by small steps; inf if never."""
    t = np.arange(step, far, step)
    hit = inside(origin + t[:, None] * direction)
    return t[hit.argmax()] if hit.any() else np.inf


SHAPES = {'box': lambda p: (np.abs(p) <= 1).all(-1),
          'cylinder': lambda p: (p[:, 0] ** 2 + p[:, 1] ** 2 <= 1) & (np.abs(p[:, 2]) <= 1),
          'ball': lambda p: (p ** 2).sum(-1) <= 1}


@pytest.mark.parametrize('shape', SHAPES)
def test_rays_meet_unit_shapes_where_small_steps_do(shape):
    rng = np.random.default_rng(5)
    meet = {'box': meet_boxes, 'cylinder': meet_rounds(torch.zeros(1)), 'ball': meet_rounds(torch.ones(1))}[shape]
    hits = 0
    for _ in range(60):
        origin = rng.normal(0, 1, 3)
        origin *= rng.uniform(2.2, 3) / np.linalg.norm(origin)
        direction = rng.normal(0, 0.6, 3) - origin / 2
        truth = marched(SHAPES[shape], origin, direction)
        o, d = (torch.tensor(v, dtype=torch.float32)[None, :, None] for v in (origin, direction))
        found = float(meet(torch.zeros(1, dtype=torch.int64), o, d))
        if np.isinf(truth):
            assert not found < 6 or marched(SHAPES[shape], origin, direction, 1e-5) < 6
        else:
            assert found == pytest.approx(truth, abs=2e-3)
            hits += 1
    assert hits > 15


def test_rays_meet_the_ground_where_a_fine_march_does():
    relief = Relief(np.array([1.5, 0.8]), np.array([0.02, 0.011]), np.array([0.008, -0.025]), np.array([0.3, 2.0]))
    grid = TileGrid.of(Camera.from_field_of_view(32, 16, 80), 1, 'cpu')
    turn = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    eye = np.array([3.0, -2.0, float(relief.height(3.0, -2.0)) + 1.6])
    rays = torch.einsum('ij,tjr->tir', torch.tensor(turn, dtype=torch.float32), grid.directions)
    corners = torch.einsum('ij,tkj->tik', torch.tensor(turn, dtype=torch.float32), grid.corners)
    eyes = torch.tensor(eye, dtype=torch.float32).expand(grid.tiles, 3)
    depth = meet_ground(relief, rays, corners, grid.weights, eyes)
    t = np.concatenate([np.arange(1, 200, 0.01), np.arange(200, 890, 0.1)])
    for direction, found in zip(rays.double().transpose(1, 2).reshape(-1, 3).numpy(), depth.view(-1).tolist()):
        p = eye + t[:, None] * direction
        below = p[:, 2] < relief.height(p[:, 0], p[:, 1])
        if below.any() and t[below.argmax()] < 300:
            assert found == pytest.approx(t[below.argmax()], rel=3e-3, abs=0.02)
        elif not below.any():
            assert found > 500


def test_culling_by_tiles_hides_nothing(monkeypatch):
    camera = Camera.from_field_of_view(96, 48, 81, height_m=1.65)
    frame = Drive('day', 3, 40, camera)[20]
    from semdepth_ros.world import renderer
    monkeypatch.setattr(renderer, 'unhidden', lambda primitive, *_: torch.ones_like(primitive, dtype=torch.bool))
    monkeypatch.setattr(renderer, 'overlaps', lambda grid, bounds: tuple(
        v.reshape(-1) for v in torch.meshgrid(torch.arange(bounds.shape[1]), torch.arange(grid.tiles), indexing='ij')))
    plain = Drive('day', 3, 40, camera)[20]
    assert np.array_equal(frame.depth, plain.depth) and np.array_equal(frame.labels, plain.labels)
    assert np.abs(frame.image.astype(int) - plain.image).max() <= 1


def test_tiles_put_rays_back_to_their_pixels():
    camera = Camera(21, 13, 20.0, 22.0, 9.0, 7.0)
    grid = TileGrid.of(camera, 4, 'cpu')
    centre = grid.directions.view(grid.tiles, 3, 4, TILE * TILE)[:, :, 0].permute(0, 2, 1)
    image = grid.image(centre.contiguous())[0].numpy()
    assert np.allclose(image, camera.rays(), atol=1e-6)


@pytest.mark.parametrize('rays', [1, 4, 5, 9, 16])
def test_rays_spread_evenly_about_the_pixels_centre(rays):
    offsets = sub_pixel_offsets(rays)
    assert offsets.shape == (rays, 2) and np.allclose(offsets[0], 0)
    assert np.abs(offsets).max() <= 0.6 and np.allclose(offsets.mean(0), 0, atol=1e-9)


@pytest.mark.parametrize('curvature', [0.0, 1 / 40, -1 / 12])
def test_a_street_piece_finds_the_points_it_was_asked_for(curvature):
    piece = Piece(3.0, -2.0, 0.7, curvature, 18.0, 0.0, 4.0, 2.0, 'street', 'city', 1, (True, True))
    s, d = np.array([0.5, 4.0, 17.0, 9.0]), np.array([-3.0, 0.0, 5.0, 2.5])
    x, y, heading = piece.at(s, d)
    assert np.allclose(np.stack(piece.locate(x, y)), np.stack([s, d]), atol=1e-6)
    ahead = np.stack(piece.at(s + 1e-5, d)[:2]) - np.stack((x, y))
    assert np.allclose(np.arctan2(ahead[1], ahead[0]), heading, atol=1e-4)


def test_textures_fade_with_the_pixels_footprint_and_repeat():
    rng = np.random.default_rng(0)
    u, v = (torch.from_numpy(rng.uniform(-3, 3, 4000).astype(np.float32)) for _ in range(2))
    for number in range(len(MATERIALS)):
        material = torch.full_like(u, number)
        pixels = [torch.full_like(u, 2.0 ** level / SIZE) for level in range(LEVELS)]
        spread = [float(look_up(u, v, material, pixel).std()) for pixel in pixels]
        assert all(a >= b - 1e-3 for a, b in zip(spread, spread[1:])) and spread[0] > 0.01 and spread[-1] < 1e-6
        fine = torch.full_like(u, 1 / SIZE)
        assert torch.allclose(look_up(u, v, material, fine), look_up(u + 1, v - 2, material, fine), atol=2e-3)

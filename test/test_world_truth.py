"""The world's truth, held against closed forms and against the pictures themselves."""
from dataclasses import replace

import cv2
import numpy as np
import pytest

from semdepth_ros.classes import TRAIN_ID, UNLABELLED
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.world import Drive
from semdepth_ros.world.ego import STEP_S
from semdepth_ros.world.primitives import AXES, BOX, CENTRE, CROWN, CYLINDER, HALF, KIND, placed
from semdepth_ros.world.structures import bridge

WIDE = Camera.from_field_of_view(640, 192, 81, height_m=1.65)
SMALL = Camera.from_field_of_view(160, 48, 81, height_m=1.65)


def reprojected(camera, here, there, stretch=1.0):
    """Return frame `there` warped into `here` by true depth (times stretch) and motion, and where both see the same."""
    known = np.isfinite(here.depth)
    z = np.where(known, here.depth, 1.0).astype(float)[..., None]
    points = camera.rays() * z * stretch @ here.pose[:3, :3].T + here.pose[:3, 3]
    for number, motion in here.motions.items():
        own = here.instances == number
        points[own] = points[own] @ motion[:3, :3].T + motion[:3, 3]
    seen = (points - there.pose[:3, 3]) @ there.pose[:3, :3]
    pixels = camera.project(seen.reshape(-1, 3)).reshape(*known.shape, 2).astype(np.float32)
    u, v = pixels[..., 0], pixels[..., 1]
    warped = cv2.remap(there.image.astype(np.float32), u, v, cv2.INTER_LINEAR)
    depth = cv2.remap(np.where(np.isfinite(there.depth), there.depth, 1e4), u, v, cv2.INTER_NEAREST)
    inside = (u > 1) & (u < camera.width - 2) & (v > 1) & (v < camera.height - 2) & known
    return warped, inside & (np.abs(depth / seen[..., 2] - 1) < 0.02)


def error(frame, warped):
    """Return the mean absolute difference in grey levels of every pixel."""
    return np.abs(frame.image - warped).mean(-1)


@pytest.fixture(scope='module')
def pairs():
    """Frame t and t + 1 of two day drives."""
    return [tuple(Drive('day', seed, 80, WIDE).render([t, t + 1])) for seed, t in ((50, 60), (52, 15))]


def test_true_depth_and_motion_reproduce_the_picture_and_a_wrong_depth_does_not(pairs):
    for here, there in pairs:
        warped, visible = reprojected(WIDE, here, there)
        right, wrong = error(here, warped)[visible], error(here, reprojected(WIDE, here, there, 1.1)[0])[visible]
        assert visible.mean() > 0.6
        assert np.median(right) < 2 and np.percentile(right, 90) < 12 and np.percentile(right, 95) < 20
        assert wrong.mean() > 1.4 * right.mean() and np.percentile(wrong, 90) > 1.4 * np.percentile(right, 90)


def test_moving_objects_are_reproduced_only_with_their_own_motion(pairs):
    with_motion, without = [], []
    for here, there in pairs:
        moving = np.isin(here.instances, [n for n, m in here.motions.items() if not np.allclose(m, np.eye(4))])
        warped, visible = reprojected(WIDE, here, there)
        still, _ = reprojected(WIDE, replace(here, motions={}), there)
        with_motion.append(error(here, warped)[moving & visible])
        without.append(error(here, still)[moving & visible])
    with_motion, without = np.concatenate(with_motion), np.concatenate(without)
    assert len(with_motion) > 1000
    assert np.median(with_motion) < 2 and without.mean() > 2 * with_motion.mean()


def test_depth_on_a_flat_road_is_that_of_a_plane_below_the_camera():
    drive = Drive('day', 3, 40, SMALL)
    drive.scene.relief.amplitude[:] = 0.0
    frame = drive[30]
    road = frame.labels == TRAIN_ID['road']
    down = SMALL.rays() @ frame.camera_in_base[:3, :3].T[:, 2]
    plane = 1.65 / -down
    assert road.sum() > 500
    assert np.abs(frame.depth[road] / plane[road] - 1).max() < 1e-4


def test_depth_on_hills_lies_on_the_height_field_or_a_kerb_above_it():
    drive = Drive('other_town', 2, 60, SMALL)
    frame, camera = drive[50], drive.scene.plan.pose(5.0) @ drive.camera_in_base
    z = np.where(np.isfinite(frame.depth), frame.depth, 0)[..., None]
    points = SMALL.rays() * z @ camera[:3, :3].T + camera[:3, 3]
    for name, lift in (('road', 0.0), ('terrain', drive.scene.town.kerb_m)):
        ground = frame.labels == TRAIN_ID[name]
        x, y, z = points[ground].astype(float).T
        assert np.abs(z - lift - drive.scene.relief.height(x, y)).max() < 0.02
    assert drive.scene.relief.amplitude.max() > 0.5


def test_odometry_is_of_the_rear_axle_and_the_camera_rides_ahead_of_it():
    drive = Drive('day', 3, 60, SMALL, pitch_deg=4.0)
    mount = drive.camera_in_base
    assert np.allclose(mount[:3, 3], (1.7, 0, 1.65))
    assert np.allclose(mount[:3, 2], (np.cos(np.radians(4)), 0, -np.sin(np.radians(4))))
    first, later = drive.render([0, 50])
    for frame in (first, later):
        assert np.allclose(frame.pose, frame.odometry_pose @ frame.camera_in_base, atol=1e-12)
        assert np.allclose(frame.pose[:3, :3] @ frame.pose[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.allclose(first.odometry_pose[:2, 3], 0, atol=1e-9)


def test_odometry_twist_is_the_derivative_of_its_pose():
    drive = Drive('day', 6, 400, SMALL, rate_hz=20)
    poses = [drive.pose(i) @ np.linalg.inv(drive.camera_in_base) for i in range(400)]
    turning = max(range(2, 398), key=lambda i: abs((poses[i - 1][:3, :3].T @ poses[i + 1][:3, :3])[1, 0]))
    for i in (5, turning):
        speed, yaw_rate = drive[i].odometry_twist
        step = np.linalg.inv(poses[i - 1]) @ poses[i + 1]
        assert np.linalg.norm(step[:3, 3]) * 10 == pytest.approx(speed, abs=0.1)
        assert np.arctan2(step[1, 0], step[0, 0]) * 10 == pytest.approx(yaw_rate, abs=0.02)


def test_the_ego_car_drives_within_its_limits_and_stops_at_times():
    stops = 0
    for seed in range(4):
        plan = Drive('day', seed, 900, SMALL).scene.plan
        assert 0 <= plan.v.min() and plan.v.max() < 14 and 3 < plan.v.mean() < 11
        assert np.diff(plan.v).max() < 2 * STEP_S and np.diff(plan.v).min() > -0.45     # the last of braking is a jerk
        assert (plan.lead_s - plan.s).min() >= 8
        stops += len(plan.stops)
    assert stops >= 2


def drives_through_nothing(drive, frames):
    """Fail where a corner of a grid inside the own car lies inside anything."""
    steps = np.stack(np.meshgrid(np.linspace(-0.9, 3.6, 10), np.linspace(-0.85, 0.85, 5), np.linspace(0.4, 1.5, 4)), -1)
    for i in frames:
        moment = drive.scene.at(i / 10, drive.camera_in_base, 1e5)
        points = steps.reshape(-1, 3) @ moment.base[:3, :3].T + moment.base[:3, 3]
        size = np.linalg.norm(moment.rows[:, HALF], axis=1)
        rows = moment.rows[np.linalg.norm(moment.rows[:, CENTRE] - moment.base[:3, 3], axis=1) < size + 5]
        inside = np.einsum('nji,nkj->nki', rows[:, AXES].reshape(-1, 3, 3), points - rows[:, None, CENTRE])
        inside /= rows[:, None, HALF]
        flat = rows[:, KIND] == CYLINDER
        radius = np.where(flat[:, None], np.hypot(inside[..., 0], inside[..., 1]), np.linalg.norm(inside, axis=2))
        box = (np.abs(inside) < 1).all(2)
        hit = np.where((rows[:, KIND] == BOX)[:, None], box, (radius < 1) & (np.abs(inside[..., 2]) < 1))
        assert not hit.any(), i


@pytest.mark.parametrize('preset, seed, split', [('day', 8, 'test'), ('other_town', 8, 'test'), ('day', 2, 'train'),
                                                 ('day', 1, 'train'), ('day', 7, 'train')])
def test_the_ego_car_drives_through_nothing_in_towns_boulevards_and_the_country(preset, seed, split):
    drives_through_nothing(Drive(preset, seed, 400, SMALL, split=split), range(0, 400, 10))


@pytest.mark.parametrize('model, distortion', [('plumb_bob', (-0.28, 0.07, 0.0, 0.0, 0.0)),
                                               ('equidistant', (-0.02, 0.01, 0.0, 0.0))])
def test_a_distorted_camera_sees_what_its_rectified_twin_sees_elsewhere(model, distortion):
    lens = Camera(160, 96, 90.0, 90.0, 79.5, 47.5, model, distortion, 1.65)
    bent, straight = (Drive('day', 3, 40, camera)[30] for camera in (lens, lens.rectified()))
    x, y = lens.rectification()
    inside = (x > 1) & (x < 158) & (y > 1) & (y < 94)
    labels = cv2.remap(bent.labels, x, y, cv2.INTER_NEAREST)
    depth = cv2.remap(bent.depth, x, y, cv2.INTER_NEAREST)
    same = np.isfinite(straight.depth) & inside
    assert np.mean(labels[inside] == straight.labels[inside]) > 0.94      # leaves are as fine as pixels
    assert np.median(np.abs(depth[same] / straight.depth[same] - 1)) < 0.01
    assert np.mean(bent.labels == straight.labels) < 0.93        # or the test would show nothing


def test_a_finer_camera_sees_the_same_metres():
    coarse, fine = (Drive('day', 3, 40, camera)[30] for camera in (SMALL, SMALL.scaled(480, 144)))
    same = (fine.labels[1::3, 1::3] == coarse.labels) & np.isclose(fine.depth[1::3, 1::3], coarse.depth, rtol=2e-3)
    assert same.mean() > 0.999      # a ray that grazes a leaf's edge may pass


def test_rays_see_through_the_holes_of_a_crown_what_is_there_without_it():
    camera = Camera.from_field_of_view(320, 128, 81, height_m=1.65)
    drive, bare = (Drive('day', 21, 40, camera, split='train') for _ in range(2))
    at = bare.scene.at
    bare.scene.at = lambda *a: replace(at(*a), rows=at(*a).rows[at(*a).rows[:, KIND] != CROWN])
    full, without = drive.render([30])[0], bare.render([30])[0]
    moment = drive.scene.at(3.0, drive.camera_in_base, 1e4)
    crowns = moment.rows[moment.rows[:, KIND] == CROWN]
    rays = camera.rays().reshape(-1, 3) @ moment.camera[:3, :3].T
    inside = np.zeros(len(rays), bool)      # rays that pass through some crown's ellipsoid
    on_skin = np.zeros(len(rays), bool)     # and those whose point lies on one's surface
    points = rays * np.where(np.isfinite(full.depth), full.depth, 0).reshape(-1, 1) + moment.camera[:3, 3]
    for row in crowns:
        axes = row[AXES].reshape(3, 3) / row[HALF]
        o, d = (moment.camera[:3, 3] - row[CENTRE]) @ axes, rays @ axes
        b, c = (d @ o), o @ o - 1
        inside |= (b < 0) & (b * b > (d * d).sum(1) * c)
        on_skin |= np.abs((((points - row[CENTRE]) @ axes) ** 2).sum(1) - 1) < 0.02
    changed = (full.depth != without.depth).reshape(-1)
    assert changed.sum() > 500 and on_skin[changed].all()
    seen_through = inside & ~changed & (full.depth > 1).reshape(-1)
    hidden = (full.depth < without.depth).reshape(-1)
    assert hidden[changed].all() and (full.labels.reshape(-1)[changed] == TRAIN_ID['vegetation']).all()
    assert 0.02 < seen_through.sum() / inside.sum() < 0.98


def test_a_bridge_above_the_road_has_its_depth_and_leaves_the_road_below_alone():
    drive = Drive('day', 3, 40, WIDE, split='train')
    drive.scene.relief.amplitude[:] = 0.0
    open_road = drive[0]
    edge, at = 8.0, drive.scene.at
    deck = np.eye(4)
    deck[:3, 3] = 30.0, 0.0, 0.0        # ahead of base_link, across the road

    def with_bridge(*arguments):
        moment = at(*arguments)
        parts = bridge(np.random.default_rng(1), edge, 6.0)
        return replace(moment, rows=np.concatenate([moment.rows, placed(parts.table(), moment.base @ deck)]))
    drive.scene.at = with_bridge
    frame = drive[0]
    changed = frame.depth != open_road.depth
    base = frame.camera_in_base[:3, :3] @ (WIDE.rays() * np.where(changed, frame.depth, 0)[..., None])[..., None]
    x, y, z = np.moveaxis(base[..., 0] + frame.camera_in_base[:3, 3], -1, 0)
    overhead = changed & (np.abs(y) < edge - 0.1)
    assert overhead.sum() > 300 and (frame.labels[changed] == TRAIN_ID['building']).all()
    assert z[overhead].min() > 3.8                                          # clear of the traffic below
    front = overhead & (z > 5) & (np.abs(x - 27.0) < 0.2)
    assert front.sum() > 100                                                # its near face, 3 m before its middle
    below = (open_road.labels == TRAIN_ID['road']) & (open_road.depth < 60) & ~changed
    assert np.array_equal(frame.depth[below], open_road.depth[below]) and below.sum() > 5000


def test_clutter_has_exact_depth_and_no_class_and_keeps_off_the_lane():
    plain, cluttered = (Drive('day', 8, 300, SMALL, split='train', clutter=clutter) for clutter in (False, True))
    frames = cluttered.render(range(0, 300, 30))
    assert sum((f.labels == UNLABELLED).any() for f in frames) >= 5
    for frame in frames:
        strange = frame.labels == UNLABELLED
        assert np.isfinite(frame.depth[strange]).all() and (frame.instances[strange] == 0).all()
    assert not any((f.labels == UNLABELLED).any() for f in plain.render(range(0, 300, 60)))
    drives_through_nothing(cluttered, range(0, 300, 10))


def test_the_own_bonnet_reaches_as_far_up_as_asked_and_moves_with_the_car():
    drive = Drive('day', 3, 40, WIDE, bonnet=0.12)
    here, there = drive.render([20, 21])
    own = here.labels == UNLABELLED
    assert np.nonzero(own.any(1))[0].min() == pytest.approx(192 * 0.88, abs=1.5) and own[-1].mean() > 0.3
    assert np.array_equal(own, there.labels == UNLABELLED) and 0.5 < here.depth[own].min() < 2.5
    number, = np.unique(here.instances[own])
    expected = there.odometry_pose @ np.linalg.inv(here.odometry_pose)
    assert np.allclose(here.motions[number], expected, atol=1e-9)

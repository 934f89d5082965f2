"""The scale from known distances: a tape measure's, or odometry's."""
from dataclasses import replace

import numpy as np
import pytest
from adaptation_world import CAMERA, STEP_M, view
from bridge_messages import Fields

from semdepth_ros.adaptation.driven_points import DrivenPoints
from semdepth_ros.adaptation.odometry_calibration import points_by_odometry, triangulated
from semdepth_ros.adaptation.tracks import Tracks
from semdepth_ros.data.sample import Sample
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Perception, Scale
from semdepth_ros.recordings.measured_points import flat_targets, measured_points
from semdepth_ros.scale.measured import measured_scale
from semdepth_ros.scale.standing import FlatTarget, MeasuredPoints


def test_one_measurement_gives_a_scale_that_is_not_believed_much():
    found = measured_scale([2.0], [3.0])
    assert found.scale == pytest.approx(1.5) and 0.15 < found.sigma < 0.25 and not found.doubt and found.bend == 0
    assert [(r.from_m, r.points) for r in found.residuals] == [(3.0, 1)]


def test_many_give_their_median_and_a_bias_stays():
    rng = np.random.default_rng(1)
    true = rng.uniform(3, 30, 400)
    perceived = true / 1.4 * np.exp(rng.normal(0, 0.1, 400))
    perceived[:40] *= 5                                                    # somebody measured the wrong thing
    found = measured_scale(perceived, true)
    assert found.scale == pytest.approx(1.4, rel=0.03) and 0.05 <= found.sigma < 0.06 and not found.doubt
    few = measured_scale(perceived[40:46], true[40:46])
    assert few.sigma > found.sigma
    groups = np.arange(400) // 100                                         # four frames that err alike are four
    assert measured_scale(perceived, true, groups).sigma > found.sigma


def test_bent_depth_is_said_to_be_beyond_a_scale_s_help():
    true = np.linspace(3, 40, 60)
    found = measured_scale(true ** 0.7, true)
    assert found.bend == pytest.approx(1 / 0.7 - 1, abs=0.02) and 'no scale mends that' in found.doubt
    near, far = found.residuals[0], found.residuals[-1]
    assert near.error > 0.2 and far.error < -0.05 and f'{100 * near.error:+.0f} %' in found.doubt
    assert not measured_scale(true ** 0.95, true).doubt


def test_measurements_that_contradict_each_other_are_named():
    assert 'contradict each other' in measured_scale([4, 4, 4.0], [2, 4, 9.0]).doubt


@pytest.mark.parametrize('perceived, true, words', [([], [], 'at least one'), ([1.0], [1.0, 2.0], '1 perceived and 2 true'),
                                                    ([0.0], [1.0], 'perceived distance is 0.0'),
                                                    ([1.0], [float('inf')], 'true distance is inf')])
def test_what_cannot_be_is_refused(perceived, true, words):
    with pytest.raises(ValueError, match=words):
        measured_scale(perceived, true)


def test_points_are_triangulated_exactly_and_left_out_where_they_say_nothing():
    rng = np.random.default_rng(2)
    points = np.stack([rng.uniform(-4, 4, 50), rng.uniform(-1, 1.5, 50), rng.uniform(3, 12, 50)], axis=1)
    motion = np.eye(4)
    motion[:3, 3] = -0.8, 0.02, -0.3
    matrix = CAMERA.matrix

    def pixels(p):
        return (p @ matrix.T)[:, :2] / p[:, 2:]
    second = points @ motion[:3, :3].T + motion[:3, 3]
    depth = triangulated(Tracks(pixels(points), pixels(second), 50), motion, matrix)
    seen = np.isfinite(depth)
    assert seen.sum() > 30
    np.testing.assert_allclose(depth[seen], points[seen, 2], rtol=1e-9)
    off = triangulated(Tracks(pixels(points), pixels(second) + [0, 9], 50), motion, matrix)
    assert np.isnan(off).mean() > 0.9
    assert np.isnan(triangulated(Tracks(pixels(points), pixels(points), 50), motion, matrix)).all()      # no parallax


class Drive:
    """A drive down the corridor with poses."""

    name, camera = 'corridor', CAMERA

    def __init__(self, frames=12, known=True):
        self.poses = []
        for n in range(frames):
            pose = np.eye(4)
            pose[2, 3] = n * STEP_M
            self.poses.append(pose if known else None)

    def __len__(self):
        return len(self.poses)

    def __getitem__(self, n):
        image, depth, labels = view(n * STEP_M)
        return Sample(f'{n}', image, CAMERA, n * 10 ** 8, depth=depth, labels=labels, pose=self.poses[n])


def test_a_short_drive_with_odometry_says_the_scale():
    def perceive(frame):
        image, depth, labels = view(frame.stamp_ns / 1e8 * STEP_M)
        return Fields(depth=depth / 1.6, labels=labels)
    points = points_by_odometry(perceive, Drive())
    found = measured_scale(points.perceived, points.true, points.frame)
    assert found.scale == pytest.approx(1.6, rel=0.05) and not found.doubt and len(np.unique(points.frame)) > 5
    with pytest.raises(ValueError, match='no two frames 1 to 4 m apart'):
        points_by_odometry(perceive, Drive(known=False))
    with pytest.raises(ValueError, match='no pair of frames has'):
        points_by_odometry(lambda frame: Fields(depth=np.full((64, 128), 3.0), labels=np.full((64, 128), 13, np.uint8)), Drive())
    aside = Drive()
    aside.poses = [np.block([[np.eye(3), np.array([[pose[2, 3]], [0], [0]])], [np.zeros((1, 3)), 1]]) for pose in aside.poses]
    with pytest.raises(ValueError, match='images and odometry contradict each other'):
        points_by_odometry(perceive, aside)


def seen(travelled_m, scale=1.0, camera=CAMERA):
    """Return the corridor as a network perceives it whose depth has to be multiplied by 1.6, at a size of its own."""
    _, depth, labels = view(travelled_m, camera)
    return Perception((depth / 1.6 * scale).astype(np.float32), depth, labels, labels, Scale(scale), 0, camera, 0, 'lens')


@pytest.mark.parametrize('layout', ['rgb', 'bgra', 'mono8', 'mono16'])
def test_a_drive_is_followed_frame_by_frame_at_the_size_of_what_is_perceived(layout):
    points, small = DrivenPoints(), CAMERA.scaled(128, 64)
    large = CAMERA.scaled(256, 128)
    for n in range(16):
        image = view(n * STEP_M, large)[0]
        grey = image.mean(axis=2)
        image = {'rgb': image, 'bgra': np.dstack([image[..., ::-1], image[..., 0]]), 'mono8': grey.astype(np.uint8)[..., None],
                 'mono16': (grey * 257).astype(np.uint16)}[layout]
        points.take(Frame(np.ascontiguousarray(image), layout, large, n), seen(n * STEP_M, 1.0 + 0.1 * n, small), Drive(16).poses[n])
    assert points.travelled_m == pytest.approx(15 * STEP_M) and points.pairs == 13
    found = measured_scale(points.points.perceived, points.points.true, points.points.frame)
    assert found.scale == pytest.approx(1.6, rel=0.05) and not found.doubt


def test_a_drive_that_says_nothing_says_why():
    stands, aside = DrivenPoints(), DrivenPoints()
    turned = np.eye(4)
    turned[:3, :3] = [[0.7, 0, 0.7], [0, 1, 0], [-0.7, 0, 0.7]]
    for n in range(9):
        frame = Frame(view(n * STEP_M)[0], 'rgb', CAMERA, n)
        stands.take(frame, seen(0.0), np.eye(4))
        aside.take(frame, seen(n * STEP_M), Drive(9).poses[n] @ turned)
    with pytest.raises(ValueError, match='no two frames 1 to 4 m apart that look the same way, in 0.0 m'):
        _ = stands.points
    with pytest.raises(ValueError, match='images and odometry contradict each other'):
        _ = aside.points


def test_pixels_are_those_of_the_image_as_it_came_though_what_is_perceived_is_rectified_and_smaller():
    lens = replace(CAMERA, distortion_model='plumb_bob', distortion=(-0.2, 0.03, 0.0, 0.0, 0.0))
    frame = Frame(np.zeros((64, 128, 3), np.uint8), 'rgb', lens, 0)
    perception = seen(0.0, 2.5, CAMERA.scaled(64, 32))
    _, depth, _ = view(0.0)
    tape = []
    for x, y in ((16.0, 50.0), (100.0, 20.0), (64.0, 60.0)):
        ray = np.append(lens.undistort([[x, y]])[0], 1.0)
        u, v = CAMERA.project(ray[None])[0]
        tape.append((x, y, float(depth[round(v), round(u)] * np.linalg.norm(ray))))
    points = MeasuredPoints(tape)
    with pytest.raises(ValueError, match='no image has come'):
        points.distances()
    points.take(frame, perception)
    assert measured_scale(*points.distances()).scale == pytest.approx(1.6, rel=0.05) and not points.done
    with pytest.raises(ValueError, match='no camera_info fits the images'):
        points.take(Frame(frame.image, 'rgb'), perception)
    target = FlatTarget(8.0, (0.0, 0.0, 200.0, 10.0))
    with pytest.raises(ValueError, match='the target at 0, 0 to 200, 10 is outside the image of 128x64'):
        target.take(frame, perception)
    sky = FlatTarget(8.0)
    with pytest.raises(ValueError, match='the target has no depth'):
        sky.take(frame, replace(perception, depth=np.full((32, 64), np.inf, np.float32)))


def test_points_measured_from_the_lens_are_compared_along_its_axis():
    def perceive(frame):
        return Fields(depth=view(0.0)[1] / 2, camera=CAMERA, scale=Scale())
    _, depth, _ = view(0.0)
    texts = []
    for x, y in ((64, 50), (20, 40), (100, 60)):
        ray = np.append(CAMERA.undistort([[x, y]])[0], 1)
        texts.append(f'0:{x}:{y}:{depth[y, x] * np.linalg.norm(ray):.6f}')
    perceived, true = measured_points(texts, Drive(1), perceive)
    assert measured_scale(perceived, true).scale == pytest.approx(2.0, rel=0.02)


@pytest.mark.parametrize('text, words', [('0:1:2', 'expected FRAME:X:Y:METRES'), ('7:1:2:3', 'frame 7 is not in'),
                                         ('0:900:2:3', 'outside the image of 128x64'), ('0:1:2:-3', 'distance is -3 m'),
                                         ('0:1:2:3', 'has no depth')])
def test_points_that_cannot_be_are_named(text, words):
    with pytest.raises(ValueError, match=words):
        measured_points([text], Drive(1), lambda frame: Fields(depth=np.full((64, 128), np.inf), camera=CAMERA, scale=Scale()))


def test_flat_targets_are_compared_along_the_axis():
    def perceive(frame):
        return Fields(depth=np.full((64, 128), 2.5), camera=CAMERA, scale=Scale())
    perceived, true = flat_targets(['0:40:20:80:40:5.2', '0:10:20:30:40:5'], Drive(1), perceive)
    assert (perceived, true) == ([2.5, 2.5], [5.2, 5.0])


@pytest.mark.parametrize('text, words', [
    ('0:1:2:3:4', 'expected FRAME:LEFT:TOP:RIGHT:BOTTOM:METRES'), ('7:1:2:3:4:5', 'frame 7 is not in'),
    ('0:9:2:3:4:5', 'left 9 to right 3, top 2 to bottom 4, expected rising numbers'), ('0:1:2:3:4:0', 'distance is 0 m'),
    ('0:1:2:900:4:5', 'frame 0: the target at 1, 2 to 900, 4 is outside'), ('0:1:2:30:40:5', 'does not look flat')])
def test_targets_that_cannot_be_are_named(text, words):
    slope = np.broadcast_to(np.linspace(1, 9, 128), (64, 128))
    with pytest.raises(ValueError, match=words):
        flat_targets([text], Drive(1), lambda frame: Fields(depth=slope, camera=CAMERA, scale=Scale()))

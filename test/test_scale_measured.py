"""The scale from known distances: a tape measure's, or odometry's."""
import numpy as np
import pytest
from adaptation_world import CAMERA, STEP_M, view
from bridge_messages import Fields

from semdepth_ros.adaptation.odometry_calibration import points_by_odometry, triangulated
from semdepth_ros.adaptation.tracks import Tracks
from semdepth_ros.data.sample import Sample
from semdepth_ros.recordings.measured_points import measured_points
from semdepth_ros.scale.measured import measured_scale


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


def test_points_measured_from_the_lens_are_compared_along_its_axis():
    def perceive(frame):
        return Fields(depth=view(0.0)[1] / 2)
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
        measured_points([text], Drive(1), lambda frame: Fields(depth=np.full((64, 128), np.inf)))

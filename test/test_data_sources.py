from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from semdepth_ros.data import Sample, open_data, rectified, relative_pose, with_camera
from semdepth_ros.data.poses import PoseTrack, interpolated
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.world import Drive, default_camera, noisy_labels

LENS = Camera(64, 48, 40.0, 40.0, 31.5, 23.5, 'plumb_bob', (-0.3, 0.1, 0.0, 0.0))


@dataclass
class Single:
    """A sequence of one sample."""

    sample: Sample
    name: str = 'single'

    @property
    def camera(self):
        return self.sample.camera

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return [self.sample][index]


def lens_sample():
    """Return a sample whose parts hold, at every pixel, the undistorted image coordinate x/z."""
    x = LENS.rays()[..., 0]
    image = np.repeat(np.clip(128 + 100 * x, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    labels = np.where(x > 0, 13, 0).astype(np.uint8)
    return Sample('a', image, LENS, depth=(x + 10).astype(np.float32), labels=labels, noisy_labels=labels,
                  noisy_confidence=np.full_like(labels, 200))


def test_a_rectified_pixel_shows_what_lies_in_its_pinhole_direction():
    sample = rectified(Single(lens_sample()))[0]
    assert sample.camera == LENS.rectified()
    expected = sample.camera.rays()[..., 0]
    inside = np.isfinite(sample.depth)
    assert inside.mean() > 0.8
    np.testing.assert_allclose(sample.depth[inside] - 10, expected[inside], atol=0.9 / 40)
    np.testing.assert_allclose(sample.image[inside][:, 0], 128 + 100 * expected[inside], atol=2)
    assert set(np.unique(sample.labels[inside])) == {0, 13}


def test_beyond_the_old_image_there_is_no_truth():
    lens = Camera(64, 48, 40.0, 40.0, 31.5, 23.5, 'plumb_bob', (0.3, 0.1, 0.0, 0.0))
    plane = np.zeros((48, 64), dtype=np.uint8)
    sample = Sample('a', np.full((48, 64, 3), 7, np.uint8), lens, depth=np.ones((48, 64), np.float32), labels=plane,
                    noisy_labels=plane, noisy_confidence=plane + 9)
    sample = rectified(Single(sample))[0]
    assert np.isnan(sample.depth[0, 0]) and sample.labels[0, 0] == sample.noisy_labels[0, 0] == 255
    assert sample.noisy_confidence[0, 0] == 0 and (sample.image == 7).all()


def test_a_sequence_without_distortion_is_left_alone():
    single = Single(Sample('a', np.zeros((48, 64, 3), np.uint8), LENS.rectified()))
    assert rectified(single) is single
    unknown = Single(Sample('a', np.zeros((48, 64, 3), np.uint8)))
    assert rectified(unknown) is unknown


def test_a_calibration_replaces_that_of_the_source_and_must_fit_it():
    single = Single(Sample('a', np.zeros((48, 64, 3), np.uint8)))
    assert with_camera(single, LENS)[0].camera == LENS
    with pytest.raises(ValueError, match='64x48.*32x24'):
        with_camera(single, LENS.scaled(32, 24))[0]


def test_the_relative_pose_takes_points_of_the_second_camera_to_the_first():
    first, second = np.eye(4), np.eye(4)
    first[:3, :3] = cv2.Rodrigues(np.array([0.1, 0.4, 0]))[0]
    first[:3, 3], second[:3, 3] = (1, 2, 3), (4, -1, 7)
    image = np.zeros((1, 1, 3), np.uint8)
    motion = relative_pose(Sample('a', image, pose=first), Sample('b', image, pose=second))
    point = np.array([0.3, 0.2, 5, 1])
    np.testing.assert_allclose(first @ motion @ point, second @ point, atol=1e-12)
    assert np.linalg.norm(motion[:3, 3]) == pytest.approx(np.sqrt(9 + 9 + 16))
    assert relative_pose(Sample('a', image, pose=first), Sample('b', image)) is None


def test_half_way_is_half_the_turn_and_half_the_distance():
    second = np.eye(4)
    second[:3, :3], second[:3, 3] = cv2.Rodrigues(np.array([0, 0, 0.8]))[0], (2, 0, 4)
    half = interpolated(np.eye(4), second, 0.5)
    np.testing.assert_allclose(half[:3, :3], cv2.Rodrigues(np.array([0, 0, 0.4]))[0], atol=1e-12)
    np.testing.assert_allclose(half[:3, 3], [1, 0, 2])


def test_a_track_knows_nothing_before_its_start_after_its_end_and_in_long_gaps():
    track = PoseTrack([1_000_000_000, 0, 100_000_000], [3 * np.eye(4), np.eye(4), 2 * np.eye(4)])
    assert track.at(-1) is None and track.at(1_000_000_001) is None and track.at(600_000_000) is None
    np.testing.assert_array_equal(track.at(100_000_000), 2 * np.eye(4))
    assert track.at(50_000_000) is not None


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """A video of one frame."""
    path = tmp_path_factory.mktemp('video') / 'clip.mp4'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 25.0, (64, 48))
    writer.write(np.zeros((48, 64, 3), dtype=np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize('spec', ['world:', 'world:day:seven', 'world:day:1:2:3'])
def test_worlds_are_named_by_preset_seed_and_frames(spec):
    with pytest.raises(ValueError, match='world:PRESET'):
        open_data(spec)


def test_options_that_no_reader_knows_are_named(video):
    with pytest.raises(ValueError, match="no option 'parst'"):
        open_data(str(video), parst=['depth'])


def test_a_world_is_a_sequence_with_truth_and_wanted_noise():
    rates = {'flip_rate': 0.5, 'border_rate': 0.5}
    sequence, = open_data('world:fog:7:5', split='train', label_noise=rates, size=[64, 24], rays=1)
    rendered = Drive('fog', 7, 5, default_camera('fog', (64, 24)), split='train', rays=1)[3]
    noisy, confidence = noisy_labels(rendered, sequence.camera, seed=7, **rates)
    assert (sequence.name, len(sequence), sequence.camera.width) == ('world_fog_7', 5, 64)
    sample = sequence[3]
    for found, expected in ((sample.image, rendered.image), (sample.depth, rendered.depth), (sample.labels, rendered.labels),
                            (sample.noisy_labels, noisy), (sample.noisy_confidence, confidence)):
        np.testing.assert_array_equal(found, expected)
    assert 0.2 < np.mean(sample.noisy_labels != sample.labels) < 0.8
    assert [s.name for s in sequence.read([1, 3])] == ['000001', '000003']
    with pytest.raises(IndexError):
        sequence[5]
    assert open_data('world:fog', camera=LENS)[0].camera == LENS


def test_a_world_knows_stamps_and_poses_of_frames_it_has_not_rendered():
    sequence, = open_data('world:day:1:3', camera=Camera(16, 12, 12.0, 12.0, 7.5, 5.5))
    assert sequence.stamps_ns == [0, 10 ** 8, 2 * 10 ** 8]
    np.testing.assert_allclose(sequence.poses[2], sequence[2].pose)

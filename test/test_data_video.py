"""Videos: every frame is the one that was asked for, at the time that the recording says."""
import pickle
import random

import cv2
import numpy as np
import pytest

from semdepth_ros.data import VideoSequence, open_data
from semdepth_ros.data.camera_file import camera_to_dict
from semdepth_ros.data.video_decoder import LEAD, MARGINS, VideoDecoder, presentation_times
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.training.recipe import DataEntry
from semdepth_ros.training.triplets import triplet_source

LENS = Camera(64, 48, 40.0, 40.0, 31.5, 23.5, 'plumb_bob', (-0.3, 0.1, 0.0, 0.0))


def write_video(path, frames, codec='mp4v', rate=25.0):
    """Write frames of which number i has the brightness 20 i (modulo 256)."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, (64, 48))
    assert writer.isOpened()
    for i in range(frames):
        writer.write(np.full((48, 64, 3), 20 * i % 256, dtype=np.uint8))
    writer.release()
    return path


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp('video') / 'clip.mp4', 10)


CASES = {'late.mp4': [0, 33, 66, 100, 133, 166, 2000, 2033, 2066, 2100],
         'vfr.mp4': [0, 33, 66, 100, 600, 1100, 1600, 1633, 1666, 1700],
         'vfr.mkv': [0, 33, 66, 100, 600, 1100, 1600, 1633, 1666, 1700]}


@pytest.mark.parametrize('name', CASES)
def test_frames_have_the_times_of_the_recording_and_come_in_any_order(shared_data, name):
    sequence, = open_data(str(shared_data / 'cases' / name))
    assert sequence.stamps_ns == [ms * 1_000_000 for ms in CASES[name]]
    for index in (0, 5, 9, 2, 7, 7, 1):
        sample = sequence[index]
        assert sample.stamp_ns == CASES[name][index] * 1_000_000
        if name == 'late.mp4':
            assert abs(float(sample.image[:, 180:, 0].mean()) - 20 * index) < 6


def test_no_triplet_reaches_across_a_gap_in_a_video(shared_data):
    camera = Camera(320, 96, 187, 187, 159, 47)
    sequence, = open_data(str(shared_data / 'cases' / 'late.mp4'), camera=camera)
    assert triplet_source(DataEntry('a', cache='none'), [sequence]).targets[:, 1].tolist() == [1, 2, 3, 4, 7, 8]


def test_a_video_is_read_in_any_order_and_in_other_processes(video):
    sequence = VideoSequence(video)
    assert (len(sequence), sequence.rate_hz, sequence.name, sequence.camera) == (10, 25.0, 'clip', None)
    for index in (0, 1, 7, 3, 4, 9):
        sample = pickle.loads(pickle.dumps(sequence))[index] if index == 3 else sequence[index]
        assert abs(float(sample.image.mean()) - 20 * index) < 6
        assert sample.stamp_ns == index * 40_000_000
    with pytest.raises(IndexError):
        sequence[10]


@pytest.mark.parametrize('name, codec', [
    ('out_of_order.mkv', 'MPG2'), ('a_key_frame_a_dozen.mp4', 'mp4v'), ('key_frames.mkv', 'MJPG'),
    ('no_times.avi', 'MJPG')])
def test_random_access_gives_bit_for_bit_what_reading_in_order_gives(tmp_path, name, codec):
    frames = MARGINS[0] + 3 * LEAD + 100
    sequence = VideoSequence(write_video(tmp_path / name, frames, codec))
    assert len(sequence) == frames and sequence.rate_hz == pytest.approx(25)
    in_order = [sequence[i].image for i in range(frames)]
    draw = random.Random(0)
    for index in [draw.randrange(frames) for _ in range(40)]:
        np.testing.assert_array_equal(sequence[index].image, in_order[index])


def test_a_seek_that_comes_out_too_late_goes_farther_back(tmp_path, monkeypatch):
    path, decoders = write_video(tmp_path / 'a.mp4', MARGINS[1] + 100), []
    times = presentation_times(path)

    class Late:
        """A capture whose seeks end a hundred frames late."""

        def __init__(self, path):
            self._inner = cv2.VideoCapture(str(path))
            decoders.append(self)

        def set(self, key, value):
            self._inner.set(key, value + 100 * 40)

        def __getattr__(self, name):
            return getattr(self._inner, name)

    monkeypatch.setattr('semdepth_ros.data.video_decoder.opened', Late)
    decoder = VideoDecoder(path, times)
    for index in (MARGINS[1] + 60, MARGINS[0] + 20, 3):
        assert abs(float(decoder.read(index).mean()) - 20 * index % 256) < 8


def test_a_single_frame_is_a_video(tmp_path):
    sequence = VideoSequence(write_video(tmp_path / 'one.mp4', 1))
    assert (len(sequence), sequence.stamps_ns, sequence.rate_hz) == (1, [0], None)
    assert sequence[0].image.shape == (48, 64, 3)


def test_a_relative_name_with_colons_opens(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / 'a.mp4', 3).rename(tmp_path / '2024-05-01T08:15:00.mp4')
    assert len(open_data('2024-05-01T08:15:00.mp4')[0]) == 3


def test_a_video_that_was_cut_off_has_the_frames_that_can_be_decoded(tmp_path):
    data = write_video(tmp_path / 'a.mkv', 60, 'MJPG').read_bytes()
    (tmp_path / 'cut.mkv').write_bytes(data[:len(data) // 2])
    sequence = VideoSequence(tmp_path / 'cut.mkv')
    assert 20 <= len(sequence) <= 40
    assert abs(float(sequence[len(sequence) - 1].image.mean()) - 20 * (len(sequence) - 1) % 256) < 8


def test_a_container_without_times_is_said_to_have_a_rate(tmp_path, caplog, monkeypatch):
    path = write_video(tmp_path / 'a.mp4', 5)
    monkeypatch.setattr('semdepth_ros.data.video.presentation_times', lambda path: [40.0, 80.0, 0.0, 0.0, 0.0])
    sequence = VideoSequence(path)
    assert sequence.stamps_ns == [i * 40_000_000 for i in range(5)] and 'taken to be 25 a second' in caplog.text
    assert [round(float(sequence[i].image.mean()) / 20) for i in (3, 1, 4)] == [3, 1, 4]


def test_a_video_takes_its_calibration_from_a_file(video, tmp_path):
    (tmp_path / 'camera.json').write_text(str(camera_to_dict(LENS)).replace("'", '"'))
    assert open_data(str(video), camera=tmp_path / 'camera.json')[0][0].camera == LENS
    assert open_data(str(video), camera=LENS)[0].stamps_ns == open_data(str(video))[0].stamps_ns
    with pytest.raises(ValueError, match='64x48.*32x24'):
        open_data(str(video), camera=LENS.scaled(32, 24))


def test_a_file_that_is_no_video_is_refused(tmp_path):
    (tmp_path / 'a.mp4').write_bytes(b'no video')
    with pytest.raises(ValueError, match='cannot be opened as a video'):
        open_data(str(tmp_path / 'a.mp4'))

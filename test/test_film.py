"""The film of a drive: every frame in it, playable, and there only when it is whole."""
import cv2
import numpy as np
import pytest

from plane_world import Corridor
from semdepth_ros.evaluation import film as film_module
from semdepth_ros.evaluation.film import Film, write_preview
from semdepth_ros.frame_perception import Perception, Scale


def seen(sample, camera=True):
    labels = np.full_like(sample.labels, 200)
    return Perception(sample.depth, sample.depth, sample.labels, labels, Scale(), 0, sample.camera if camera else None, 0, '')


@pytest.mark.parametrize('camera', [True, False])
def test_every_frame_is_in_the_film_at_its_rate(tmp_path, camera):
    samples = [Corridor()[i] for i in range(5)]
    with Film(tmp_path / 'film.mp4', 12.5) as film:
        pictures = [film.add(s, seen(s, camera)) for s in samples]
    capture, frames = cv2.VideoCapture(str(tmp_path / 'film.mp4')), []
    assert capture.get(cv2.CAP_PROP_FPS) == 12.5
    while (frame := capture.read()[1]) is not None:
        frames.append(frame[..., ::-1])
    assert len(frames) == 5 and list(tmp_path.iterdir()) == [tmp_path / 'film.mp4']
    height, width = frames[0].shape[:2]
    difference = np.abs(frames[0].astype(int) - pictures[0][:height, :width])
    assert difference.mean() < 8


def test_a_film_that_fails_is_not_there(tmp_path):
    with pytest.raises(ZeroDivisionError), Film(tmp_path / 'film.mp4', 10) as film:
        film.add(Corridor()[0], seen(Corridor()[0]))
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_without_an_encoder_the_error_names_those_tried(tmp_path, monkeypatch):
    monkeypatch.setattr(film_module, 'CODECS', ('zzzz',))
    with pytest.raises(OSError, match='OpenCV has no encoder for zzzz'), Film(tmp_path / 'film.mp4', 10) as film:
        film.add(Corridor()[0], seen(Corridor()[0]))


def test_the_preview_stacks_its_pictures(tmp_path):
    write_preview(tmp_path / 'preview.png', [np.full((4, 6, 3), 10, np.uint8), np.full((2, 6, 3), 90, np.uint8)])
    picture = cv2.imread(str(tmp_path / 'preview.png'))
    assert picture.shape == (6, 6, 3) and (picture[0, 0, 0], picture[-1, 0, 0]) == (10, 90)

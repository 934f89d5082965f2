"""Drives get the labels of a model, in copies that are whole or absent."""
from __future__ import annotations

import re

import numpy as np
import pytest
from plane_world import CAMERA, Corridor
from tiny_model import write_models

from semdepth_ros.cli.main import main
from semdepth_ros.data import FolderSequence, write_folder_sequence
from semdepth_ros.data.labelled_copy import write_labelled_copy
from semdepth_ros.frame import Frame
from semdepth_ros.perception import Perceptor


@pytest.fixture
def drives(tmp_path):
    for name, frames in (('one', 3), ('two', 2)):
        write_folder_sequence(tmp_path / 'drives' / name, Corridor(frames), CAMERA)
    return tmp_path / 'drives'


def test_copies_have_all_that_was_there_and_the_models_labels(drives, tmp_path, capsys):
    model, out = write_models(tmp_path, 1)[0], tmp_path / 'labelled'
    assert main(['label', str(drives), '--model', str(model), '--out', str(out), '--device', 'cpu']) == 0
    perceptor, right, pixels = Perceptor.from_file(model, device='cpu'), 0, 0
    for name in ('one', 'two'):
        given, copy = FolderSequence(drives / name), FolderSequence(out / name)
        assert len(copy) == len(given) and np.array_equal(copy.poses[1], given.poses[1])
        for index in range(len(given)):
            sample, labelled = given[index], copy[index]
            seen = perceptor.perceive(Frame(sample.image, 'rgb', sample.camera, sample.stamp_ns))
            for part in ('image', 'depth', 'labels'):
                assert np.array_equal(getattr(labelled, part), getattr(sample, part), equal_nan=part == 'depth')
            assert np.array_equal(labelled.noisy_labels, seen.labels)
            assert np.array_equal(labelled.noisy_confidence, seen.confidence)
            right, pixels = right + (seen.labels == sample.labels).sum(), pixels + sample.labels.size
        assert given[0].noisy_labels is None
    said = float(re.search(r'([\d.]+) of the labels are right', capsys.readouterr().out)[1])
    assert said == pytest.approx(right / pixels, abs=6e-4)


def test_noisy_labels_that_were_there_are_replaced(drives, tmp_path):
    blank = np.zeros((CAMERA.height, CAMERA.width), np.uint8)
    names = [FolderSequence(drives / 'two')[i].name for i in range(2)]
    write_labelled_copy(drives / 'two', tmp_path / 'a', [(name, blank, blank) for name in names])
    assert write_labelled_copy(tmp_path / 'a', tmp_path / 'b', [(names[0], blank + 2, blank + 9)]) == 1
    again = FolderSequence(tmp_path / 'b')
    assert (again[0].noisy_labels == 2).all() and (again[0].noisy_confidence == 9).all()
    assert again[1].noisy_labels is None and (FolderSequence(tmp_path / 'a')[1].noisy_labels == 0).all()


def test_what_breaks_off_leaves_nothing(drives, tmp_path):
    def broken():
        yield FolderSequence(drives / 'two')[0].name, *np.zeros((2, 64, 96), np.uint8)
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        write_labelled_copy(drives / 'two', tmp_path / 'out', broken())
    assert sorted(path.name for path in tmp_path.iterdir()) == ['drives']


@pytest.mark.parametrize('data, words', [(['drives', 'drives/one'], 'out/one would be written twice'),
                                         (['drives/one/images'], 'is neither a folder sequence nor a folder of them'),
                                         (['drives/two'], 'out/two would be written again')])
def test_what_cannot_be_labelled_is_said_before_anything_is_written(drives, tmp_path, capsys, data, words):
    (tmp_path / 'out' / 'two').mkdir(parents=True)
    if len(data) == 2:
        (tmp_path / 'out' / 'two').rmdir()
    assert main(['label', *(str(tmp_path / each) for each in data), '--model', str(write_models(tmp_path, 1)[0]),
                 '--out', str(tmp_path / 'out')]) == 2
    assert words in capsys.readouterr().err.splitlines()[-1] and not (tmp_path / 'out' / 'one').exists()

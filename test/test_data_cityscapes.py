"""Cityscapes in its own layout, as single labelled pictures."""
from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from semdepth_ros.classes import TRAIN_ID
from semdepth_ros.data import open_data

# some of the label ids that the data set's own tools name, with these names
LABEL_IDS = {'road': 7, 'sidewalk': 8, 'building': 11, 'pole': 17, 'sky': 23, 'rider': 25, 'bus': 28, 'train': 31,
             'bicycle': 33}
NOT_TRAINED = (0, 1, 4, 9, 10, 14, 15, 16, 18, 29, 30, 255)


@pytest.fixture
def split(tmp_path):
    """Write two pictures of two cities; the label image of each shows every id, one a pixel."""
    ids = np.array([*LABEL_IDS.values(), *NOT_TRAINED], dtype=np.uint8)[None].repeat(2, 0)
    lens = {'intrinsic': {'fx': 2262.5, 'fy': 2265.3, 'u0': 10.0, 'v0': 1.0}, 'extrinsic': {'z': 1.22}}
    for city, name in (('weimar', 'weimar_000001_000019'), ('aachen', 'aachen_000000_000019')):
        for kind, ending, picture in (('leftImg8bit', 'leftImg8bit.png', np.full((*ids.shape, 3), (3, 2, 1), np.uint8)),
                                      ('gtFine', 'gtFine_labelIds.png', ids)):
            folder = tmp_path / kind / 'val' / city
            folder.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / f'{name}_{ending}'), picture)
        (tmp_path / 'camera' / 'val' / city).mkdir(parents=True, exist_ok=True)
        (tmp_path / 'camera' / 'val' / city / f'{name}_camera.json').write_text(json.dumps(lens))
    return tmp_path / 'leftImg8bit' / 'val'


def test_a_split_is_its_pictures_with_train_ids_and_cameras(split):
    sequence, = open_data(split)
    assert (len(sequence), sequence.poses, sequence.name) == (2, None, 'val')
    sample = sequence[0]
    assert sample.name == 'aachen_000000_000019' and sample.image[0, 0].tolist() == [1, 2, 3]
    assert (sample.camera.fx, sample.camera.cy, sample.camera.width) == (2262.5, 1.0, sample.image.shape[1])
    assert sample.labels[1].tolist() == [TRAIN_ID[name] for name in LABEL_IDS] + [255] * len(NOT_TRAINED)
    assert sequence.camera == sample.camera
    with pytest.raises(IndexError):
        sequence[2]


def test_train_ids_do_where_there_are_no_label_ids_and_pictures_without_either_have_no_labels(split):
    folder = split.parent.parent / 'gtFine' / 'val' / 'aachen'
    file = folder / 'aachen_000000_000019_gtFine_labelIds.png'
    file.unlink()
    assert open_data(split)[0][0].labels is None
    width = len(LABEL_IDS) + len(NOT_TRAINED)
    trained = np.full((2, width), 18, np.uint8)
    trained[0] = 19
    cv2.imwrite(str(folder / 'aachen_000000_000019_gtFine_labelTrainIds.png'), trained)
    assert open_data(split)[0][0].labels.tolist() == [[255] * width, [18] * width]


def test_without_camera_files_the_camera_is_not_known(split):
    for file in split.parent.parent.glob('camera/*/*/*.json'):
        file.unlink()
    sequence, = open_data(split)
    assert sequence.camera is None and sequence[0].camera is None


@pytest.mark.parametrize('how, message', [
    ('camera', 'camera.json is no camera of Cityscapes'), ('labels', 'but its labels are 2x1'),
    ('empty', r'has no pictures CITY/\*_leftImg8bit.png')])
def test_what_is_wrong_is_named(split, how, message):
    root = split.parent.parent
    if how == 'camera':
        next(root.glob('camera/val/aachen/*.json')).write_text('{"intrinsic": {"fx": 3}}')
    elif how == 'labels':
        cv2.imwrite(str(next(root.glob('gtFine/val/aachen/*.png'))), np.zeros((1, 2), np.uint8))
    else:
        (root / 'leftImg8bit' / 'test').mkdir()
        split = root / 'leftImg8bit' / 'test'
    with pytest.raises(ValueError, match=message):
        open_data(split)[0][0]

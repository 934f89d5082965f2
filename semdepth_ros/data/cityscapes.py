"""Cityscapes in its own layout: single labelled pictures by split and city."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from semdepth_ros.classes import UNLABELLED
from semdepth_ros.data.pictures import read_bytes, read_rgb
from semdepth_ros.data.sample import Sample
from semdepth_ros.geometry.camera import Camera

IMAGES, LABELS, CAMERAS = 'leftImg8bit', 'gtFine', 'camera'
# the data set's label ids that are trained, in the order of their train ids
_TRAINED = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
TRAIN_IDS = np.full(256, UNLABELLED, dtype=np.uint8)
TRAIN_IDS[list(_TRAINED)] = range(len(_TRAINED))


class CityscapesSequence:
    """A split of Cityscapes: leftImg8bit/SPLIT/CITY/*_leftImg8bit.png, and beside leftImg8bit/ labels in gtFine/ and
    lenses in camera/, where they are there.

    Frames are single pictures: their stamps count seconds and say nothing. Labels are read from label ids or, without
    those, from train ids.

    :param path: the folder leftImg8bit/SPLIT
    :raises ValueError: there are no pictures
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.root, self.name = self.path.resolve().parent.parent, self.path.resolve().name
        self.files = sorted(self.path.glob(f'*/*_{IMAGES}.png'))
        if not self.files:
            raise ValueError(f'{self.path} has no pictures CITY/*_{IMAGES}.png')
        self.stamps_ns = [index * 10 ** 9 for index in range(len(self.files))]
        self.poses = None
        self.camera = self._camera(self.files[0], read_rgb(self.files[0]))

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.files)

    def __getitem__(self, index: int) -> Sample:
        """Read one picture, its labels and camera.

        :raises IndexError: beyond the end
        :raises ValueError: a file is damaged, or the labels are not of the picture's size
        """
        file = self.files[index]
        image, labels = read_rgb(file), self._labels(file)
        if labels is not None and labels.shape != image.shape[:2]:
            raise ValueError(f'{file} is {image.shape[1]}x{image.shape[0]}, but its labels are '
                             f'{labels.shape[1]}x{labels.shape[0]}')
        return Sample(file.stem.removesuffix(f'_{IMAGES}'), image, self._camera(file, image), self.stamps_ns[index],
                      labels=labels)

    def _labels(self, file: Path) -> np.ndarray | None:
        ids, train_ids = (self._beside(file, LABELS, f'{LABELS}_{kind}.png') for kind in ('labelIds', 'labelTrainIds'))
        if ids.is_file():
            return TRAIN_IDS[read_bytes(ids)]
        if not train_ids.is_file():
            return None
        labels = read_bytes(train_ids)
        return np.where(labels < len(_TRAINED), labels, np.uint8(UNLABELLED))

    def _camera(self, file: Path, image: np.ndarray) -> Camera | None:
        path = self._beside(file, CAMERAS, 'camera.json')
        if not path.is_file():
            return None
        height, width = image.shape[:2]
        try:
            lens = json.loads(path.read_text(encoding='utf-8'))['intrinsic']
            return Camera(width, height, lens['fx'], lens['fy'], lens['u0'], lens['v0'])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f'{path} is no camera of Cityscapes: {error}') from None

    def _beside(self, file: Path, kind: str, ending: str) -> Path:
        return self.root / kind / self.name / file.parent.name / file.name.replace(f'{IMAGES}.png', ending)


def is_cityscapes_split(path: Path) -> bool:
    """Return whether path is a folder leftImg8bit/SPLIT."""
    return path.is_dir() and path.resolve().parent.name == IMAGES

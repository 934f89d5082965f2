"""Folder sequences: images on disk with whatever truth lies beside them."""
from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import numpy as np

from semdepth_ros.bit_depth import AUTOMATIC, FIRST_IMAGES, BitDepth, LargestValue
from semdepth_ros.classes import expect_train_ids
from semdepth_ros.data.camera_file import camera_from_dict, read_yaml
from semdepth_ros.data.file_order import in_order
from semdepth_ros.data.pictures import IMAGE_SUFFIXES, holds_words, is_turned, read_bytes, read_depth, read_rgb
from semdepth_ros.data.sample import Sample
from semdepth_ros.data.times import read_times

PARTS = ('depth', 'labels', 'noisy_labels', 'noisy_confidence')
FOLDERS = {'depth': 'depth', 'labels': 'labels', 'noisy_labels': 'labels_noisy',
           'noisy_confidence': 'labels_noisy_confidence'}
EXAMPLES = {'depth': '{units_per_metre: 256}', 'labels': '{format: cityscapes_train_ids, unlabelled: 255}'}
DEFAULT_RATE_HZ = 10.0


class FolderSequence:
    """A folder with images/ and, each optional, sequence.yaml, depth/, labels/, labels_noisy/, poses.txt, times.txt.

    Images are read when asked for. Without times.txt, stamps count from 0 at rate_hz, else at DEFAULT_RATE_HZ.

    :param path: the folder
    :param parts: which of PARTS to read; the others stay None
    :param image_bits: how many of 16 bits the images use, instead of the number in sequence.yaml; 0 tells it by the
        first images
    :raises ValueError: a part is missing that must be there, or contradicts another
    """

    def __init__(self, path: str | Path, parts: Iterable[str] = PARTS, image_bits: int = AUTOMATIC):
        self.path = Path(path)
        self.name = self.path.resolve().name
        self.parts = tuple(parts)
        _expect_known(self.parts)
        self.files = _image_files(self.path)
        description = _description(self.path)
        camera = description.get('camera')
        self.camera = camera_from_dict(camera, str(self.path / 'sequence.yaml')) if camera else None
        self.rate_hz = _positive(description.get('rate_hz'), 'rate_hz', self.path)
        self._depth = _bit_depth(self.path, self.files, image_bits or description.get('image_bits', AUTOMATIC))
        self.units_per_metre = _positive(description['depth'].get('units_per_metre'), 'units_per_metre', self.path)
        self.unlabelled = description['labels'].get('unlabelled', 255)
        self.stamps_ns = self._stamps()
        self.poses = _poses(self.path / 'poses.txt', len(self.files))
        for part in self.parts:
            self._expect_truth_belongs(part)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.files)

    def __getitem__(self, index: int) -> Sample:
        """Read one image and its parts.

        :raises IndexError: beyond the end
        :raises ValueError: a file is damaged, or its size contradicts the camera or the image
        """
        file = self.files[index]
        image = read_rgb(file, self._depth)
        if self.camera and image.shape[:2] != (self.camera.height, self.camera.width):
            turned = ' as its EXIF orientation turns it' if is_turned(file, image) else ''
            raise ValueError(f'{file} is {image.shape[1]}x{image.shape[0]}{turned}, but the camera in sequence.yaml is '
                             f'{self.camera.width}x{self.camera.height}')
        truth = {part: self._read_part(part, file.stem, image.shape[:2]) for part in self.parts}
        pose = None if self.poses is None else self.poses[index]
        return Sample(file.stem, image, self.camera, int(self.stamps_ns[index]), pose=pose, **truth)

    @cached_property
    def frames_with_truth(self) -> list[int]:
        """The frames that have true depth or true labels."""
        named = frozenset().union(*(self._names[part] for part in ('depth', 'labels') if part in self._names))
        return [i for i, file in enumerate(self.files) if file.stem in named]

    @cached_property
    def _names(self) -> dict[str, frozenset[str]]:
        return {part: frozenset(f.stem for f in (self.path / FOLDERS[part]).glob('[!.]*.png')) for part in self.parts}

    def _read_part(self, part: str, name: str, size: tuple[int, int]) -> np.ndarray | None:
        if name not in self._names[part]:
            return None
        file = self.path / FOLDERS[part] / f'{name}.png'
        array = read_depth(file, self.units_per_metre) if part == 'depth' else read_bytes(file)
        if array.shape != size:
            raise ValueError(f'{file} is {array.shape[1]}x{array.shape[0]}, but its image is {size[1]}x{size[0]}')
        if part == 'labels' and self.unlabelled != 255:
            array = np.where(array == self.unlabelled, np.uint8(255), array)
        if part in ('labels', 'noisy_labels'):
            _expect_train_ids(array, file)
        return array

    def _expect_truth_belongs(self, part: str) -> None:
        folder = self.path / FOLDERS[part]
        stray = sorted(self._names[part] - {f.stem for f in self.files})
        if stray:
            raise ValueError(f'{folder} has {stray[0]}.png, but images/ has no image of that name')
        if part == 'depth' and self._names[part] and self.units_per_metre is None:
            raise ValueError(f'{folder} is there, but sequence.yaml lacks depth: units_per_metre')

    def _stamps(self) -> np.ndarray:
        file = self.path / 'times.txt'
        if not file.exists():
            return np.rint(np.arange(len(self.files)) * (1e9 / (self.rate_hz or DEFAULT_RATE_HZ))).astype(np.int64)
        return read_times(file, len(self.files))


def is_folder_sequence(path: Path) -> bool:
    """Return whether path is a folder in this layout."""
    return (path / 'images').is_dir()


def _expect_train_ids(labels: np.ndarray, file: Path) -> None:
    try:
        expect_train_ids(labels)
    except ValueError as error:
        raise ValueError(f'{file}: {error}') from None


def _image_files(path: Path) -> list[Path]:
    if not is_folder_sequence(path):
        raise ValueError(f'{path} has no folder images/, expected a folder sequence')
    files = in_order(f for f in (path / 'images').iterdir() if f.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise ValueError(f'{path / "images"} has no PNG or JPEG')
    twice = [a.stem for a, b in zip(files, files[1:]) if a.stem == b.stem]
    if twice:
        raise ValueError(f'{path / "images"} has two images named {twice[0]}')
    return files


def _description(path: Path) -> dict:
    file = path / 'sequence.yaml'
    description = read_yaml(file) if file.exists() else {}
    if not isinstance(description, dict):
        raise ValueError(f'{file} holds {type(description).__name__}, expected keys such as camera and rate_hz')
    parts = {key: description.get(key) or {} for key in ('depth', 'labels')}
    for key, value in parts.items():
        if not isinstance(value, dict):
            raise ValueError(f'{file}: {key} is {value!r}, expected a mapping such as {EXAMPLES[key]}')
    labels, unlabelled = parts['labels'].get('format', 'cityscapes_train_ids'), parts['labels'].get('unlabelled', 255)
    if labels != 'cityscapes_train_ids':
        raise ValueError(f'{file}: labels format is {labels!r}, expected cityscapes_train_ids')
    if type(unlabelled) is not int or not 0 <= unlabelled <= 255:
        raise ValueError(f'{file}: labels unlabelled is {unlabelled!r}, expected 0 to 255')
    return description | parts


def _positive(value, name: str, path: Path) -> float | None:
    if value is None:
        return None
    if isinstance(value, (int, float)) and np.isfinite(value) and value > 0:
        return float(value)
    raise ValueError(f'{path / "sequence.yaml"}: {name} is {value!r}, expected a positive number')


def _bit_depth(path: Path, files: list[Path], bits: int) -> BitDepth:
    """Return the bit depth of a folder's images, told by the first of them."""
    if type(bits) is not int:
        raise ValueError(f'{path / "sequence.yaml"}: image_bits is {bits!r}, expected 0 (automatic) or 8 to 16')
    depth, seen = BitDepth(bits, str(path)), LargestValue()
    for file in files[:FIRST_IMAGES]:
        if not depth.given and holds_words(file):
            with suppress(ValueError):
                read_rgb(file, seen)
    depth.widen(seen.largest)
    return depth.fixed()


def _numbers(file: Path, lines: int, columns: int) -> np.ndarray:
    try:
        numbers = np.loadtxt(file, dtype=np.float64, ndmin=2)
    except ValueError as error:
        raise ValueError(f'{file}: {error}') from None
    if numbers.shape != (lines, columns) or not np.isfinite(numbers).all():
        raise ValueError(f'{file} has {numbers.shape[0]} lines of {numbers.shape[1]} numbers, expected {lines} (one an '
                         f'image) of {columns} finite numbers')
    return numbers


def _poses(file: Path, images: int) -> np.ndarray | None:
    if not file.exists():
        return None
    poses = np.tile(np.eye(4), (images, 1, 1))
    poses[:, :3] = _numbers(file, images, 12).reshape(-1, 3, 4)
    rotations = poses[:, :3, :3]
    error = np.abs(rotations @ rotations.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
    if error.max() > 1e-2:
        line = int(np.argmax(error > 1e-2))
        raise ValueError(f'{file} line {line + 1} is no pose: its 3x3 part is not a rotation')
    return poses


def _expect_known(parts: tuple[str, ...]) -> None:
    for part in parts:
        if part not in PARTS:
            raise ValueError(f'part is {part!r}, expected one of {", ".join(PARTS)}')

"""Writing folder sequences, so that a run that broke off is never taken for a whole one."""
from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import yaml

from semdepth_ros.data.camera_file import camera_to_dict
from semdepth_ros.data.file_order import natural_key
from semdepth_ros.data.folder import FOLDERS
from semdepth_ros.data.pictures import depth_units, write_picture
from semdepth_ros.data.sample import Sample
from semdepth_ros.geometry.camera import Camera

UNITS_PER_METRE = 256


def write_folder_sequence(path: str | Path, samples: Iterable[Sample], camera: Camera | None = None,
                          rate_hz: float | None = None, image_format: str = 'png',
                          units_per_metre: float = UNITS_PER_METRE) -> int:
    """Write samples in the layout that FolderSequence reads; return how many.

    Everything goes to PATH.partial, which becomes PATH when the last sample is written and is removed when something
    breaks it off: PATH is whole or absent.
    Depth is kept as uint16: sky and what is beyond 65535 / units_per_metre is written as 0, no truth.

    :param samples: a sequence or any iterator; read once, one at a time
    :param camera: intrinsics of all images, by default those of the first sample
    :param image_format: png or jpg
    :raises ValueError: path is in use, no samples, two of one name, or samples that contradict each other
    """
    path = Path(path)
    if image_format not in ('png', 'jpg'):
        raise ValueError(f'image format is {image_format!r}, expected png or jpg')
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ValueError(f'{path} is in use, expected a new or empty folder')
    partial = path.with_name(path.name + '.partial')
    shutil.rmtree(partial, ignore_errors=True)
    try:
        writer = _Writer(partial, camera, image_format, units_per_metre)
        for sample in samples:
            writer.add(sample)
        writer.finish(rate_hz)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if path.exists():
        path.rmdir()
    partial.rename(path)
    return len(writer.names)


class _Writer:
    """One folder in the making; what was written so far decides which later samples fit."""

    def __init__(self, path: Path, camera: Camera | None, image_format: str, units_per_metre: float):
        self.path, self.camera, self.suffix, self.units_per_metre = path, camera, image_format, units_per_metre
        self.names: list[str] = []
        self.stamps_ns: list[int] = []
        self.poses: list[np.ndarray] = []
        (path / 'images').mkdir(parents=True)

    def add(self, sample: Sample) -> None:
        self._expect_fit(sample)
        write_picture(self.path / 'images' / f'{sample.name}.{self.suffix}', sample.image)
        for part, folder in FOLDERS.items():
            array = getattr(sample, part)
            if array is not None:
                (self.path / folder).mkdir(exist_ok=True)
                array = depth_units(array, self.units_per_metre) if part == 'depth' else array
                write_picture(self.path / folder / f'{sample.name}.png', array)
        self.names.append(sample.name)
        self.stamps_ns.append(sample.stamp_ns)
        if sample.pose is not None:
            self.poses.append(sample.pose)

    def _expect_fit(self, sample: Sample) -> None:
        if not self.names:
            self.camera = self.camera or sample.camera
        if sample.camera is not None and sample.camera != self.camera:
            raise ValueError(f'sample {sample.name} has another camera than the sequence: {sample.camera}')
        if self.names and natural_key(sample.name) <= natural_key(self.names[-1]):
            raise ValueError(f'sample {sample.name!r} follows {self.names[-1]!r}, but the order of names is the order '
                             f'of time')
        if (sample.pose is not None) != (len(self.poses) == len(self.names)) and self.names:
            raise ValueError(f'sample {sample.name} {"lacks" if sample.pose is None else "has"} a pose, unlike those '
                             f'before it')

    def finish(self, rate_hz: float | None) -> None:
        if not self.names:
            raise ValueError(f'{self.path.with_suffix("")} would be empty: there are no samples')
        times = [f'{stamp // 10 ** 9}.{stamp % 10 ** 9:09d}\n' for stamp in self.stamps_ns]
        (self.path / 'times.txt').write_text(''.join(times))
        if self.poses:
            np.savetxt(self.path / 'poses.txt', [pose[:3].reshape(-1) for pose in self.poses], fmt='%.9e')
        description = {'rate_hz': rate_hz, 'depth': {'units_per_metre': self.units_per_metre},
                       'labels': {'format': 'cityscapes_train_ids', 'unlabelled': 255}}
        if self.camera:
            description = {'camera': camera_to_dict(self.camera), **description}
        (self.path / 'sequence.yaml').write_text(yaml.safe_dump(description, sort_keys=False))

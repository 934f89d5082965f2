"""Sequences made of other sequences: without lens distortion, or with another calibration."""
from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np

from semdepth_ros.classes import UNLABELLED
from semdepth_ros.data.sample import Sample, Sequence
from semdepth_ros.geometry.camera import Camera


def rectified_sample(sample: Sample) -> Sample:
    """Return the sample seen by a lens without distortion; a sample without distortion or camera is returned as it is.

    Colours are interpolated; depth, labels and confidence take the nearest pixel. Beyond the old image colours repeat
    its edge, depth is NaN, labels are unlabelled and confidence is 0.
    """
    if sample.camera is None or not sample.camera.is_distorted:
        return sample
    maps = _rectification(sample.camera)

    def nearest(array: np.ndarray | None, outside: float) -> np.ndarray | None:
        return None if array is None else cv2.remap(array, *maps, cv2.INTER_NEAREST, borderValue=outside)

    return replace(
        sample, camera=sample.camera.rectified(),
        image=cv2.remap(sample.image, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        depth=nearest(sample.depth, np.nan), labels=nearest(sample.labels, UNLABELLED),
        noisy_labels=nearest(sample.noisy_labels, UNLABELLED), noisy_confidence=nearest(sample.noisy_confidence, 0))


def covered(camera: Camera) -> np.ndarray:
    """Return where the camera's rectified image shows something, uint8 [H, W]: 1, and 0 beyond the old image."""
    everywhere = np.ones((camera.height, camera.width), dtype=np.uint8)
    if not camera.is_distorted:
        return everywhere
    return cv2.remap(everywhere, *_rectification(camera), cv2.INTER_NEAREST, borderValue=0)


def rectified(sequence: Sequence) -> Sequence:
    """Return the sequence seen by a lens without distortion; itself where it has no distortion or no camera."""
    camera = sequence.camera
    return _Rectified(sequence) if camera and getattr(sequence, 'is_distorted', camera.is_distorted) else sequence


def with_camera(sequence: Sequence, camera: Camera) -> Sequence:
    """Return the sequence with this calibration in place of its own.

    :raises ValueError: when a frame is read whose size is not the camera's
    """
    return _WithCamera(sequence, camera)


class _Adapted:
    """A sequence whose samples another sequence reads and _adapt changes."""

    def __init__(self, sequence: Sequence, camera: Camera):
        self.sequence, self.name, self.camera = sequence, sequence.name, camera
        self.rate_hz = getattr(sequence, 'rate_hz', None)
        self.frames_with_truth = getattr(sequence, 'frames_with_truth', None)

    def __len__(self) -> int:
        return len(self.sequence)

    @property
    def stamps_ns(self) -> list[int] | np.ndarray:
        return self.sequence.stamps_ns

    @property
    def poses(self) -> list[np.ndarray | None] | np.ndarray | None:
        return self.sequence.poses

    def __getitem__(self, index: int) -> Sample:
        return self._adapt(self.sequence[index])


class _Rectified(_Adapted):
    def __init__(self, sequence: Sequence):
        super().__init__(sequence, sequence.camera.rectified())

    def _adapt(self, sample: Sample) -> Sample:
        return rectified_sample(sample)


class _WithCamera(_Adapted):
    def _adapt(self, sample: Sample) -> Sample:
        height, width = sample.image.shape[:2]
        if (width, height) != (self.camera.width, self.camera.height):
            raise ValueError(f'{self.name}: image {sample.name} is {width}x{height}, but the calibration given is for '
                             f'{self.camera.width}x{self.camera.height}')
        return replace(sample, camera=self.camera)


@lru_cache(maxsize=4)
def _rectification(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    return camera.rectification()

"""The procedural driving world as a sequence."""
from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from semdepth_ros.data.sample import Sample
from semdepth_ros.geometry.camera import Camera

if TYPE_CHECKING:
    from semdepth_ros.world import WorldFrame

CAVITY = 'cavity'     # the preset that is no drive


class WorldSequence:
    """A drive through a town of the procedural world, rendered as its frames are asked for.

    :param preset, seed, frames, camera, split, device, rate_hz, rays, pitch_deg, same_speed, repetitive: as
        semdepth_ros.world.Drive has them
    :param size: width and height [px] of the preset's own camera, where no other is given
    :param label_noise: rates that semdepth_ros.world.noisy_labels takes; where given, samples have noisy_labels beside
        the true ones, each object's errors the same through the drive
    :raises ValueError: no such preset, split or noise, or a size beside a camera
    """

    def __init__(self, preset: str = 'day', seed: int = 0, frames: int = 100, camera: Camera | None = None,
                 split: str = 'test', device: str = 'cpu', rate_hz: float = 10.0, rays: int = 4,
                 pitch_deg: float | None = None, label_noise: dict | None = None, same_speed: bool = False,
                 repetitive: bool = False, size: tuple[int, int] | None = None):
        from semdepth_ros.world import Drive, default_camera
        if size is not None:
            if camera is not None:
                raise ValueError(f'size is {list(size)} beside a camera, expected one of the two')
            camera = default_camera(preset, tuple(size))
        self.drive = Drive(preset, seed, frames, camera, rate_hz, split, device, rays, pitch_deg,
                           same_speed=same_speed, repetitive=repetitive)
        self.name = f'world_{preset}_{seed}'
        self.camera, self.rate_hz, self.label_noise = self.drive.camera, rate_hz, label_noise

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.drive)

    def __getitem__(self, index: int) -> Sample:
        """Render one frame.

        :raises IndexError: beyond the end
        """
        if not 0 <= index < len(self.drive):
            raise IndexError(f'frame {index} of a drive of {len(self.drive)}')
        return self.read([index])[0]

    @property
    def stamps_ns(self) -> list[int]:
        """The stamps of the frames [ns]."""
        return [round(index * 1e9 / self.rate_hz) for index in range(len(self))]

    @property
    def poses(self) -> list[np.ndarray]:
        """The camera-to-world poses of the frames [4, 4] m."""
        return [self.drive.pose(index) for index in range(len(self))]

    def read(self, indices: Collection[int]) -> list[Sample]:
        """Render several frames at once, which is quicker than one after the other."""
        return [self._sample(index, frame) for index, frame in zip(indices, self.drive.render(list(indices)))]

    def _sample(self, index: int, frame: WorldFrame) -> Sample:
        noisy, confidence = None, None
        if self.label_noise is not None:
            from semdepth_ros.world import noisy_labels
            noisy, confidence = noisy_labels(frame, self.camera, self.drive.seed, **self.label_noise)
        return Sample(f'{index:06d}', frame.image, self.camera, frame.stamp_ns, frame.depth, frame.labels, noisy, confidence,
                      pose=frame.pose)


class CavitySequence(WorldSequence):
    """A camera moving through a cavity of soft tissue, rendered as its frames are asked for; no classes.

    :param seed, frames, camera, split, device, rate_hz, deformation, deformation_hz, speed: as semdepth_ros.world.Cavity
        has them
    :raises ValueError: no such split, or a number out of range
    """

    label_noise = None

    def __init__(self, seed: int = 0, frames: int = 100, camera: Camera | None = None, split: str = 'test',
                 device: str = 'cpu', rate_hz: float = 10.0, deformation: float = 0.0, deformation_hz: float = 0.3,
                 speed: float = 0.03):
        from semdepth_ros.world import Cavity
        self.drive = Cavity(seed, frames, camera, rate_hz, split, device, deformation, deformation_hz, speed)
        self.name, self.camera, self.rate_hz = f'world_{CAVITY}_{seed}', self.drive.camera, rate_hz

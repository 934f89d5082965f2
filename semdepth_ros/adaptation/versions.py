"""Promoted weights as files: the newest valid one is where a learner starts again."""
from __future__ import annotations

import hashlib
import logging
import os
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from semdepth_ros.geometry.camera import Camera
from semdepth_ros.model_file import ModelCard, ModelFileError, read_model
from semdepth_ros.networks import JointNetwork, network_of, save_network

NAME = 'v{:06d}.safetensors'
_NAME, _WITHDRAWN = re.compile(r'v(\d{6,10})\.safetensors'), re.compile(r'v(\d{6,10})\.safetensors\.withdrawn')
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Version:
    """Weights that can be served.

    :param path: of their file; None where they were not written
    :param sha256: of that file, in hex
    """

    network: JointNetwork
    card: ModelCard
    path: Path | None = None
    sha256: str = ''

    @property
    def number(self) -> int:
        """0 for the factory's."""
        return self.card.version


class Versions:
    """A folder of promoted weights of one factory.

    A file appears whole or not at all and is never changed; weights that are withdrawn are renamed. Whatever moment a
    process is killed at, `newest` finds the newest file that is whole.

    :param folder: made when first written to
    :param keep: most files
    """

    def __init__(self, folder: str | os.PathLike, factory: ModelCard, keep: int = 5):
        self.folder, self.factory, self.keep = Path(folder), factory, keep

    def newest(self, camera: Camera | None = None) -> Version | None:
        """Return the newest weights that can be read, descend from this factory and were learned under this camera.

        :param camera: None takes those of any camera
        """
        for _, path in sorted(self._files(_NAME), reverse=True):
            try:
                version = self._read(path)
            except ModelFileError as error:
                _LOG.warning('%s', error)
                continue
            if camera is None or version.card.metrics.get('adaptation', {}).get('camera') == camera_key(camera):
                return version
        return None

    def next_number(self) -> int:
        """Return the number of the next version: above all that were ever written here."""
        numbers = [number for pattern in (_NAME, _WITHDRAWN) for number, _ in self._files(pattern)]
        return max(numbers, default=0) + 1

    def write(self, network: JointNetwork, parent: Version, probes: list[np.ndarray], camera: Camera,
              metrics: dict) -> Version:
        """Write weights as the next version, and drop the oldest files beyond those kept.

        :param probes: two images uint8 [h, w, 3] at the network's size
        :param metrics: what the trial measured
        :raises ModelFileError: a weight that is not finite in half precision
        :raises OSError: the file cannot be written
        """
        number = max(self.next_number(), parent.number + 1)
        learned = {**metrics, 'camera': camera_key(camera), 'camera_seen': asdict(camera)}
        card = replace(self.factory, version=number, parent=parent.number,
                       metrics={**self.factory.metrics, 'adaptation': learned})
        path = self.folder / NAME.format(number)
        card = save_network(path, network, card, probes)
        self._tidy()
        return Version(network, card, path, hashlib.sha256(path.read_bytes()).hexdigest())

    def withdraw(self, version: Version) -> None:
        """Put weights aside, so that no start finds them."""
        if version.path is not None and version.path.exists():
            os.replace(version.path, version.path.with_name(f'{version.path.name}.withdrawn'))

    def read(self, number: int) -> Version:
        """Return a version by its number; raise ModelFileError where it cannot be had."""
        return self._read(self.folder / NAME.format(number))

    def _read(self, path: Path) -> Version:
        tensors, card = read_model(path)
        if card.factory != self.factory.factory:
            raise ModelFileError(f'{path}: descends from factory {card.factory[:12]}, '
                                 f'expected {self.factory.factory[:12]}')
        try:
            network = network_of(tensors, card)
        except ModelFileError as error:
            raise ModelFileError(f'{path}: {error}') from error
        return Version(network, card, path, hashlib.sha256(path.read_bytes()).hexdigest())

    def _files(self, pattern: re.Pattern) -> list[tuple[int, Path]]:
        if not self.folder.is_dir():
            return []
        matches = [(pattern.fullmatch(path.name), path) for path in self.folder.iterdir()]
        return [(int(match[1]), path) for match, path in matches if match]

    def _tidy(self) -> None:
        for pattern in (_NAME, _WITHDRAWN):
            for _, path in sorted(self._files(pattern))[:-self.keep]:
                path.unlink(missing_ok=True)
        for path in self.folder.glob('.v*.safetensors.*'):      # left by a process that was killed while it wrote
            if not path.name.endswith(f'.{os.getpid()}'):
                path.unlink(missing_ok=True)


def camera_key(camera: Camera) -> str:
    """Return a hash of a camera's intrinsics; its height does not matter."""
    return hashlib.sha256(repr(sorted(asdict(replace(camera, height_m=None)).items())).encode()).hexdigest()[:16]

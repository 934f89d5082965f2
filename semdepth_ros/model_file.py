"""One file that holds weights and everything needed to run them: safetensors with a card in its metadata."""
from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from semdepth_ros.classes import CITYSCAPES, SemanticClass

CARD_VERSION = 1
PROBE = 'probe.'
WEIGHTS = Path(__file__).parent / 'weights'


class ModelFileError(ValueError):
    """A model file that cannot be used; the message is one line that says why."""


@dataclass(frozen=True)
class InputRule:
    """How a camera image becomes the network's input.

    :param pixels: budget of the network input [px]
    :param multiple: of which height and width are multiples [px]
    :param max_anisotropy: largest ratio by which fx : fy may change
    :param mean, std: what the network itself subtracts and divides by, of rgb in 0..1
    """

    pixels: int = 640 * 192
    multiple: int = 32
    max_anisotropy: float = 1.05
    mean: float = 0.45
    std: float = 0.225


@dataclass(frozen=True)
class ModelCard:
    """All that is known of one set of weights.

    :param architecture: what build_network makes the network from
    :param focal_px: horizontal focal length the network was trained for, at network size [px]
    :param name: what people call it
    :param version: counts up from 0, the factory's, with each set of weights learned from it
    :param parent: the version these weights were learned from; None for the factory's
    :param factory: tensor_hash of the factory's tensors; empty until first saved
    :param classes: one for each class score
    :param input: how camera images become inputs
    :param depth_range_m: nearest and farthest canonical depth [m]
    :param cameras: the cameras it was trained on
    :param recipe: the training recipe
    :param metrics: what was measured, by protocol
    :param sigma: relative sigma of depth = floor + gain * |ln d0 - ln d1|, of the depths of scales 0 and 1
    :param metric: whether depth is in metres on the cameras it was trained on
    :param created: date, ISO 8601
    :raises ModelFileError: a focal length, depth range or version that cannot be
    """

    architecture: dict
    focal_px: float
    name: str = ''
    version: int = 0
    parent: int | None = None
    factory: str = ''
    classes: tuple[SemanticClass, ...] = CITYSCAPES
    input: InputRule = InputRule()
    depth_range_m: tuple[float, float] = (0.1, 100.0)
    cameras: list = field(default_factory=list)
    recipe: dict = field(default_factory=dict)
    metrics: dict = field(default_factory=dict)
    sigma: dict = field(default_factory=lambda: {'floor': 0.05, 'gain': 1.0})
    metric: bool = False
    created: str = ''
    card_version: int = CARD_VERSION

    def __post_init__(self):
        if not (isinstance(self.focal_px, (int, float)) and 0 < self.focal_px < float('inf')):
            raise ModelFileError(f'model card has focal_px {self.focal_px!r}, expected a positive number')
        if not 0 < self.depth_range_m[0] < self.depth_range_m[1] < float('inf'):
            raise ModelFileError(f'model card has depth_range_m {self.depth_range_m!r}, expected 0 < nearest < farthest')
        if not (isinstance(self.version, int) and self.version >= 0):
            raise ModelFileError(f'model card has version {self.version!r}, expected a whole number from 0')

    def to_json(self) -> str:
        """Return the card as one line of JSON; raises ModelFileError where it holds what JSON has not."""
        try:
            return json.dumps(asdict(self), allow_nan=False, sort_keys=True)
        except (TypeError, ValueError) as error:
            raise ModelFileError(f'model card cannot be written as JSON: {error}') from error

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """Return the card of to_json's text; raises ModelFileError naming the field that is wrong."""
        try:
            values = json.loads(text)
        except ValueError as error:
            raise ModelFileError(f'model card is not JSON: {error}') from error
        if not isinstance(values, dict):
            raise ModelFileError(f'model card is a {type(values).__name__}, expected an object')
        if values.get('card_version') != CARD_VERSION:
            raise ModelFileError(f'model card has version {values.get("card_version")!r}, expected {CARD_VERSION}')
        names = {f.name for f in fields(cls)}
        if set(values) != names:
            raise ModelFileError(f'model card lacks {sorted(names - set(values))} and has unknown {sorted(set(values) - names)}')
        try:
            return cls(**values | _typed(values))
        except ModelFileError:
            raise
        except (TypeError, ValueError, KeyError) as error:
            raise ModelFileError(f'model card cannot be understood: {error}') from error


def save_model(path: str | os.PathLike, tensors: dict[str, Tensor], card: ModelCard) -> ModelCard:
    """Write weights, probe frames and card to one file, and return the card as written.

    Floating-point tensors are stored in half precision, running statistics of normalisations in single. The file appears whole or
    not at all. A card without a factory hash becomes its own factory.

    :raises ModelFileError: a tensor that is not finite in half precision, a card that JSON cannot hold
    """
    path = Path(path)
    tensors = stored(tensors)
    _check_finite(path, tensors)
    card = card if card.factory else replace(card, factory=tensor_hash(tensors))
    metadata = {'format': 'pt', 'card': card.to_json(), 'sha256': _digest(tensors)}
    _write_whole(path, safetensors.torch.save(tensors, metadata))
    return card


def read_model(path: str | os.PathLike) -> tuple[dict[str, Tensor], ModelCard]:
    """Return the tensors, probes included, and the card of a file. Nothing is unpickled.

    :raises ModelFileError: a file that is missing, foreign, truncated, damaged, not finite, or whose card cannot be read
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f'{path}: cannot be read: {error.strerror}') from error
    metadata = _metadata(path, data)
    if 'card' not in metadata:
        raise ModelFileError(f'{path}: is a safetensors file without a model card, expected one written by semdepth')
    try:
        card = ModelCard.from_json(metadata['card'])
    except ModelFileError as error:
        raise ModelFileError(f'{path}: {error}') from error
    try:
        tensors = safetensors.torch.load(data)
    except Exception as error:  # the library raises its own type, and others for unknown element types
        raise ModelFileError(f'{path}: is damaged: {error}') from error
    _check_finite(path, tensors)
    if metadata.get('sha256') != _digest(tensors):
        raise ModelFileError(f'{path}: is damaged: its tensors do not have the hash written with them')
    return tensors, card


def find_model(name: str | os.PathLike) -> Path:
    """Return the file of a packaged model's name, such as 'default', or of a path.

    :raises ModelFileError: neither exists; both places are named
    """
    path = Path(name)
    if path.is_file():
        return path
    packaged = WEIGHTS / f'{name}.safetensors'
    if re.fullmatch(r'[\w-]+', str(name)) and packaged.is_file():
        return packaged
    known = sorted(p.stem for p in WEIGHTS.glob('*.safetensors'))
    raise ModelFileError(f'no model {str(name)!r}: neither a file {path.absolute()} nor a packaged model, of which there are {known}')


def tensor_hash(tensors: dict[str, Tensor]) -> str:
    """Return the SHA-256, in hex, of the names, types, shapes and values of all tensors as a file stores them, without probes.

    The order of the dictionary, the device and the memory format do not matter.
    """
    return _digest(stored({name: tensor for name, tensor in tensors.items() if not name.startswith(PROBE)}))


def stored(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors as a file stores them: on the CPU, contiguous, half precision but for running statistics in single."""
    return {name: _stored(name, tensor) for name, tensor in tensors.items()}


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}\n'.encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _stored(name: str, tensor: Tensor) -> Tensor:
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        statistic = name.endswith(('running_mean', 'running_var'))
        tensor = tensor.to(torch.float32 if statistic else torch.float16)
    return tensor.contiguous()


def _check_finite(path: Path, tensors: dict[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ModelFileError(f'{path}: tensor {name} has values that are not finite in {tensor.dtype}')


def _metadata(path: Path, data: bytes) -> dict[str, Any]:
    """Return the file's metadata, after checking that its header describes exactly the bytes that follow."""
    length = int.from_bytes(data[:8], 'little')
    if len(data) < 9 or data[8:9] != b'{':
        raise ModelFileError(f'{path}: is not a safetensors file')
    if length > len(data) - 8:
        raise ModelFileError(f'{path}: is truncated: its header needs {length} bytes, {len(data) - 8} are there')
    try:
        header = json.loads(data[8:8 + length])
        end = max((entry['data_offsets'][1] for name, entry in header.items() if name != '__metadata__'), default=0)
        metadata = dict(header.get('__metadata__', {}))
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise ModelFileError(f'{path}: is damaged: its header cannot be read ({error})') from error
    if len(data) - 8 - length < end:
        raise ModelFileError(f'{path}: is truncated: its tensors need {end} bytes, {len(data) - 8 - length} are there')
    return metadata


def _typed(values: dict[str, Any]) -> dict[str, Any]:
    """Return those fields of a card that JSON has no type for."""
    classes = tuple(SemanticClass(**c | {'colour': tuple(c['colour'])}) for c in values['classes'])
    low, high = values['depth_range_m']
    return {'classes': classes, 'input': InputRule(**values['input']), 'depth_range_m': (float(low), float(high))}


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file so that a reader, or a machine that loses power, finds the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        with open(temporary, 'wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

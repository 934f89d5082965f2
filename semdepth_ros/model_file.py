"""One file that holds weights and everything needed to run them: safetensors with a card in its metadata."""
from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from semdepth_ros.model_card import InputRule, ModelCard, ModelFileError

__all__ = ['InputRule', 'ModelCard', 'ModelFileError', 'find_model', 'read_model', 'save_model', 'stored',
           'tensor_hash']
PROBE = 'probe.'
WEIGHTS = Path(__file__).parent / 'weights'


def save_model(path: str | os.PathLike, tensors: dict[str, Tensor], card: ModelCard) -> ModelCard:
    """Write weights, probe frames and card to one file, and return the card as written.

    Floating-point tensors are stored in half precision, running statistics of normalisations in single. The file
    appears whole or not at all. A card without a factory hash becomes its own factory.

    :raises ModelFileError: a tensor that is not finite in half precision, a card that JSON cannot hold
    """
    path = Path(path)
    tensors = stored(tensors)
    _check_finite(path, tensors)
    card = card if card.factory else replace(card, factory=tensor_hash(tensors))
    text = card.to_json()
    metadata = {'format': 'pt', 'card': text, 'sha256': _digest(tensors, text)}
    _write_whole(path, safetensors.torch.save(tensors, metadata))
    return card


def read_model(path: str | os.PathLike, sha256: str | None = None) -> tuple[dict[str, Tensor], ModelCard]:
    """Return the tensors, probes included, and the card of a file, which is read once. Nothing is unpickled.

    :param sha256: what the whole file must have, in hex; None for any
    :raises ModelFileError: a file that is missing, foreign, truncated, damaged, not finite, of another sha256, or whose
        card cannot be read
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f'{path}: cannot be read: {error.strerror}') from error
    found = hashlib.sha256(data).hexdigest()
    if sha256 not in (None, found):
        raise ModelFileError(f'{path}: has sha256 {found[:12]}, expected {sha256[:12]}')
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
    if metadata.get('sha256') != _digest(tensors, metadata['card']):
        raise ModelFileError(f'{path}: is damaged: tensors and card do not have the hash written with them')
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
    raise ModelFileError(f'no model {str(name)!r}: neither a file {path.absolute()} nor a packaged model of {known}')


def tensor_hash(tensors: dict[str, Tensor]) -> str:
    """Return the SHA-256, in hex, of all tensors' names, types, shapes and values.

    They are taken as a file stores them and without probes. The dictionary's order, the device and the memory format do
    not matter.
    """
    return _digest(stored({name: tensor for name, tensor in tensors.items() if not name.startswith(PROBE)}))


def stored(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors as a file stores them: on the CPU, contiguous, in half precision, running statistics in single."""
    return {name: _stored(name, tensor) for name, tensor in tensors.items()}


def _digest(tensors: dict[str, Tensor], card: str = '') -> str:
    digest = hashlib.sha256(card.encode())
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
        ends = [entry['data_offsets'][1] for name, entry in header.items() if name != '__metadata__']
        metadata = dict(header.get('__metadata__', {}))
        for value, kind in [*((end, int) for end in ends), *((text, str) for text in metadata.values())]:
            if type(value) is not kind:
                raise TypeError(f'it holds {value!r}, expected {kind.__name__}')
        end = max(ends, default=0)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise ModelFileError(f'{path}: is damaged: its header cannot be read ({error})') from error
    if len(data) - 8 - length < end:
        raise ModelFileError(f'{path}: is truncated: its tensors need {end} bytes, {len(data) - 8 - length} are there')
    return metadata


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

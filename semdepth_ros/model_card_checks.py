"""What the fields of a model card may hold, so that whatever runs, sends or prints a card can rely on it."""
from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from semdepth_ros.classes import SemanticClass

MAX_VERSION = 2 ** 32 - 1  # uint32 in the messages
STRIDE = 32                # of the deepest features, whatever the encoder
MAX_BLOCKS = 2 ** 14       # of the input's multiple squared; 4096x4096 px with the usual 32
FARTHEST_M = 1e6
MAX_NUMBER = 1e9           # well within single precision
_TEXTS, _MAPPINGS = ('name', 'factory', 'created'), ('architecture', 'recipe', 'metrics', 'sigma')


class ModelFileError(ValueError):
    """A model file that cannot be used; the message is one line that says why."""


def check_card(card: Mapping[str, Any]) -> None:
    """Raise ModelFileError, naming the value and what was expected, unless every field of a ModelCard can be so."""
    kinds = {'metric': bool, 'cameras': list} | dict.fromkeys(_TEXTS, str) | dict.fromkeys(_MAPPINGS, dict)
    for name, kind in kinds.items():
        _expect(isinstance(card[name], kind), name, card[name], f'a {kind.__name__}')
    for name in (*_TEXTS, *_MAPPINGS, 'cameras'):
        _expect(_is_unicode(card[name]), name, card[name], 'Unicode text throughout')
    version, parent = card['version'], card['parent']
    _expect(_is_whole(version, 0, MAX_VERSION), 'version', version, f'a whole number from 0 to {MAX_VERSION}')
    _expect(parent is None or _is_whole(parent, 0, MAX_VERSION), 'parent', parent,
            f'nothing or a whole number from 0 to {MAX_VERSION}')
    focal_px, sigma, depths = card['focal_px'], card['sigma'], card['depth_range_m']
    _expect(_is_number(focal_px) and focal_px > 0, 'focal_px', focal_px, 'a positive number')
    _expect(all(_is_number(sigma.get(part)) and sigma[part] >= 0 for part in ('floor', 'gain')), 'sigma', sigma,
            "numbers from 0 for 'floor' and 'gain'")
    _expect(len(depths) == 2 and all(map(_is_number, depths)) and 0 < depths[0] < depths[1] < FARTHEST_M,
            'depth_range_m', depths, f'0 < nearest < farthest < {FARTHEST_M:g}')
    _check_input(vars(card['input']))
    _check_classes(card['classes'])


def _check_input(rule: Mapping[str, Any]) -> None:
    multiple, pixels, cpu_pixels = rule['multiple'], rule['pixels'], rule['cpu_pixels']
    _expect(_is_whole(multiple, STRIDE, 2 ** 10) and multiple % STRIDE == 0, 'input.multiple', multiple,
            f'a multiple of {STRIDE} up to 1024')
    block = multiple ** 2
    _expect(_is_whole(pixels, block, MAX_BLOCKS * block), 'input.pixels', pixels,
            f'a whole number from {block} to {MAX_BLOCKS * block}')
    _expect(cpu_pixels is None or _is_whole(cpu_pixels, block, MAX_BLOCKS * block), 'input.cpu_pixels', cpu_pixels,
            f'nothing or a whole number from {block} to {MAX_BLOCKS * block}')
    _expect(_is_number(rule['max_anisotropy']) and rule['max_anisotropy'] >= 1, 'input.max_anisotropy',
            rule['max_anisotropy'], 'a number from 1')
    _expect(_is_number(rule['mean']), 'input.mean', rule['mean'], 'a number')
    _expect(_is_number(rule['std']) and rule['std'] > 0, 'input.std', rule['std'], 'a positive number')


def _check_classes(classes: Collection[SemanticClass]) -> None:
    for c in classes:
        _expect(isinstance(c.name, str) and _is_unicode(c.name), 'class name', c.name, 'Unicode text')
        _expect(len(c.colour) == 3 and all(_is_whole(part, 0, 255) for part in c.colour), f'colour of {c.name!r}',
                c.colour, 'three whole numbers from 0 to 255')
        _expect(_is_whole(c.train_id, 0, 254), f'train_id of {c.name!r}', c.train_id, 'a whole number from 0 to 254')
        for flag in ('movable', 'ground'):
            _expect(isinstance(getattr(c, flag), bool), f'{flag} of {c.name!r}', getattr(c, flag), 'true or false')
    ids = [c.train_id for c in classes]
    _expect(len(set(ids)) == len(ids), 'train ids', ids, 'each of them once')


def _expect(is_so: bool, name: str, value: Any, expected: str) -> None:
    if not is_so:
        text = repr(value)
        text = text if len(text) <= 100 else f'{text[:97]}...'
        raise ModelFileError(f'model card has {name} {text}, expected {expected}')


def _is_whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= MAX_NUMBER


def _is_unicode(value: Any) -> bool:
    """Return whether all text in a value, at any depth, can be written as UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False, default=repr, skipkeys=True).encode()
    except UnicodeEncodeError:
        return False
    return True

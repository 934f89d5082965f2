"""What the fields of a model card may hold, so that whatever runs, sends or prints a card can rely on it."""
from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from semdepth_ros.model_card import InputRule, ModelCard

MAX_VERSION = 2 ** 32 - 1  # uint32 in the messages
STRIDE = 32                # of the deepest features, whatever the encoder
MAX_BLOCKS = 2 ** 14       # of the input's multiple squared; 4096x4096 px with the usual 32
FARTHEST_M = 1e6
MAX_NUMBER = 1e9           # well within single precision
_TEXTS, _MAPPINGS = ('name', 'factory', 'created'), ('architecture', 'recipe', 'metrics', 'sigma')


class ModelFileError(ValueError):
    """A model file that cannot be used; the message is one line that says why."""


def check_card(card: ModelCard) -> None:
    """Raise ModelFileError, naming the value and what was expected, unless every field can be what it says."""
    kinds = {'metric': bool, 'cameras': list} | dict.fromkeys(_TEXTS, str) | dict.fromkeys(_MAPPINGS, dict)
    for name, kind in kinds.items():
        _expect(isinstance(getattr(card, name), kind), name, getattr(card, name), f'a {kind.__name__}')
    for name in (*_TEXTS, *_MAPPINGS, 'cameras'):
        _expect(_is_unicode(getattr(card, name)), name, getattr(card, name), 'Unicode text throughout')
    _expect(_is_whole(card.version, 0, MAX_VERSION), 'version', card.version, f'a whole number from 0 to {MAX_VERSION}')
    _expect(card.parent is None or _is_whole(card.parent, 0, MAX_VERSION), 'parent', card.parent,
            f'nothing or a whole number from 0 to {MAX_VERSION}')
    _expect(_is_number(card.focal_px) and card.focal_px > 0, 'focal_px', card.focal_px, 'a positive number')
    _expect(all(_is_number(card.sigma.get(part)) and card.sigma[part] >= 0 for part in ('floor', 'gain')), 'sigma',
            card.sigma, "numbers from 0 for 'floor' and 'gain'")
    depths = card.depth_range_m
    _expect(len(depths) == 2 and all(map(_is_number, depths)) and 0 < depths[0] < depths[1] < FARTHEST_M,
            'depth_range_m', depths, f'0 < nearest < farthest < {FARTHEST_M:g}')
    _check_input(card.input)
    _check_classes(card)


def _check_input(rule: InputRule) -> None:
    _expect(_is_whole(rule.multiple, STRIDE, 2 ** 10) and rule.multiple % STRIDE == 0, 'input.multiple',
            rule.multiple, f'a multiple of {STRIDE} up to 1024')
    block = rule.multiple ** 2
    _expect(_is_whole(rule.pixels, block, MAX_BLOCKS * block), 'input.pixels', rule.pixels,
            f'a whole number from {block} to {MAX_BLOCKS * block}')
    _expect(rule.cpu_pixels is None or _is_whole(rule.cpu_pixels, block, MAX_BLOCKS * block), 'input.cpu_pixels',
            rule.cpu_pixels, f'nothing or a whole number from {block} to {MAX_BLOCKS * block}')
    _expect(_is_number(rule.max_anisotropy) and rule.max_anisotropy >= 1, 'input.max_anisotropy', rule.max_anisotropy,
            'a number from 1')
    _expect(_is_number(rule.mean), 'input.mean', rule.mean, 'a number')
    _expect(_is_number(rule.std) and rule.std > 0, 'input.std', rule.std, 'a positive number')


def _check_classes(card: ModelCard) -> None:
    for c in card.classes:
        _expect(isinstance(c.name, str) and _is_unicode(c.name), 'class name', c.name, 'Unicode text')
        _expect(len(c.colour) == 3 and all(_is_whole(part, 0, 255) for part in c.colour), f'colour of {c.name!r}',
                c.colour, 'three whole numbers from 0 to 255')
        _expect(_is_whole(c.train_id, 0, 254), f'train_id of {c.name!r}', c.train_id, 'a whole number from 0 to 254')
        for flag in ('movable', 'ground'):
            _expect(isinstance(getattr(c, flag), bool), f'{flag} of {c.name!r}', getattr(c, flag), 'true or false')
    ids = [c.train_id for c in card.classes]
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

"""Settings out of plain lists, dicts and numbers, as YAML and JSON hold them, with every mistake named."""
from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import MISSING, fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

Settings = TypeVar('Settings')


class SettingsError(ValueError):
    """Settings that cannot be followed; the message is one line."""


def build(kind: type[Settings], content: Any, where: str) -> Settings:
    """Return a settings dataclass, and those inside it, of a mapping.

    :param kind: a dataclass; one with the attribute `short_form` takes a value that is no mapping for the field of that
        name
    :param where: what the messages call it
    :raises SettingsError: an unknown key (the message names those allowed), a missing one, a value of another type, or
        what the dataclass refuses
    """
    short = getattr(kind, 'short_form', None)
    if short is not None and not isinstance(content, dict):
        content = {short: content}
    if not isinstance(content, dict):
        raise SettingsError(f'{where} is {content!r}, expected a mapping')
    known = [f.name for f in fields(kind)]
    unknown = [key for key in content if key not in known]
    if unknown:
        raise SettingsError(f'{where} has unknown key {unknown[0]!r}, expected one of {sorted(known)}')
    missing = [name for name in _required(kind) if name not in content]
    if missing:
        raise SettingsError(f'{where} lacks {missing[0]!r}')
    hints = get_type_hints(kind)
    values = {key: _value(hints[key], value, f'{where}.{key}') for key, value in content.items()}
    try:
        return kind(**values)
    except SettingsError as error:
        raise SettingsError(f'{where}: {error}') from None


def settings_of(texts: Iterable[str], name: str = '--set') -> dict[str, Any]:
    """Return the values of KEY=VALUE texts by their keys, each read as YAML.

    :param name: what the messages call the texts
    :raises SettingsError: a text of another form
    """
    settings = {}
    for text in texts:
        key, found, value = text.partition('=')
        if not found:
            raise SettingsError(f'{name} {text!r}: expected KEY=VALUE')
        try:
            settings[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise SettingsError(f'{name} {text!r}: the value is not YAML') from None
    return settings


def nested(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings whose keys have dots, such as gates.least_travel_m, as mappings within mappings."""
    content: dict[str, Any] = {}
    for key, value in settings.items():
        for part in reversed(key.split('.')):
            value = {part: value}
        content = merged(content, value)
    return content


def merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Return two nested mappings in one; where both say something, the second does."""
    both = dict(first)
    for key, value in second.items():
        both[key] = merged(both[key], value) if isinstance(value, dict) and isinstance(both.get(key), dict) else value
    return both


def one_of(name: str, value: Any, allowed: Collection[str]) -> None:
    """Raise SettingsError unless the value is one of those allowed."""
    if not isinstance(value, str) or value not in allowed:
        raise SettingsError(f'{name} is {value!r}, expected one of {list(allowed)}')


def positive(name: str, value: float) -> None:
    """Raise SettingsError unless the value is positive and finite."""
    if not 0 < value < math.inf:
        raise SettingsError(f'{name} is {value}, expected a positive number')


def between(settings: Any, low: float, high: float, *names: str) -> None:
    """Raise SettingsError unless these values are finite and within low and high."""
    for name in names:
        value = getattr(settings, name)
        if not low <= value <= high or value == math.inf:
            wanted = f'at least {low}' if high == math.inf else f'{low} to {high}'
            raise SettingsError(f'{name} is {value}, expected {wanted}')


def _required(kind: type) -> list[str]:
    return [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]


def _value(hint: Any, value: Any, where: str) -> Any:
    if is_dataclass(hint):
        return build(hint, value, where)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple:
        return _tuple(arguments, value, where)
    if origin in (Union, UnionType):
        return _optional(arguments, value, where)
    return value if hint is Any else _plain_value(origin or hint, value, where)


def _tuple(kinds: tuple, value: Any, where: str) -> tuple:
    if not isinstance(value, (list, tuple)):
        raise SettingsError(f'{where} is {value!r}, expected a list')
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(value)
    if len(kinds) != len(value):
        raise SettingsError(f'{where} is {value!r}, expected {len(kinds)} values')
    return tuple(_value(kind, item, f'{where}[{i}]') for i, (kind, item) in enumerate(zip(kinds, value)))


def _optional(kinds: tuple, value: Any, where: str) -> Any:
    """Return None where that may be, else the value as the one other kind; of several others any value is taken."""
    others = [kind for kind in kinds if kind is not type(None)]
    if value is None and len(others) < len(kinds) or len(others) > 1:
        return value
    return _value(others[0], value, where)


def _plain_value(kind: type, value: Any, where: str) -> Any:
    if kind is float and isinstance(value, (int, str)) and not isinstance(value, bool):
        try:
            return float(value)
        except ValueError:
            raise SettingsError(f'{where} is {value!r}, expected a number') from None
    if kind is str and (value is None or isinstance(value, bool)):
        return value
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise SettingsError(f'{where} is {value!r}, expected {kind.__name__}')
    return value

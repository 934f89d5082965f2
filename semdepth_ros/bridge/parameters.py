"""The parameters of the nodes: one table from which they are declared, checked, written down and explained."""
from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

START, CONFIGURE, RUNNING = 'at start', 'when configured', 'any time'
_CHANGES = {START: 'Read at start.', CONFIGURE: 'Read when configured.', RUNNING: ''}
_APPLIES = {START: 'Read at start: cannot change.', CONFIGURE: 'Read when configured: a change needs cleanup before it.',
            RUNNING: 'A change applies at once.'}
SWITCH = {True: 'on', False: 'off'}     # what YAML 1.1, and so ROS, makes true and false of where it is not in quotes


@dataclass(frozen=True)
class Parameter:
    """One parameter: its default tells its type.

    :param change: START (read only), CONFIGURE (taken over by the configure transition) or RUNNING (at the next frame)
    :param choices: the values it may have, empty if others decide
    :param minimum, maximum: bounds, both allowed
    :param check: returns what is wrong with a value of the right type, None if nothing is; has no side effects
    """

    name: str
    default: Any
    description: str
    change: str = CONFIGURE
    choices: tuple = ()
    minimum: float | None = None
    maximum: float | None = None
    check: Callable[[Any], str | None] | None = None

    def validated(self, value: Any) -> Any:
        """Return value in this parameter's type.

        :raises ValueError: wrong type, not one of the choices, out of bounds, or what check says
        """
        value = self._typed(value)
        if self.choices and value not in self.choices:
            raise ValueError(f'{self.name} is {value!r}, expected one of {", ".join(map(str, self.choices))}')
        for number in value if isinstance(value, list) else [value]:
            if not _is_within(number, self.minimum, self.maximum):
                raise ValueError(f'{self.name} is {number}, expected {self.range_text}')
        wrong = self.check(value) if self.check else None
        if wrong:
            raise ValueError(f'{self.name} is {value!r}, expected {wrong}')
        return value

    @property
    def is_switch(self) -> bool:
        """Whether it may be on or off, which come as true and false where nobody has put them in quotes."""
        return set(SWITCH.values()) <= set(self.choices)

    @property
    def range_text(self) -> str:
        """The values it may have, in words; empty if any of its type."""
        if self.choices:
            return ', '.join(f'`{c}`' for c in self.choices)
        if self.maximum is None:
            return '' if self.minimum is None else f'at least {self.minimum:g}'
        return f'{self.minimum:g} to {self.maximum:g}'

    @property
    def explanation(self) -> str:
        """What it means and when a change applies, for people at a terminal."""
        return f'{self.description} {_APPLIES[self.change]}'.replace('`', '')

    def _typed(self, value: Any) -> Any:
        kind = type(self.default)
        if self.is_switch and type(value) is bool:
            value = SWITCH[value]
        if kind is float and type(value) is int:
            value = float(value)
        if kind is list and isinstance(value, (list, tuple)):
            value = list(value)
        members = kind is not list or (type(value) is list and all(isinstance(v, str) for v in value))
        if type(value) is not kind or not members or (kind is float and not math.isfinite(value)):
            names = {float: 'a finite number', int: 'a whole number', bool: 'true or false', str: 'text',
                     list: 'a list of texts'}
            raise ValueError(f'{self.name} is {value!r}, expected {names[kind]}')
        return value


def as_yaml(table: Collection[Parameter], title: str) -> str:
    """Return the table as a parameter file with every default and what it means."""
    lines = [*_wrapped(title, '# '), '', '/**:', '  ros__parameters:']
    for p in table:
        values = f' Values: {p.range_text}.' if p.range_text else ''
        text = f'{p.description}{values} {_CHANGES[p.change]}'.replace('`', '')
        lines += ['', *_wrapped(text.rstrip(), '    # '), f'    {p.name}: {_yaml_value(p.default)}']
    return '\n'.join(lines) + '\n'


def as_markdown(table: Collection[Parameter]) -> str:
    """Return the table as Markdown."""
    rows = [f'| `{p.name}` | `{_yaml_value(p.default)}` | {p.range_text} | {p.change} | {p.description} |'
            for p in table]
    return '\n'.join(['| parameter | default | values | changes | meaning |', '|---|---|---|---|---|', *rows]) + '\n'


def _is_within(number: float, minimum: float | None, maximum: float | None) -> bool:
    return (minimum is None or number >= minimum) and (maximum is None or number <= maximum)


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, 110, initial_indent=indent, subsequent_indent=indent)


def _yaml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{value}'"
    return f'[{", ".join(map(_yaml_value, value))}]' if isinstance(value, list) else str(value)

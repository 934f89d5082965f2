"""Settings out of mappings: what is taken, and what is said about mistakes."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from semdepth_ros.settings import SettingsError, between, build, merged, nested, one_of, settings_of


@dataclass(frozen=True)
class Lens:
    kind: str
    radius_m: float = 0.01
    short_form: ClassVar[str] = 'kind'

    def __post_init__(self):
        one_of('kind', self.kind, ('flat', 'round'))
        between(self, 0, 1, 'radius_m')


@dataclass(frozen=True)
class Telescope:
    lenses: tuple[Lens, ...] = ()
    size: tuple[int, int] = (4, 3)
    focal_m: float | None = None
    notes: dict[str, str] = field(default_factory=dict)


def test_a_mapping_becomes_the_dataclass_and_those_inside_it():
    built = build(Telescope, {'lenses': [{'kind': 'flat'}, {'kind': 'round', 'radius_m': '2e-1'}], 'size': [6, 8],
                              'focal_m': 2}, 'telescope')
    assert built == Telescope((Lens('flat'), Lens('round', 0.2)), (6, 8), 2.0)
    assert isinstance(built.focal_m, float)
    assert build(Telescope, {'focal_m': None}, 'telescope') == Telescope()


def test_a_value_that_is_no_mapping_stands_for_the_field_that_the_class_names():
    assert build(Lens, 'round', 'lens') == build(Lens, {'kind': 'round'}, 'lens')


@pytest.mark.parametrize('content, message', [
    ({'lens': []}, "telescope has unknown key 'lens', expected one of .'focal_m', 'lenses', 'notes', 'size'."),
    ({3: []}, 'telescope has unknown key 3'),
    ({'lenses': [{}]}, r"telescope.lenses\[0\] lacks 'kind'"),
    ({'lenses': ['square']}, r"telescope.lenses\[0\]: kind is 'square', expected one of .'flat', 'round'."),
    ({'lenses': [{'kind': ['flat']}]}, r"telescope.lenses\[0\].kind is \['flat'\], expected str"),
    ({'lenses': [{'kind': 'flat', 'radius_m': float('nan')}]}, 'radius_m is nan, expected 0 to 1'),
    ({'size': [1, 2, 3]}, r'telescope.size is \[1, 2, 3\], expected 2 values'),
    ({'size': [1, True]}, r'telescope.size\[1\] is True, expected int'),
    ({'focal_m': 'far'}, "telescope.focal_m is 'far', expected a number"),
    ({'notes': []}, r'telescope.notes is \[\], expected dict'),
    ('round', "telescope is 'round', expected a mapping"),
])
def test_mistakes_are_named_in_one_line(content, message):
    with pytest.raises(SettingsError, match=message) as error:
        build(Telescope, content, 'telescope')
    assert '\n' not in str(error.value)


def test_texts_become_settings_inside_one_another():
    settings = settings_of(['gates.off=[texture, loss]', 'gates.least_travel_m=0.3', 'mode=on', 'mode=shadow'])
    assert settings == {'gates.off': ['texture', 'loss'], 'gates.least_travel_m': 0.3, 'mode': 'shadow'}
    assert nested(settings) == {'gates': {'off': ['texture', 'loss'], 'least_travel_m': 0.3}, 'mode': 'shadow'}
    assert nested({'a': 1, 'a.b': 2}) == {'a': {'b': 2}}
    assert merged({'a': {'b': 1, 'c': 2}, 'd': 3}, {'a': {'b': 4}, 'd': {'e': 5}}) == {'a': {'b': 4, 'c': 2}, 'd': {'e': 5}}


@pytest.mark.parametrize('text, words', [('mode', 'expected KEY=VALUE'), ('mode=[', 'the value is not YAML')])
def test_texts_of_another_form_are_named(text, words):
    with pytest.raises(SettingsError, match=words):
        settings_of([text], 'settings')

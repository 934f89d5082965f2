"""From YAML to a recipe, with every mistake named."""
from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import yaml

from semdepth_ros.share import share_folders
from semdepth_ros.training.recipe import Recipe, RecipeError
from semdepth_ros.training.terms import TERMS


# the term that a setting belongs to which may stand beside the weights
TERM_OF = {'auto_mask': 'photometric', 'trust_confidence': 'semantic', 'label_smoothing': 'semantic',
           'class_weights': 'semantic'}


def read_recipe(name: str | Path, overrides: dict[str, Any] | None = None) -> Recipe:
    """Read a recipe by path or by its name among the recipes that come with the package.

    :param overrides: dotted keys and the values that replace the file's (`{'losses.velocity': 0.5}`)
    :raises RecipeError: no such file, not YAML, an unknown key, a value out of range
    """
    path = find_recipe(name)
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise RecipeError(f'{path} is not YAML: {" ".join(str(error).split())}') from None
    if not isinstance(content, dict):
        raise RecipeError(f'{path} holds {type(content).__name__}, expected a mapping of recipe keys')
    content.setdefault('name', path.stem)
    for key, value in (overrides or {}).items():
        _override(content, key, value)
    return recipe_from(content)


def recipe_from(content: dict[str, Any]) -> Recipe:
    """Return the recipe of plain lists, dicts and numbers.

    Settings of a term may also stand beside the weights, as recipes had them before terms were mappings (TERM_OF).

    :raises RecipeError: an unknown key (the message names those allowed), a missing one, a value out of range
    """
    return _build(Recipe, _with_terms(content), 'recipe')


def find_recipe(name: str | Path) -> Path:
    """Return the file of a recipe: a path, or a name in config/recipes of the source tree or the installed share/.

    :raises RecipeError: neither exists; the names that do are said
    """
    path = Path(name)
    if path.is_file():
        return path
    folders = share_folders('config', 'recipes')
    for folder in folders:
        if (folder / f'{name}.yaml').is_file():
            return folder / f'{name}.yaml'
    known = sorted({file.stem for folder in folders for file in folder.glob('*.yaml')})
    raise RecipeError(f'no recipe {str(name)!r}: neither a file nor one of {known}')


def _with_terms(content: Any) -> Any:
    """Return the content with the settings that stand beside the weights moved into their terms."""
    losses = content.get('losses') if isinstance(content, dict) else None
    if not isinstance(losses, dict) or not TERM_OF.keys() & losses:
        return content
    losses = dict(losses)
    for key in TERM_OF.keys() & losses.keys():
        term = losses.get(TERM_OF[key], {})
        losses[TERM_OF[key]] = (term if isinstance(term, dict) else {'weight': term}) | {key: losses.pop(key)}
    return content | {'losses': losses}


def _build(kind: type, content: Any, where: str) -> Any:
    short = getattr(kind, 'short_form', None)
    if short and not isinstance(content, dict):
        content = {short: content}
    if not isinstance(content, dict):
        raise RecipeError(f'{where} is {content!r}, expected a mapping')
    hints, known = get_type_hints(kind), {f.name: f for f in fields(kind)}
    unknown = sorted(set(content) - set(known))
    if unknown:
        raise RecipeError(f'{where} has unknown key {unknown[0]!r}, expected one of {sorted(known)}')
    required = [name for name, f in known.items() if f.default is MISSING and f.default_factory is MISSING]
    missing = [name for name in required if name not in content]
    if missing:
        raise RecipeError(f'{where} lacks {missing[0]!r}')
    values = {key: _value(hints[key], value, f'{where}.{key}') for key, value in content.items()}
    try:
        return kind(**values)
    except RecipeError as error:
        raise RecipeError(f'{where}: {error}') from None


def _value(hint: Any, value: Any, where: str) -> Any:
    if is_dataclass(hint):
        return _build(hint, value, where)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise RecipeError(f'{where} is {value!r}, expected a list')
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        if len(kinds) != len(value):
            raise RecipeError(f'{where} is {value!r}, expected {len(kinds)} values')
        return tuple(_value(kind, item, f'{where}[{i}]') for i, (kind, item) in enumerate(zip(kinds, value)))
    if origin in (Union, UnionType) or hint is Any:
        return value
    return _plain_value(origin or hint, value, where)


def _plain_value(kind: type, value: Any, where: str) -> Any:
    if kind is float and isinstance(value, (int, str)) and not isinstance(value, bool):
        try:
            return float(value)
        except ValueError:
            raise RecipeError(f'{where} is {value!r}, expected a number') from None
    if kind is str and (value is None or isinstance(value, bool)):
        return value
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise RecipeError(f'{where} is {value!r}, expected {kind.__name__}')
    return value


def _override(content: dict[str, Any], dotted: str, value: Any) -> None:
    *path, last = dotted.split('.')
    if path == ['losses'] and last in TERMS and not isinstance(value, dict):
        path, last = [*path, last], 'weight'
    for key in path:
        if key in TERMS and isinstance(content.get(key), (int, float)):
            content[key] = {'weight': content[key]}
        content = content.setdefault(key, {})
        if not isinstance(content, dict):
            raise RecipeError(f'{dotted!r} cannot be set: {key!r} is not a mapping')
    content[last] = value

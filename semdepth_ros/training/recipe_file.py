"""From YAML to a recipe, with every mistake named."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from semdepth_ros.settings import SettingsError, build
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
    try:
        return build(Recipe, _with_terms(content), 'recipe')
    except SettingsError as error:
        raise RecipeError(str(error)) from None


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

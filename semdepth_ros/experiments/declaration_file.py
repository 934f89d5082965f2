"""From YAML to a declared experiment, with every mistake named."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from semdepth_ros.experiments.declaration import Experiment, TrainingData
from semdepth_ros.settings import SettingsError, build
from semdepth_ros.share import shared_names

# keys of an experiment that an extending one adds to instead of replacing
ADDED_TO = ('set', 'data', 'towns')


def read_experiment(name: str | Path) -> Experiment:
    """Read an experiment by path or by its name among those that come with the package.

    A file that `extends` another, by its name or that of a file beside it, has everything of that but what it says
    itself; ADDED_TO are merged key by key.

    :raises SettingsError: no such file, not YAML, an unknown key, a value out of range; in one line
    """
    path = find_experiment(name)
    content = _content(path, ())
    data = content.get('data')
    if not isinstance(data, dict):
        raise SettingsError(f'{path}: data is {data!r}, expected a mapping of names to training data')
    content['data'] = {key: build(TrainingData, value, f'{path}: data.{key}') for key, value in data.items()}
    return build(Experiment, content | {'name': path.stem}, str(path))


def find_experiment(name: str | Path) -> Path:
    """Return the file of an experiment: a path, or a name in config/ablations.

    :raises SettingsError: neither exists; the names that do are said
    """
    path, known = Path(name), known_experiments()
    if path.is_file():
        return path
    if str(name) not in known:
        raise SettingsError(f'no experiment {str(name)!r}: neither a file nor one of {list(known)}')
    return known[str(name)]


def known_experiments() -> dict[str, Path]:
    """Return the experiments that come with the package, by name."""
    return shared_names('config', 'ablations')


def _content(path: Path, extending: tuple[Path, ...]) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f'{path} is not YAML: {" ".join(str(error).split())}') from None
    if not isinstance(content, dict):
        raise SettingsError(f'{path} holds {type(content).__name__}, expected a mapping of the keys of an experiment')
    if 'extends' not in content:
        return content
    name = content.pop('extends')
    named = [path.parent / f'{name}.yaml', path.parent / str(name)]
    base = next((file for file in named if file.is_file()), None) or find_experiment(name)
    if base in (*extending, path):
        raise SettingsError(f'{path} extends itself by way of {base}')
    under = _content(base, (*extending, path))
    merged = {key: under[key] | content[key] for key in ADDED_TO
              if isinstance(under.get(key), dict) and isinstance(content.get(key), dict)}
    return under | content | merged

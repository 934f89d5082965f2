"""A declared experiment small enough to run in seconds: a corridor to learn from, two corridors for towns."""
from __future__ import annotations

from pathlib import Path

import yaml
from plane_world import CAMERA, Corridor

from semdepth_ros.data import write_folder_sequence
from semdepth_ros.experiments import Experiment, read_experiment
from semdepth_ros.experiments.plan import Folders, town_folders

RECIPE = {'architecture': {'encoder': 'small', 'initial_depth': 10.0}, 'focal_px': 60, 'sizes': [[64, 32]], 'batch': 2,
          'steps': 99, 'losses': {'photometric': 1.0, 'velocity': 0.3, 'semantic': 0.0}, 'checkpoint_every': 10,
          'validation': [{'source': 'nowhere'}], 'optimisation': {'learning_rate': 1e-3}}
DECLARED = {
    'title': 'A tiny experiment', 'recipe': 'recipe.yaml', 'seeds': [1], 'steps': 3,
    'start': {'arm': 'plain', 'steps': 2},
    'data': {'clean': {'source': 'corridor'}, 'none': {'source': 'corridor', 'labels': 'none'}},
    'towns': {'count': 2, 'frames': 2, 'size': [96, 64]}, 'real': ['street'],
    'arms': [{'name': 'plain', 'about': 'depth alone'},
             {'name': 'semantic', 'about': 'and classes', 'against': 'plain', 'set': {'losses.semantic': 0.5}}],
    'hypotheses': [{'text': 'Classes sharpen borders', 'metric': 'median_scaled.within_border_5px.abs_rel',
                    'arm': 'semantic', 'reference': 'plain', 'at_most': -0.1}]}


def declare(folder: Path, **changes) -> Path:
    """Write the experiment, with some keys changed, and its recipe and data; return its file.

    Other arms have no hypotheses unless they are given.
    """
    recipe, corridor = folder / 'recipe.yaml', folder / 'corridor'
    recipe.write_text(yaml.safe_dump(RECIPE))
    if not corridor.exists():
        write_folder_sequence(corridor / 'drive', Corridor(5), CAMERA)
    content = DECLARED | {'recipe': str(recipe)} | ({'hypotheses': []} if 'arms' in changes else {}) | changes
    content['data'] = {name: data | ({'source': str(corridor)} if 'source' in data else {})
                       for name, data in content['data'].items()}
    file = folder / 'tiny.yaml'
    file.write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not None}))
    return file


def experiment(folder: Path, **changes) -> Experiment:
    """Return the experiment of declare."""
    return read_experiment(declare(folder, **changes))


def build_towns(declared: Experiment, folders: Folders) -> None:
    """Put corridors where the test towns would be rendered."""
    for n, (_, _, path) in enumerate(town_folders(declared.towns, folders).values()):
        write_folder_sequence(path, Corridor(declared.towns.frames, step_m=1.0 + n), CAMERA)

"""What a run leaves behind so that it can continue, or be understood when it broke."""
from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from safetensors.torch import save_file
from torch import Tensor

from semdepth_ros.training.batch import TripletBatch
from semdepth_ros.training.recipe import Recipe, RecipeError
from semdepth_ros.training.recipe_file import recipe_from

LAST = 'last.ckpt'
# what may differ between a run and its continuation
FREE_KEYS = {'name', 'steps', 'workers', 'validation', 'log_every', 'validate_every', 'validation_frames',
             'checkpoint_every'}


class CheckpointError(ValueError):
    """A checkpoint that cannot be continued from; the message is one line."""


class NonFiniteLossError(ValueError):
    """A loss or gradient became infinite or NaN; the message says at which step and where the batch was saved."""


def save_checkpoint(fabric: Fabric, folder: Path, state: dict[str, Any]) -> Path:
    """Write the checkpoint under a temporary name and rename it, so that it is whole or absent; return its path."""
    path, partial = folder / LAST, folder / (LAST + '.partial')
    fabric.save(partial, state)
    fabric.barrier()
    if fabric.is_global_zero:
        with open(partial, 'rb') as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    fabric.barrier()
    return path


def load_checkpoint(fabric: Fabric, folder: Path, state: dict[str, Any], recipe: Recipe) -> None:
    """Fill state from the folder's checkpoint, in place.

    A checkpoint of before `processes` was kept is taken to come from as many as there are.

    :raises CheckpointError: there is none, it is damaged, or it comes from another recipe or number of processes
    """
    path = folder / LAST
    if not path.is_file():
        raise CheckpointError(f'nothing to resume: {path} does not exist')
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
        saved = content['recipe']
    except (RuntimeError, EOFError, KeyError, OSError) as error:
        raise CheckpointError(f'{path} cannot be read: {str(error).splitlines()[0]}') from None
    except Exception as error:
        raise CheckpointError(f'{path} is not a checkpoint of this program: {str(error).splitlines()[0]}') from None
    expect_same_recipe(path, saved, recipe)
    processes = content.get('processes', fabric.world_size)
    if processes != fabric.world_size:
        raise CheckpointError(f'{path} comes from {processes} processes, now there are {fabric.world_size}: continue '
                              f'with as many')
    kept = {key: value for key, value in state.items() if key != 'processes'}
    fabric.load(path, kept, weights_only=True)
    state |= kept


def save_broken_batch(fabric: Fabric, folder: Path, step: int, batch: TripletBatch, losses: dict[str, Tensor]
                      ) -> Path:
    """Write every process's batch of a step that was not finite, for inspection; return this one's path."""
    process = f'_process_{fabric.global_rank}' if fabric.world_size > 1 else ''
    path = folder / f'nonfinite_step_{step}{process}.safetensors'
    folder.mkdir(parents=True, exist_ok=True)
    values = {name: str(float(value.detach())) for name, value in losses.items()}
    tensors = {name: value.detach().cpu().contiguous() for name, value in batch._asdict().items() if value is not None}
    save_file(tensors, path,
              metadata={'step': str(step), 'losses': json.dumps(values)})
    fabric.barrier()
    return path


def expect_same_recipe(path: Path, saved: dict[str, Any], recipe: Recipe) -> None:
    """Raise CheckpointError where what is saved in path, as plain values, is another recipe in more than FREE_KEYS."""
    saved, given = _completed(path, saved), recipe.as_dict()
    for key in sorted((saved.keys() | given.keys()) - FREE_KEYS):
        if saved.get(key) != given.get(key):
            raise CheckpointError(f'{path} was trained with another {key}: {saved.get(key)!r}, now {given.get(key)!r}; '
                                  f'to train on with other settings start a new run with --init')


def _completed(path: Path, saved: dict[str, Any]) -> dict[str, Any]:
    """Return a saved recipe with the defaults of keys that recipes did not have yet."""
    try:
        return recipe_from(saved).as_dict()
    except RecipeError as error:
        raise CheckpointError(f'{path} comes from a recipe that cannot be followed any more: {error}') from None

"""What commands that train make of their arguments."""
from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable
from typing import Any


def again(args: argparse.Namespace) -> str:
    """Return the command that continues this one."""
    return shlex.join(['semdepth', *sys.argv[1:]] + ([] if args.resume else ['--resume']))


def seeded(seed: int, build: Callable, *arguments) -> Any:
    """Return what is built of the arguments under torch's seed."""
    import torch
    torch.manual_seed(seed)
    return build(*arguments)


def begun_from(model: str, recipe) -> tuple[Any, Any]:
    """Return the network of a model file, with the recipe's guidance where that is another kind, and its card.

    Says so in one line where guidance is new.

    :param recipe: a Recipe
    :raises ValueError: a model file or guidance that cannot be used, in one line
    """
    from semdepth_ros.networks import load_network, with_guidance
    network, card = load_network(model)
    begun = seeded(recipe.seed, with_guidance, network, recipe.architecture.get('guidance', 'plain'))
    if begun is not network:
        print(f'{model} gets guidance of its recipe, {_said(begun.architecture["guidance"])} in place of '
              f'{_said(network.architecture["guidance"])}: depth begins as it was without')
    return begun, card


def _said(guidance: Any) -> str:
    return ' and '.join(each['kind'] for each in (guidance if isinstance(guidance, list) else [guidance]))

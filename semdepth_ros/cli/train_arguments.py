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

    Says so in one line where guidance is new, and where it stays though the recipe has other settings of it.

    :param recipe: a Recipe
    :raises ValueError: a model file or guidance that cannot be used, in one line
    """
    from semdepth_ros.networks import load_network, with_guidance
    network, card = load_network(model)
    wanted = recipe.architecture.get('guidance', 'plain')
    begun = seeded(recipe.seed, with_guidance, network, wanted)
    if begun is not network:
        own = begun.architecture['guidance']
        random = any(each.get('initial_weights') == 'random' for each in _listed(own))
        print(f'{model} gets guidance of its recipe, {_said(own)} in place of {_said(network.architecture["guidance"])}: '
              f'{"its convolutions begin at random, and depth with them" if random else "depth begins as it was without"}')
    else:
        kept = _differing(wanted, network.architecture['guidance'])
        if kept:
            print(f'{model} keeps its guidance, {_said(network.architecture["guidance"])}, as it is: of the recipe '
                  f'{", ".join(kept)} {"is" if len(kept) == 1 else "are"} not used')
    return begun, card


def _differing(wanted: Any, own: Any) -> list[str]:
    """Return the settings of a recipe's guidance that a network with guidance of the same kind does not have."""
    from semdepth_ros.networks.guidance import complete_guidance
    asked, whole, had = _listed(wanted), _listed(complete_guidance(wanted)), _listed(own)
    if [each['kind'] for each in whole] != [each['kind'] for each in had]:
        return []                                           # the recipe names none
    return sorted({key for named, each, other in zip(asked, whole, had) if isinstance(named, dict)
                   for key in named if each[key] != other.get(key)})


def _listed(guidance: Any) -> list[Any]:
    return list(guidance) if isinstance(guidance, (list, tuple)) else [guidance]


def _said(guidance: Any) -> str:
    return ' and '.join(each['kind'] for each in _listed(guidance))

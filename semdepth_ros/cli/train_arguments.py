"""What commands that train make of their arguments."""
from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable
from typing import Any

import yaml


def settings_of(texts: list[str], flag: str = '--set') -> dict[str, Any]:
    """Return the values of KEY=VALUE texts by their keys, each read as YAML.

    :param flag: what the messages call the argument
    :raises ValueError: a text of another form
    """
    settings = {}
    for text in texts:
        key, found, value = text.partition('=')
        if not found:
            raise ValueError(f'{flag} {text!r}: expected KEY=VALUE')
        try:
            settings[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ValueError(f'{flag} {text!r}: the value is not YAML') from None
    return settings


def again(args: argparse.Namespace) -> str:
    """Return the command that continues this one."""
    return shlex.join(['semdepth', *sys.argv[1:]] + ([] if args.resume else ['--resume']))


def seeded(seed: int, build: Callable, *arguments) -> Any:
    """Return what is built of the arguments under torch's seed."""
    import torch
    torch.manual_seed(seed)
    return build(*arguments)

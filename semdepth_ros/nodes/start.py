"""Start a node: `python -m semdepth_ros.nodes.start perception`. Loads nothing before Ctrl-C has a quiet end."""
from __future__ import annotations

from importlib import import_module
import os
import signal
import sys

NODES = ('perception', 'adaptation', 'evaluation')
INTERRUPTED = 128 + signal.SIGINT


def perception() -> int:
    """Run the perception node; return its exit code."""
    return run('perception', sys.argv)


def adaptation() -> int:
    """Run the adaptation node; return its exit code."""
    return run('adaptation', sys.argv)


def evaluation() -> int:
    """Run the evaluation node; return its exit code."""
    return run('evaluation', sys.argv)


def run(name: str, argv: list[str]) -> int:
    """Load and run a node until SIGINT or SIGTERM; return its exit code. SIGINT while it is loaded ends the process.

    :param name: one of NODES
    :param argv: the process's arguments, its own name first
    """
    # There is nothing to give back yet, and an exception could be caught or told of by whatever is being imported.
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    return import_module(f'semdepth_ros.nodes.{name}').main(argv)


if __name__ == '__main__':
    if sys.argv[1:2] == [] or sys.argv[1] not in NODES:
        sys.exit(f'expected one of {", ".join(NODES)}')
    sys.exit(run(sys.argv[1], sys.argv[1:]))

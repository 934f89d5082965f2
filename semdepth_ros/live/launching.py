"""How launch files start this package's programs, installed by colcon or by pip."""
from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
import sys

STARTED_S = 5  # in which a node loads its model; ros2 bag play waits for nobody


def node_program(share: Path, name: str) -> dict:
    """Return what launch_ros's Node is to start: the program beside an installed share/, else the Python module.

    :param share: the package's share folder, or its source tree
    :param name: of the node, as in setup.py
    """
    if (share.parents[1] / 'lib' / 'semdepth_ros' / name).is_file():
        return {'package': 'semdepth_ros', 'executable': name}
    return {'executable': sys.executable, 'arguments': ['-m', f'semdepth_ros.nodes.{name}']}


def player_command(bag: str, rate: float = 1.0) -> list[str]:
    """Return the command that plays a bag with its clock: ros2 bag where that is installed."""
    pace = ['--rate', f'{rate:g}'] if rate != 1 else []
    if find_spec('ros2bag'):
        return ['ros2', 'bag', 'play', bag, '--clock', '--exclude-topics', '/clock', '--disable-keyboard-controls',
                '--delay', str(STARTED_S), *pace]
    return [sys.executable, '-m', 'semdepth_ros.live.player', bag, '--clock', '--wait', '30', *pace]


def is_true(text: str) -> bool:
    """Return what a launch argument says.

    :raises ValueError: it says neither true nor false
    """
    if text.lower() not in ('true', 'false'):
        raise ValueError(f'launch argument is {text!r}, expected true or false')
    return text.lower() == 'true'

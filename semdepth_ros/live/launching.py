"""How launch files start this package's programs, installed by colcon or by pip: nothing before all is known to be there."""
from __future__ import annotations

import atexit
from collections.abc import Collection, Mapping
from contextlib import suppress
from importlib.util import find_spec
import os
from pathlib import Path
import re
import shutil
import signal
import sys
import threading
import time
from typing import Any

from semdepth_ros.bridge.parameters import Parameter

STARTED_S = 5  # in which a node loads its model; ros2 bag play waits for nobody
LEVELS = ('debug', 'info', 'warn', 'error', 'fatal')
_END_S = 60.0  # for a node to end by itself: one that evaluates writes its report


def node_program(share: Path, name: str) -> dict:
    """Return what launch_ros's Node is to start: the program beside an installed share/, else the Python module.

    :param share: the package's share folder, or its source tree
    :param name: of the node, as in setup.py
    """
    if (share.parents[1] / 'lib' / 'semdepth_ros' / name).is_file():
        return {'package': 'semdepth_ros', 'executable': name}
    return {'executable': sys.executable, 'arguments': ['-m', 'semdepth_ros.nodes.start', name]}


def expect_program(package: str, program: str, wish: str) -> None:
    """Raise ValueError where a program of another package is not installed.

    :param wish: the launch argument that asks for it
    """
    from ament_index_python.packages import PackageNotFoundError, get_package_prefix
    with suppress(PackageNotFoundError):
        if (Path(get_package_prefix(package)) / 'lib' / package / program).is_file():
            return
    raise ValueError(f'{wish} needs {package}, which is not installed; nothing has been started')


def player_command(bag: str, rate: float = 1.0) -> list[str]:
    """Return the command that plays a bag with its clock: ros2 bag where that is installed."""
    pace = ['--rate', f'{rate:g}'] if rate != 1 else []
    if find_spec('ros2bag') and shutil.which('ros2'):
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


def given_parameters(table: Collection[Parameter], arguments: Mapping[str, str]) -> dict[str, Any]:
    """Return the launch arguments that are parameters of the same name and not empty, in the parameters' types.

    :raises ValueError: a value that the parameter cannot have
    """
    return {p.name: p.validated(_typed(p, arguments[p.name])) for p in table if arguments.get(p.name)}


def log_level(text: str) -> list[str]:
    """Return what hands a log level on to a node, nothing where it is empty.

    :param text: such as debug, or logger:=debug
    :raises ValueError: no level that ROS has
    """
    if text and text.rpartition(':=')[2].lower() not in LEVELS:
        raise ValueError(f'log_level is {text!r}, expected one of {", ".join(LEVELS)}, or LOGGER:= before it')
    return ['--log-level', text] if text else []


def ended_with_launch(actions: Collection[Any]) -> list[Any]:
    """Return actions that make these processes end with the launch, whatever ends it.

    launch has a way out for SIGTERM, on which it leaves what it has started running, but takes it only where Python
    handles the signal; else it is killed on the spot.
    """
    from launch.actions import RegisterEventHandler
    from launch.event_handlers import OnProcessExit, OnProcessStart
    running: set[int] = set()
    atexit.register(_end, running)
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda *_: None)  # launch hears of it through Python's wakeup descriptor
    handlers = []
    for action in actions:
        handlers += [OnProcessStart(target_action=action, on_start=lambda event, context: running.add(event.pid)),
                     OnProcessExit(target_action=action, on_exit=lambda event, context: running.discard(event.pid))]
    return [RegisterEventHandler(handler) for handler in handlers]


def _end(running: set[int]) -> None:
    """Ask processes of this one to end, and wait for them."""
    for pid in running:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + _END_S
    for pid in running:
        with suppress(ChildProcessError):  # somebody else has seen it end
            while os.waitpid(pid, os.WNOHANG) == (0, 0) and time.monotonic() < until:
                time.sleep(0.05)


def _typed(parameter: Parameter, text: str) -> Any:
    """Return a text as the parameter's type has it; as it is where it cannot be that."""
    kind = type(parameter.default)
    if kind is bool:
        return is_true(text)
    if kind is list:
        return [word for word in re.split(r'[\s,\[\]\'"]+', text) if word]
    with suppress(ValueError):
        return kind(text)
    return text

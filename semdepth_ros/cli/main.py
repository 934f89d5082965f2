"""Find the command that was asked for, run it, and say in one line what went wrong."""
from __future__ import annotations

import argparse
from importlib import import_module
import os
import signal
import sys
import threading

from semdepth_ros import __version__

# name: (module with add_parser(subparsers), what `semdepth --help` says). A module is imported when its command is
# asked for, so that help is quick and a command needs no other command's packages.
COMMANDS = {
    'demo': ('semdepth_ros.cli.demo', 'drive through a town: the node perceives it on a real ROS 2 graph'),
    'run': ('semdepth_ros.cli.run', 'start a node'),
    'replay': ('semdepth_ros.cli.replay', 'perceive every frame of a recording, without ROS'),
    'bag': ('semdepth_ros.cli.bag', 'make a bag from images or a video; look into a bag'),
    'evaluate': ('semdepth_ros.cli.evaluate', 'compare a model with the truth; figures and a report'),
    'bench': ('semdepth_ros.cli.bench', 'measure latencies on this machine'),
    'world': ('semdepth_ros.cli.world', 'render a drive with exact truth'),
    'train': ('semdepth_ros.cli.train', 'train a model from a recipe'),
    'average': ('semdepth_ros.cli.average', 'write the mean of several models'),
    'filter': ('semdepth_ros.cli.filter', 'list training images with holes in the road'),
    'ablate': ('semdepth_ros.cli.ablate', 'run a declared experiment: arms, equal budgets, tables'),
    'adapt': ('semdepth_ros.cli.adapt', 'let a model learn from a drive, and serve only what is better'),
    'pairs': ('semdepth_ros.cli.pairs', "look at the ranking loss's pairs of points"),
    'guidance': ('semdepth_ros.cli.guidance', 'look at what guidance does to depth'),
    'label': ('semdepth_ros.cli.label', 'give drives the labels of a model'),
    'hints': ('semdepth_ros.cli.hints', 'look at depth hints and refined labels'),
    'calibrate': ('semdepth_ros.cli.calibrate', 'find the metric scale of a new camera'),
}
EXTRAS = {
    **dict.fromkeys(('lightning', 'lightning_fabric', 'tensorboard', 'tqdm'), 'train'),
    **dict.fromkeys(('rosbags', 'mcap', 'zstandard'), 'bags'), 'jinja2': 'report',
    **dict.fromkeys(('rclpy', 'rosidl_parser', 'std_msgs', 'sensor_msgs', 'std_srvs', 'nav_msgs',
                                         'diagnostic_msgs', 'geometry_msgs', 'lifecycle_msgs'), 'ros')}


def main(argv: list[str] | None = None) -> int:
    """Run one command; return its exit code: 0, 2 after one line on stderr, 130 after Ctrl-C, the command's own."""
    argv = sys.argv[1:] if argv is None else argv
    name = next((a for a in argv if not a.startswith('-')), None)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminated)
    try:
        try:
            args = build_parser(name).parse_args(argv)
            return args.run(args) or 0
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        return _nobody_reads()
    except ModuleNotFoundError as error:
        return _fail(name, missing_module(error))
    except (ValueError, OSError) as error:
        return _fail(name, str(error))
    except KeyboardInterrupt:
        return 130


def build_parser(chosen: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of all commands; only the chosen one's module is imported and has its arguments."""
    parser = argparse.ArgumentParser('semdepth', description='Depth and classes from camera images')
    parser.add_argument('--version', action='version', version=f'%(prog)s {__version__}')
    subparsers = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)
    for name, (module, text) in COMMANDS.items():
        if name == chosen:
            import_module(module).add_parser(subparsers)
        else:
            subparsers.add_parser(name, help=text)
    return parser


def missing_module(error: ModuleNotFoundError) -> str:
    """Say what to install for a module that was not found."""
    module = error.name or ''
    package = module.split('.')[0]
    if module.startswith(('semdepth_ros.msg', 'semdepth_ros.srv')):
        return ("the messages of semdepth_ros were not built, since it was installed where no ROS 2 was found: install "
                'ROS 2, then semdepth_ros once more')
    if EXTRAS.get(package) == 'ros':
        return (f'the Python module {package} is missing: source or install ROS 2, then install semdepth_ros once more, '
                'so that its messages are built')
    if package in EXTRAS:
        return f"the Python module {package} is missing: pip install '.[{EXTRAS[package]}]' in semdepth_ros's folder"
    if package == 'semdepth_ros':
        raise error
    return f'the Python module {package} is missing: pip install {package}'


def _terminated(number: int, frame) -> None:
    """End as Ctrl-C does, so that nothing half-written stays."""
    raise SystemExit(128 + number)


def _nobody_reads() -> int:
    """Return the exit code of a program that writes to a pipe which was closed, as `semdepth ... | head` does."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that Python's own end does not complain
    return 128 + signal.SIGPIPE


def _fail(command: str | None, text: str) -> int:
    line = ' '.join(text.split())
    print(f'semdepth {command}: {line}' if command else f'semdepth: {line}', file=sys.stderr)
    return 2


if __name__ == '__main__':
    sys.exit(main())

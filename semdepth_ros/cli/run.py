"""`semdepth run NODE`: become a node, with room for images in the middleware."""
from __future__ import annotations

import argparse
from importlib.util import find_spec
import os
import sys

from semdepth_ros.bridge.middleware import with_large_messages

START, NODES = 'semdepth_ros.nodes.start', ('adaptation', 'evaluation', 'perception')


def add_parser(subparsers) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser('run', help='start a node', description=(
        'Start a node as ros2 run would, with the Fast DDS profile for large messages. What follows NODE is handed to '
        'it, such as: --ros-args -r image:=/camera/image -p model:=default'))
    parser.add_argument('--profile', metavar='XML', help='Fast DDS profile; default: the one in the environment, else '
                                                         "the package's config/fastdds_large_messages.xml")
    parser.add_argument('node', choices=NODES, metavar='NODE', help=', '.join(NODES))
    parser.add_argument('arguments', nargs=argparse.REMAINDER, metavar='...', help='arguments of the node')
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Replace this process by the node, so that it has this one's terminal, id and signals.

    :raises ValueError: the profile does not exist
    :raises ModuleNotFoundError: there is no ROS 2 in this Python environment, or it came after this package
    """
    if args.profile and not os.path.isfile(args.profile):
        raise ValueError(f'--profile {args.profile}: no such file')
    for module in ('rclpy', 'semdepth_ros.msg', 'semdepth_ros.srv'):
        if find_spec(module) is None:
            raise ModuleNotFoundError(f'no module {module}', name=module)
    command = [sys.executable, '-m', START, args.node, *args.arguments]
    sys.stdout.flush()
    os.execve(sys.executable, command, with_large_messages(os.environ, args.profile))

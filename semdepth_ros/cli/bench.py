"""`semdepth bench`: the latencies of network, frame and node on this machine, beside what they are meant to be."""
from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
import json
import os
from pathlib import Path
import signal
import sys

import numpy as np

from semdepth_ros import __version__
from semdepth_ros.bridge.middleware import with_large_messages
from semdepth_ros.cli.demo import free_domain
from semdepth_ros.cli.outputs import expect_writable
from semdepth_ros.cli.progress import Progress

SHAPES = ((1242, 375), (1280, 720))
DRIVE_SIZE, DRIVE_SEED, RATE_HZ, RENDERED = (640, 192), 7, 10.0, 10


def add_parser(subparsers) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser('bench', help='measure latencies on this machine', description=(
        'Time the network, every stage of a frame, and the perception node on a ROS 2 graph of its own.'))
    parser.add_argument('--model', default='default', metavar='FILE', help='model file')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--input-pixels', type=int, default=0, metavar='N',
                        help="budget of the network's input; 0 leaves it to the model (default)")
    parser.add_argument('--frames', type=int, default=200, metavar='N', help='timed frames of each kind (default: 200)')
    parser.add_argument('--json', type=Path, metavar='F', help='write the figures here')
    parser.add_argument('--no-graph', action='store_true', help='leave the node on the graph out')
    parser.add_argument('--learner', action='store_true',
                        help='instead of all that, time the node alone and beside a learner: off, shadow, on')
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, write the figures.

    :raises ValueError: an argument or a model that cannot be
    :raises ModuleNotFoundError: there is no ROS 2 in this Python environment, and the graph was not left out
    """
    if args.frames < 1:
        raise ValueError(f'--frames is {args.frames}, expected at least 1')
    if args.learner and args.no_graph:
        raise ValueError('--no-graph beside --learner, expected one of the two: a learner is a node')
    if not args.no_graph and find_spec('rclpy') is None:
        raise ModuleNotFoundError('no module rclpy', name='rclpy')
    from semdepth_ros.perception.speed_table import learner_table, speed_table
    expect_writable(args.json)
    if args.learner:
        result = measure_learner(args)
    else:
        result = measure_perceptor(args)
        if not args.no_graph:
            result['graph'] = measure_graphs(args)
    print('\n'.join(learner_table(result) if args.learner else speed_table(result)))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1, allow_nan=False) + '\n', encoding='utf-8')
    return 0


def measure_perceptor(args: argparse.Namespace) -> dict:
    """Return the machine, the network's figures at its own and a common size, and the stages of frames of two sizes."""
    from semdepth_ros.frame import Frame
    from semdepth_ros.geometry.camera import Camera
    from semdepth_ros.networks import load_network
    from semdepth_ros.perception import Perceptor
    from semdepth_ros.perception.benchmark import machine, time_network, time_stages, time_swaps
    from semdepth_ros.perception.speed_table import NETWORK_SIZE
    network, card = load_network(args.model)
    perceptor = Perceptor(network, card, device=args.device, input_pixels=args.input_pixels)
    frames = [Frame(np.random.default_rng(0).integers(0, 256, (h, w, 3), dtype=np.uint8), 'rgb',
                    Camera.from_field_of_view(w, h, 80)) for w, h in SHAPES]
    own = perceptor.geometry(frames[0])
    networks, stages = [], []
    for width, height in dict.fromkeys([NETWORK_SIZE, (own.width, own.height)]):
        with Progress(f'network {width}x{height}: runs') as progress:
            networks.append(time_network(perceptor.engine, network, width, height, args.frames, progress))
    for frame in frames:
        with Progress(f'stages {frame.width}x{frame.height}: frames') as progress:
            stages.append(time_stages(perceptor, frame, args.frames, progress))
    return {'version': __version__, 'model': args.model, 'device': perceptor.device,
            'precision': perceptor.precision, 'frames': args.frames, 'machine': machine(perceptor.engine.tensor_device),
            'network': networks, 'stages': stages, 'swap': time_swaps(perceptor, network)}


def measure_graphs(args: argparse.Namespace) -> list[dict]:
    """Return what the node does with every kind of traffic, on a ROS graph that nobody else sees."""
    _begin_own_graph()
    from semdepth_ros.live.bench import TRAFFIC, measure_graph
    return _on_graph({traffic.name: partial(measure_graph, traffic, args.model, args.device, args.frames)
                      for traffic in TRAFFIC})


def measure_learner(args: argparse.Namespace) -> dict:
    """Return what the node does alone and beside a learner, while both see a rendered drive."""
    from semdepth_ros.perception.benchmark import machine
    from semdepth_ros.perception.device import choose_device
    from semdepth_ros.world import Drive, default_camera
    camera, device = default_camera('day', DRIVE_SIZE), choose_device(args.device)
    drive, pictures = Drive('day', DRIVE_SEED, args.frames, camera, RATE_HZ), []
    with Progress('rendering the drive: frames') as progress:
        for start in range(0, len(drive), RENDERED):
            pictures += [frame.image for frame in drive.render(range(start, min(start + RENDERED, len(drive))))]
            progress(len(pictures), len(drive))
    facts = machine(device)
    _begin_own_graph()
    from semdepth_ros.live.learner_bench import LEARNERS, measure_beside_learner
    results = _on_graph({f'learner {mode}': partial(measure_beside_learner, mode, camera, pictures, args.model, args.device,
                                                    args.frames, RATE_HZ) for mode in LEARNERS})
    return {'version': __version__, 'model': args.model, 'device': str(device), 'frames': args.frames, 'machine': facts,
            'learner': results}


def _begin_own_graph() -> None:
    """Set what Fast DDS and rclpy read when they are imported."""
    os.environ.update(with_large_messages(os.environ), ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST',
                      ROS_DOMAIN_ID=str(free_domain()))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nodes are ended on the way out


def _on_graph(measures: dict[str, Callable[[Callable[[int, int], None]], dict]]) -> list[dict]:
    """Return what is measured one after the other, each told how to say its progress."""
    from semdepth_ros.live.graph import on_graph
    results = []
    try:
        with on_graph():
            for name, measure in measures.items():
                with Progress(f'node, {name}: images') as progress:
                    results.append(measure(progress))
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    return results

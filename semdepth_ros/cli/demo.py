"""`semdepth demo`: a drive through the real node on a ROS 2 graph of its own."""
from __future__ import annotations

import argparse
import os
from pathlib import Path
import random
import signal
import socket
import sys
import threading

from semdepth_ros.bit_depth import BitDepth
from semdepth_ros.cli.outputs import expect_folder
from semdepth_ros.cli.progress import Progress
from semdepth_ros.recordings.drive_source import WorldDrive

DEFAULT = WorldDrive()
ADAPTED_FRAMES = 200    # a trial takes six blocks of held-out frames, one in 25 frames


def add_parser(subparsers) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser('demo', help='drive through a town: the node perceives it on a real ROS 2 graph')
    parser.add_argument('--out', default='out/demo', metavar='DIR', help='folder for bags, figures, film and report')
    parser.add_argument('--drive', metavar='PATH', help='your own bag, folder sequence or video instead of the world')
    parser.add_argument('--camera', metavar='FILE', help='calibration of a video; default: camera.json beside it')
    parser.add_argument('--image-topic', metavar='TOPIC', help='which camera of a bag that has several')
    parser.add_argument('--image-bits', type=int, default=0, metavar='N',
                        help='how many of 16 bits the images of a bag use; default: told by the first')
    parser.add_argument('--model', default='default', metavar='FILE', help='model file')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--preset', default=DEFAULT.preset, help='preset of the world')
    parser.add_argument('--seed', type=int, default=DEFAULT.seed)
    parser.add_argument('--frames', type=int,
                        help=f'default: {DEFAULT.frames}, with --adapt {ADAPTED_FRAMES}, or all of your own drive')
    parser.add_argument('--size', default='640x192', metavar='WxH', help='of the rendered images')
    parser.add_argument('--rate', type=float, default=DEFAULT.rate_hz, metavar='HZ', help='of the rendered drive')
    parser.add_argument('--adapt', action='store_true',
                        help='a learner beside the node, which serves what has proved better; frozen and adapted '
                             'weights side by side')
    parser.add_argument('--turns', type=int, default=3, metavar='N', help='with --adapt: how often the drive is played')
    parser.add_argument('--set', nargs='+', default=[], action='extend', metavar='KEY=VALUE', dest='settings',
                        help='with --adapt: settings of the learner, such as gates.least_travel_m=0.3')
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Show it; return 1 if the node did not perceive enough, 130 after Ctrl-C.

    :raises ValueError: an argument that cannot be
    :raises ModuleNotFoundError: there is no ROS 2 in this Python environment
    """
    if args.frames is not None and args.frames < 1:
        raise ValueError(f'--frames is {args.frames}, expected at least 1')
    if args.seed < 0:
        raise ValueError(f'--seed is {args.seed}, expected zero or a positive number')
    if args.turns < 1:
        raise ValueError(f'--turns is {args.turns}, expected at least 1')
    BitDepth(args.image_bits)
    usual = ADAPTED_FRAMES if args.adapt else DEFAULT.frames
    world = WorldDrive(args.preset, args.seed, args.frames or usual, read_size(args.size), args.rate)
    expect_folder(args.out)
    os.environ.update(ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST', ROS_DOMAIN_ID=str(free_domain()))
    from semdepth_ros.live.control import RunControl, Stopped
    from semdepth_ros.live.demo import Demo, run_demo
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    demo = (Path(args.out), world, args.drive, args.camera, args.frames, args.image_topic, args.image_bits, args.model,
            args.device)
    control = RunControl(stop, lambda line: print(line, flush=True), Progress)
    try:
        if args.adapt:
            from semdepth_ros.live.adaptation_demo import AdaptationDemo, run_adaptation_demo
            return run_adaptation_demo(AdaptationDemo(*demo, args.turns, tuple(args.settings)), control)
        return run_demo(Demo(*demo), control)
    except Stopped:
        return 130
    except RuntimeError as error:
        print(f'semdepth demo: {" ".join(str(error).split())}', file=sys.stderr)
        return 1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def read_size(text: str) -> tuple[int, int]:
    """Read WxH.

    :raises ValueError: anything else
    """
    width, x, height = text.partition('x')
    if not (x and width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise ValueError(f'--size is {text!r}, expected WxH such as 640x192')
    return int(width), int(height)


def free_domain() -> int:
    """Return a ROS_DOMAIN_ID that nobody on this machine uses: the first port of its first participant is free."""
    domains = list(range(1, 102))
    random.SystemRandom().shuffle(domains)
    for domain in domains:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(('', 7400 + 250 * domain + 10))
                return domain
            except OSError:
                continue
    return domains[0]

"""`semdepth replay IN --out OUT`: perceive every frame of a recording, offline and without ROS."""
from __future__ import annotations

import argparse
from pathlib import Path

from semdepth_ros.bridge.outputs import TOPICS, OutputSettings
from semdepth_ros.cli.outputs import expect_folder
from semdepth_ros.cli.progress import Progress
from semdepth_ros.recordings.replay import Replayed, ReplayOptions, replay, replayed_model

DEFAULT = OutputSettings()
LIMITS = {'stride': (1, 16), 'min_confidence': (0, 1), 'overlay_alpha': (0, 1), 'cloud_max_range': (0, 1000)}


def add_parser(subparsers) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser('replay', help='perceive every frame of a recording, without ROS', description=(
        'Perceive every camera image of a bag with the conversions that the node uses, and write what the node would '
        'have published. The same recording, model and machine give the same bytes.'))
    parser.add_argument('recording', metavar='IN', help='.mcap, .db3, or the folder of a rosbag2 recording')
    parser.add_argument('--out', required=True, metavar='OUT', help='X.mcap, X.db3, or no suffix: a folder')
    parser.add_argument('--force', action='store_true', help='replace OUT if it exists')
    parser.add_argument('--with-input', action='store_true', help="copy the recording's own messages too")
    parser.add_argument('--image-topic', metavar='TOPIC', help='which camera, where the recording has several')
    parser.add_argument('--image-bits', type=int, default=0, metavar='N',
                        help='how many of 16 bits the images use; default: told by the first')
    parser.add_argument('--topics', nargs='+', default=list(TOPICS), metavar='TOPIC', choices=list(TOPICS),
                        help='outputs to write; default: ' + ' '.join(TOPICS))
    parser.add_argument('--model', default='default', metavar='FILE', help='model file')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--input-pixels', type=int, default=0, metavar='N',
                        help="budget of the network's input; 0 leaves it to the model (default)")
    parser.add_argument('--precision', default='auto', help='auto, float32, bfloat16 or float16')
    parser.add_argument('--output', default='input', choices=('input', 'network'), help='size of the outputs')
    parser.add_argument('--max-range', type=float, default=80.0, metavar='M', help='depth beyond this is infinite')
    parser.add_argument('--scale', type=float, metavar='FACTOR', help='known factor to metres on this camera')
    parser.add_argument('--stride', type=int, default=DEFAULT.stride, help='of mask, confidence and cloud')
    parser.add_argument('--depth-encoding', default=DEFAULT.depth_encoding, choices=('32FC1', '16UC1'))
    parser.add_argument('--min-confidence', type=float, default=DEFAULT.min_confidence, metavar='0..1')
    parser.add_argument('--cloud-max-range', type=float, default=DEFAULT.cloud_max_range_m, metavar='M')
    parser.add_argument('--overlay-alpha', type=float, default=DEFAULT.overlay_alpha, metavar='0..1')
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Perceive and write; exit code 1 if not one frame could be perceived.

    :raises ValueError: a recording, model or number that cannot be used
    """
    for name, (low, high) in LIMITS.items():
        if not low <= getattr(args, name) <= high:
            raise ValueError(f'--{name.replace("_", "-")} is {getattr(args, name)}, expected {low} to {high}')
    if not Path(args.recording).exists():
        raise ValueError(f'bag {args.recording} does not exist')
    expect_folder(Path(args.out).parent)
    from semdepth_ros.frame_perception import Scale
    from semdepth_ros.perception import Perceptor
    from semdepth_ros.scale import fixed_scale
    perceptor = Perceptor.from_file(args.model, device=args.device, precision=args.precision, output=args.output,
                                    max_range_m=args.max_range, input_pixels=args.input_pixels,
                                    scale=Scale() if args.scale is None else fixed_scale(args.scale).scale)
    settings = OutputSettings(args.stride, args.depth_encoding, args.cloud_max_range, args.min_confidence,
                              args.overlay_alpha)
    options = ReplayOptions(args.topics, settings, args.image_topic, args.image_bits, args.with_input, args.force)
    with Progress('frames') as progress:
        done = replay(args.recording, args.out, replayed_model(perceptor, args.model, settings), options, progress)
    print(summary(done, args.out))
    return 0 if done.perceived else 1


def summary(done: Replayed, out: str) -> str:
    """Return what came of it, with the reasons for what did not."""
    lines = [f'{out}: {done.perceived} of {done.images} frames perceived']
    return '\n'.join([*lines, *(f'{count} frames {reason}' for reason, count in done.reasons.items())])


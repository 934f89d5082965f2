"""`semdepth bag make|inspect|play|record`: make bags from images or a video, look into them, play and record."""
from __future__ import annotations

import argparse
from importlib.util import find_spec
import json
import os
from pathlib import Path
import sys

from semdepth_ros.bridge.middleware import with_large_messages
from semdepth_ros.cli.progress import Progress
from semdepth_ros.data import open_data
from semdepth_ros.recordings.inspection import inspect_bag
from semdepth_ros.recordings.sequence_bag import write_sequence_bag
from semdepth_ros.recordings.truth_check import WORDS


def add_parser(subparsers) -> None:
    """Add the command to the parser."""
    actions = subparsers.add_parser('bag', help='make a bag from images or a video; look into a bag').add_subparsers(
        metavar='ACTION', required=True)
    make = actions.add_parser('make', help='write a folder sequence or a video as a bag')
    make.add_argument('source', metavar='FOLDER|VIDEO', help='folder sequence, or .mp4 .avi .mov .mkv')
    make.add_argument('--out', required=True, metavar='BAG', help='X.mcap, X.db3, or no suffix: a folder')
    make.add_argument('--camera', metavar='FILE', help='calibration, JSON or YAML; instead of the source\'s own')
    make.add_argument('--rate', type=float, metavar='HZ', help='frames a second, instead of the source\'s own times')
    make.add_argument('--compressed', action='store_true', help='JPEG images on /image/compressed')
    make.add_argument('--force', action='store_true', help='replace BAG if it exists')
    make.set_defaults(run=run_make)
    look = actions.add_parser('inspect', help='topics, rates, gaps, sizes, and whether a camera can be perceived')
    look.add_argument('bag', metavar='BAG', help='.mcap, .db3, or the folder of a rosbag2 recording')
    look.add_argument('--image-topic', metavar='TOPIC', help='which camera, where the bag has several')
    look.add_argument('--image-bits', type=int, default=0, metavar='N',
                      help='how many of 16 bits the images use; default: told by the first')
    look.add_argument('--json', nargs='?', const='-', metavar='FILE', help='write JSON, by default to standard output')
    look.set_defaults(run=run_inspect)
    for name, text in (('play', 'play a bag into the ROS 2 graph'), ('record', 'record topics of the ROS 2 graph')):
        node = actions.add_parser(name, help=text, add_help=False, prefix_chars='\0')
        node.add_argument('arguments', nargs='*')
        node.set_defaults(run=run_node, node=f'semdepth_ros.live.{name}er')


def run_make(args: argparse.Namespace) -> None:
    """Write the bag.

    :raises ValueError: the source cannot be read, or holds more than one sequence; the bag exists
    """
    sequences = open_data(args.source, camera=args.camera)
    if len(sequences) != 1:
        raise ValueError(f'{args.source} holds {len(sequences)} sequences, expected one')
    with Progress('frames') as progress:
        write_sequence_bag(args.out, sequences[0], args.rate, args.compressed, args.force, progress)
    print(f'{args.out}: {len(sequences[0])} images' + ('' if sequences[0].camera else ', no camera_info'))


def run_inspect(args: argparse.Namespace) -> int:
    """Print what the bag holds; exit code 1 if no camera in it can be perceived."""
    report = inspect_bag(args.bag, args.image_topic, args.image_bits)
    if args.json:
        text = json.dumps(report, indent=1)
        print(text) if args.json == '-' else Path(args.json).write_text(text + '\n', encoding='utf-8')
    if args.json != '-':
        print(render(report))
    return 0 if report['usable'] else 1


def run_node(args: argparse.Namespace) -> None:
    """Replace this process by the player or the recorder, with the Fast DDS profile for large messages.

    :raises ModuleNotFoundError: there is no ROS 2 in this Python environment
    """
    if find_spec('rclpy') is None:
        raise ModuleNotFoundError('no module rclpy', name='rclpy')
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, '-m', args.node, *args.arguments], with_large_messages(os.environ))


def render(report: dict) -> str:
    """Return the report as lines for people."""
    lines = [f'{report["path"]}: {report["messages"]} messages, {report["duration_s"]:.2f} s, '
             f'{report["size_bytes"] / 1e6:.1f} MB']
    rows = [('topic', 'type', 'count', 'Hz', 'gaps', 'MB', 'form')]
    for t in report['topics']:
        rate = '' if t['rate_hz'] is None else f'{t["rate_hz"]:.2f}'
        gaps = f'{t["gaps"]} (<= {t["longest_gap_s"]:.2f} s)' if t['gaps'] else ''
        rows.append((t['name'], t['type'].replace('/msg/', '/'), str(t['count']), rate, gaps, f'{t["bytes"] / 1e6:.1f}',
                     ', '.join(t['forms'])))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines += ['  '.join(cell.rjust(w) if 2 <= i <= 5 else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths)))
              .rstrip() for row in rows]
    lines += [f'problem: {text}' for text in report['problems']] + [f'warning: {text}' for text in report['warnings']]
    if report['usable']:
        before = ', '.join(report['chosen_before'])
        lines.append(f'usable: images on {report["image"]}, ' + (f'chosen before {before}, ' if before else '')
                     + (f'calibration on {report["camera_info"]}' if report['camera_info'] else 'no calibration'))
        lines.append(_evaluation(report['evaluation']))
    return '\n'.join(lines)


def _evaluation(found: dict) -> str:
    truth = [f'{WORDS[part]} on {entry["topic"]} ({entry["images"]} images)' for part, entry in found['truth'].items()]
    lacking = f'; lacking: {"; ".join(found["missing"])}' if found['missing'] else ''
    return (f'can be evaluated: {", ".join(truth)}' if found['usable'] else 'cannot be evaluated') + lacking
